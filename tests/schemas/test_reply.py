import pytest
from pydantic import ValidationError

from schemas.reply import draft_names, reply_model, reply_schema, to_draft
from schemas.vocabulary import CELLS, Cell


def reply_of(cell: Cell) -> dict[str, object]:
    criterion = {"score": 4, "reason": "fits"}
    draft = {"instruction": "Find it."} | {name: name for name in draft_names(cell).values()}
    return {
        "interpretations": [
            {"image": role, "general": "g", "objects": "o", "context": "c", "task_ideas": "t"}
            for role in cell.image_roles
        ],
        "draft": draft,
        "evaluation": {
            **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), criterion),
            "improvements": "none",
        },
        "revision": draft,
    }


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_cell_has_a_strict_reply_of_its_own_fields(cell: Cell) -> None:
    reply = reply_model(cell).model_validate(reply_of(cell))
    draft = to_draft(cell, reply.revision)
    assert (draft.query_text is not None) == cell.query_has_text
    assert (draft.positive_text is not None) == cell.document_has_text
    assert (draft.negative_text is not None) == cell.document_has_text
    with pytest.raises(ValidationError):
        reply_model(cell).model_validate({**reply_of(cell), "extra": 1})


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_schemas_meet_the_rules_of_strict_structured_output(cell: Cell) -> None:
    def objects(node: object):
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for value in node.values():
                yield from objects(value)
        elif isinstance(node, list):
            for value in node:
                yield from objects(value)

    for node in objects(reply_schema(cell)):
        assert node["additionalProperties"] is False
        assert sorted(node["required"]) == sorted(node["properties"])
