"""The look that all pages share: the review page's paper and ink, on the system's own fonts."""

from typing import Any


def make_theme() -> Any:
    """Gradio's base theme in the app's colours; no font is fetched.

    Text has a contrast of at least 4.5:1 on what is behind it, by day and by night.
    """
    from gradio import themes

    sans = ["ui-sans-serif", "system-ui", "Noto Sans", "sans-serif"]
    return themes.Base(
        primary_hue=themes.colors.indigo,
        neutral_hue=themes.colors.stone,
        font=sans,
        font_mono=["ui-monospace", "monospace"],
        radius_size=themes.sizes.radius_lg,
    ).set(
        body_background_fill="#f4f3ef",
        body_background_fill_dark="#131519",
        body_text_color="#22252a",
        body_text_color_dark="#e9e7e2",
        body_text_color_subdued="#5d626a",
        body_text_color_subdued_dark="#9ca2ab",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1b1e24",
        block_label_text_color="#43474e",
        block_label_text_color_dark="#c2c6cd",
        block_title_text_color="#43474e",
        block_title_text_color_dark="#c2c6cd",
        block_info_text_color="#5d626a",
        block_info_text_color_dark="#9ca2ab",
        input_background_fill_dark="#23272e",
        input_background_fill_focus_dark="#23272e",
        input_background_fill_hover_dark="#23272e",
        input_placeholder_color="#6b7078",
        input_placeholder_color_dark="#9ca2ab",
        button_primary_background_fill="#4c5fc4",
        button_primary_background_fill_hover="#3f51b0",
        button_primary_background_fill_dark="#97a5f5",
        button_primary_background_fill_hover_dark="#aab6f8",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#131519",
    )
