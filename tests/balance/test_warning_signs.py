"""The end of a build says what looks wrong, and says nothing where nothing does."""

from collections import Counter

from builder.balance.variety import Variety
from builder.balance.warning_signs import warning_signs

SLOT = ("vqa", "IT->T", "sw")


def _varied(num: int) -> Variety:
    return Variety(num, Counter(f"instruction {n}" for n in range(num)), num, set(range(num)))


def test_a_healthy_build_has_no_sign() -> None:
    assert warning_signs({"sw": 90}, {"sw": {"answer_leak": 5}}, {SLOT: _varied(90)}) == []


def test_one_instruction_for_a_whole_language_is_noticed() -> None:
    same = Variety(40, Counter({"find it\x1b[31m": 39, "other": 1}), 40, set(range(40)))
    [sign] = warning_signs({"sw": 40}, {}, {SLOT: same})
    assert sign == 'Swahili (sw): 39 of 40 samples have the same instruction, "find it [31m".'


def test_one_instruction_for_a_cell_of_a_language_is_noticed() -> None:
    same = Variety(30, Counter({"find it": 30}), 30, set(range(30)))
    other = _varied(200)
    [sign] = warning_signs({"sw": 230}, {}, {SLOT: same, ("vqa", "I->T", "sw"): other})
    assert sign.startswith("Swahili (sw), vqa IT->T: 30 of 30 samples")


def test_texts_that_repeat_are_noticed_and_long_lists_cut() -> None:
    few = {
        ("retrieval", "T->I", code): Variety(25, Counter(map(str, range(25))), 25, {1, 2})
        for code in ("ar", "de", "fr", "sw", "th")
    }
    signs = warning_signs(dict.fromkeys(("ar", "de", "fr", "sw", "th"), 25), {}, few)
    assert len(signs) == 4 and "only 2 different pairs" in signs[0]
    assert signs[-1] == "2 more repeat their texts; see run.json."


def test_a_language_that_hardly_passes_and_a_dominant_reason_are_named() -> None:
    signs = warning_signs(
        {"sw": 3, "en": 60}, {"sw": {"wrong_language": 17, "refusal": 2}, "en": {"refusal": 1}}, {}
    )
    assert signs == [
        "Swahili (sw) hardly passes: 3 of 22 jobs kept; the commonest reason is wrong_language "
        "(17).",
        "wrong_language stands for 17 of 20 drops. Look at some with `samples list "
        "--reason wrong_language`.",
    ]


def test_a_handful_is_no_sign() -> None:
    same = Variety(19, Counter({"find it": 19}), 19, {1})
    assert warning_signs({"sw": 1}, {"sw": {"refusal": 9}}, {SLOT: same}) == []
