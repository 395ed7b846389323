"""Whatever a model writes, the checks answer; they never raise."""

from hypothesis import given, settings
from hypothesis import strategies as st

from builder.checks.across import find_repeats
from builder.checks_config import ChecksConfig
from schemas.sample import Draft
from schemas.text_rules import check_revision
from schemas.text_rules.normal_form import contains, count_words, normalise
from schemas.text_rules.scripts import has_wrong_script
from schemas.vocabulary import CELLS, LANGUAGES
from tests.schemas.text_rules.rows import load_sentences, make_evaluation

# Any code point, lone surrogates and non-characters too.
any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=200)
real_text = st.sampled_from([text for pair in load_sentences().values() for text in pair])
texts = any_text | real_text | st.tuples(any_text, real_text).map("".join)
languages = st.sampled_from(sorted(LANGUAGES))


@settings(max_examples=400, deadline=None)
@given(
    cell=st.sampled_from(CELLS),
    language=languages,
    instruction=texts,
    query=st.none() | texts,
    positive=st.none() | texts,
    negative=st.none() | texts,
)
def test_checks_never_raise(
    cell: object,
    language: str,
    instruction: str,
    query: str | None,
    positive: str | None,
    negative: str | None,
) -> None:
    draft = Draft.model_construct(
        instruction=instruction, query_text=query, positive_text=positive, negative_text=negative
    )
    report = check_revision(cell, language, draft, make_evaluation(), ChecksConfig())  # type: ignore[arg-type]
    again = check_revision(cell, language, draft, make_evaluation(), ChecksConfig())  # type: ignore[arg-type]
    assert report == again
    assert report.reason is None or report.reason.isidentifier()


@given(text=texts)
def test_normal_form_is_stable(text: str) -> None:
    once = normalise(text)
    assert normalise(once).replace(" ", "") == normalise(normalise(once)).replace(" ", "")


@given(text=texts, language=languages)
def test_a_text_contains_itself(text: str, language: str) -> None:
    normal = normalise(text)
    if len(normal) > 1:
        assert contains(normal, normal, language)
    assert count_words(text, language) >= 0
    has_wrong_script(text, LANGUAGES[language])


@given(rows=st.lists(st.tuples(texts, texts), max_size=12))
def test_repeats_are_found_for_any_text(rows: list[tuple[str, str]]) -> None:
    samples = [
        (
            str(index),
            {
                "task_type": "vqa",
                "modality": "IT->T",
                "instruction": "Answer.",
                "query_text": query,
                "query_image": "a",
                "positive_text": positive,
                "positive_image": None,
            },
        )
        for index, (query, positive) in enumerate(rows)
    ]
    repeats = find_repeats(samples)
    kept = [row for row in samples if row[0] not in repeats]
    assert find_repeats(kept) == {}
    assert find_repeats([*samples, *[(f"again {name}", row) for name, row in samples]]).keys() >= {
        f"again {name}" for name, _ in samples
    }
