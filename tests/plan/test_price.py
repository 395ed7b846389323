"""Estimates agree with published prices and formulas, and say when a price is not known."""

import numpy as np
import pytest

from builder.config import BuildConfig, Prices, TeacherConfig
from builder.cost.estimate import estimate
from builder.cost.tokens import image_tokens, language_factor, reply_tokens, sent_size
from builder.plan.shares import targets_of
from schemas.vocabulary import CELL_BY_NAME, CELLS, LANGUAGES

CONFIG = BuildConfig(num_samples=560_000, languages="mme5")
TARGETS = targets_of(CONFIG)


def price(teacher: TeacherConfig, **options):
    return estimate(teacher, CONFIG, TARGETS, TARGETS.wanted_CL, **options)


def test_gpt_4o_costs_what_the_arithmetic_says():
    found = price(TeacherConfig(model="gpt-4o-2024-08-06"), drop_share=0)
    assert found.num_calls == 560_000
    expected = found.input_tokens * 2.5e-6 + found.output_tokens * 10e-6
    assert found.usd == pytest.approx(expected)
    assert 5_000 < expected < 12_000
    assert found.batch_usd == pytest.approx(expected / 2)


def test_configured_prices_go_before_the_table():
    prices = Prices(input_usd_per_mtok=1, output_usd_per_mtok=0)
    found = price(TeacherConfig(model="gpt-4o", prices=prices))
    assert found.usd == pytest.approx(found.input_tokens / 1e6)


def test_unknown_model_has_no_price():
    assert price(TeacherConfig(model="nobody-knows-it")).usd is None


def test_dropped_replies_are_paid_too():
    all_kept = price(TeacherConfig(), drop_share=0).output_tokens
    assert price(TeacherConfig(), drop_share=0.5).output_tokens == pytest.approx(2 * all_kept)


def test_prompt_length_enters():
    def tokens(chars: int) -> int:
        return price(TeacherConfig(), drop_share=0, prompt_chars=lambda cell: chars).input_tokens

    assert tokens(4300) - tokens(0) == pytest.approx(560_000 * 1000, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [
        ("gpt-4o", 1024, 1024, 765),
        ("gpt-4o-2024-08-06", 512, 512, 255),
        ("gpt-4o-mini", 512, 512, 8500),
        ("openai/gpt-4o", 2048, 4096, 1105),
        ("claude-haiku-5-5", 1000, 1000, 1334),
        ("gemini-2.5-flash", 300, 200, 258),
        ("gpt-4.1-mini", 1024, 1024, 1659),
        ("qwen3-vl-30b-a3b", 1024, 1024, 1024),
    ],
)
def test_image_tokens_follow_the_published_formulas(model, width, height, tokens):
    assert image_tokens(model, width, height) == tokens


def test_image_size_is_as_sent():
    assert sent_size(2048, 1024, 1024) == (1024, 512)
    assert sent_size(128, 128, 1024) == (128, 128)
    assert sent_size(0, 0, 1024) == (1024, 768)
    assert sent_size(100_000, 1, 1024) == (1024, 1)


def test_replies_cost_more_in_scripts_with_longer_encodings():
    assert language_factor("en") == 1 < language_factor("fr") < language_factor("my")
    assert all(1 <= language_factor(code) < 10 for code in LANGUAGES)
    table = reply_tokens(CELLS, ["en", "my"])
    assert table.shape == (10, 2)
    # Nothing but images, so nothing in the language is written.
    images_only = CELLS.index(CELL_BY_NAME["retrieval_i2i"])
    assert table[images_only, 0] == table[images_only, 1]
    assert np.delete(table[:, 1] - table[:, 0], images_only).min() > 0
