"""The scene of a request: the recognised drawings, and the concepts for its texts."""

from dataclasses import dataclass
from random import Random

from builder.images.pictograms import Pictogram
from builder.lexicon_teacher.lexicon import Lexicon
from builder.lexicon_teacher.recognise import Drawing, Recogniser
from builder.lexicon_teacher.request import TeacherRequest
from schemas.vocabulary import ImageRole


class CannotAnswerError(Exception):
    """The teacher cannot answer honestly; it refuses, as a model might."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The drawings of a request and what to write about.

    Args:
        drawings: Role, concept and style, in the order attached.
        query: What the query image shows; None where the query is text alone.
        subject: What the positive shows or says.
        distractor: What the hard negative shows or says.
    """

    drawings: tuple[tuple[ImageRole, Drawing], ...]
    query: Pictogram | None
    subject: Pictogram
    distractor: Pictogram


def set_scene(request: TeacherRequest, recogniser: Recogniser, lexicon: Lexicon) -> Scene:
    """Recognises the images and, where documents are text alone, chooses a related concept.

    Raises:
        CannotAnswerError: If an image is not in the corpus, the language lacks words for a
            concept, or positive and hard negative show the same thing.
    """
    shown: dict[ImageRole, Pictogram] = {}
    drawings: list[tuple[ImageRole, Drawing]] = []
    for role, content in request.images:
        drawing = recogniser.find(content)
        if drawing is None:
            raise CannotAnswerError(f"I do not recognise the {role} image")
        shown[role] = drawing[0]
        drawings.append((role, drawing))
    subject = shown.get("positive") or shown.get("query")
    if subject is None:
        raise CannotAnswerError("no image is attached")
    cell = request.cell
    has_text = cell.query_has_text or cell.document_has_text
    if has_text and any(request.language not in p.texts for p in (subject, *shown.values())):
        raise CannotAnswerError(f"I have no words for this in language {request.language!r}")
    distractor = shown.get("negative")
    if distractor is None:
        distractor = lexicon.relative(subject, request.language, Random(f"{request.key}|other"))
    if distractor is None:
        raise CannotAnswerError("I know of nothing related to tell it from")
    if distractor.concept == subject.concept:
        raise CannotAnswerError("the positive and the negative image show the same thing")
    return Scene(tuple(drawings), shown.get("query"), subject, distractor)
