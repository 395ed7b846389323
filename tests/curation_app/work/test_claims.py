"""Claims: an interpretation in single statements, and what ticking them amounts to."""

import orjson

from curation_app.work.claims import claims_of, outcome_of

RECORD = {
    "interpretations": [
        {
            "image": "query",
            "general": "A red balloon floats. It is alone.",
            "objects": "balloon; string",
            "context": "A red balloon floats.\n—",
            "task_ideas": "Ask for its colour.",
        },
        {"image": "negative", "general": "हवा में पतंग", "objects": "", "context": None},
    ]
}


def test_each_statement_is_a_claim_once_and_ideas_are_none() -> None:
    claims = [(claim.image, claim.text) for claim in claims_of(RECORD)]
    assert claims == [
        ("query", "A red balloon floats."),
        ("query", "It is alone."),
        ("query", "balloon;"),
        ("query", "string"),
        ("negative", "हवा में पतंग"),
    ]
    assert claims_of(None) == claims_of({"interpretations": []}) == []


def test_one_claim_that_the_image_does_not_support_makes_it_unfaithful() -> None:
    faithful, unfaithful = outcome_of([True, True]), outcome_of([True, False])
    assert (faithful.verdict, faithful.facets) == ("accept", {"fidelity": "accept"})
    assert (unfaithful.verdict, unfaithful.facets) == ("reject", {"fidelity": "reject"})
    assert unfaithful.reasons == ("query_mismatch",)
    assert orjson.loads(unfaithful.note) == {"claims": [1, 0]}
