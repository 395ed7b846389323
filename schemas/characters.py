"""Characters that no text needs: they break storage, display or tokenisers.

One rule for what a teacher writes (`text_rules.artefacts`) and for what a reviewer writes
(`edits`). Joiners and plain direction marks are not here: many writing systems need them.
"""

import re

#: First and last of each range, and why no text needs them.
_UNWANTED = (
    ("\x00", "\x08", "control character"),
    ("\x0b", "\x1f", "control character; tab and line feed are not among them"),
    ("\x7f", "\x9f", "control character"),
    ("\u202a", "\u202e", "bidirectional embedding or override: reorders what a reader sees"),
    ("\u2066", "\u2069", "bidirectional isolate: reorders what a reader sees"),
    ("\ud800", "\udfff", "unpaired surrogate: cannot be stored as UTF-8"),
    ("\ue000", "\uf8ff", "private use: no font shows it"),
    ("\ufdd0", "\ufdef", "noncharacter"),
    ("\ufeff", "\ufeff", "byte order mark"),
    ("\ufff9", "\ufffd", "interlinear mark, object placeholder, or what a lost letter became"),
    ("\ufffe", "\uffff", "noncharacter"),
    ("\U000f0000", "\U0010ffff", "private use: no font shows it"),
)
#: A flag such as that of Wales is a black flag and tag characters, which mean nothing elsewhere.
_TAG_OUTSIDE_A_FLAG = "(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]"
_PATTERN = re.compile(
    f"[{''.join(f'{first}-{last}' for first, last, _ in _UNWANTED)}]|{_TAG_OUTSIDE_A_FLAG}"
)


def unwanted_character(text: str) -> str | None:
    """The first character of a text that no text needs, or None."""
    # Printable holds for most texts and costs next to nothing; two of the table are printable.
    if text.isprintable() and "\ufffc" not in text and "\ufffd" not in text:
        return None
    found = _PATTERN.search(text)
    return found[0] if found else None
