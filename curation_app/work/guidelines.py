"""The guidelines reviewers work by: plain text in versions, the latest in force."""

from collections.abc import Callable
from datetime import UTC, datetime

from curation_app.store.database import Database
from curation_app.store.guidelines import Guideline, GuidelineStore
from curation_app.work.people import Person
from schemas.edits import text_problem
from schemas.errors import PolysceneError


class GuidelineError(PolysceneError):
    """Guidelines cannot be published."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Guidelines:
    """The guidelines of one store; every review event names the version in force.

    guidelines.publish("Reject a positive that …", author=lead)
    guidelines.current()
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._store = GuidelineStore(database)
        self._clock = clock

    def current(self) -> Guideline | None:
        """The version in force; None before the first."""
        return self._store.latest()

    @property
    def version_in_force(self) -> int | None:
        current = self.current()
        return None if current is None else current.version

    def versions(self) -> list[Guideline]:
        """Every version, oldest first."""
        return self._store.all()

    def publish(self, text: str, *, author: Person) -> Guideline:
        """Puts a text in force as the next version; the same text again changes nothing.

        Raises:
            GuidelineError: The author is not a lead, or the text cannot be shown.
        """
        if not author.is_lead:
            raise GuidelineError(
                f"{author.name} is not a lead. Ask a lead to publish the guidelines."
            )
        text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
        problem = text_problem(text)
        if problem:
            raise GuidelineError(f"the text of the guidelines {problem}")
        current = self.current()
        if current is not None and current.text == text:
            return current
        return self._store.add(self._clock().isoformat(timespec="milliseconds"), author.name, text)
