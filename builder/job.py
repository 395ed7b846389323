"""One job of a plan: everything that decides its request."""

from dataclasses import dataclass

from schemas.vocabulary import Cell


@dataclass(frozen=True, slots=True)
class Job:
    """A sample to request.

    Args:
        id: 24 hex digits; a hash of the plan, the round and the index.
        round: Round of the closed loop, from 0.
        index: Position in the round's plan, in the order jobs are sent.
        language: Code of the language of its texts.
        seed: Decides the variations; part of the prompt, so that no two jobs ask for the same.
        images: sha256 of the images, in the order of `cell.image_roles`.
        length: How long the query's text should be; "" where it has none.
        difficulty: How close the hard negative should be.
        text_register: Formal, casual, …; "" for a cell without texts.
        task_idea: A use for the instruction to serve, in English.
    """

    id: str
    round: int
    index: int
    cell: Cell
    language: str
    seed: int
    images: tuple[str, ...]
    length: str
    difficulty: str
    text_register: str
    task_idea: str
