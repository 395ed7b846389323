"""One job of a plan: everything that decides its request."""

from dataclasses import dataclass

from schemas.vocabulary import Cell


@dataclass(frozen=True, slots=True)
class Job:
    """A sample to be asked for.

    Args:
        id: 24 hex digits; a hash of the plan, the round and the index.
        round: Round of the closed loop, from 0.
        index: Position in the round's plan, in the order jobs are sent.
        language: Code of the language its texts are to be written in.
        seed: Decides the knobs; stands in the prompt, so no two jobs ask the same.
        images: sha256 of the images, in the order of `cell.image_roles`.
        length: Knob: how long the query's text is to be; "" where it has none.
        difficulty: Knob: how close the hard negative is to be.
        text_register: Knob: formal, casual, …; "" where no side has a text.
        task_idea: Knob: a use the instruction is to serve, in English.
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
