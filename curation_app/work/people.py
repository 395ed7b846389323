"""Who reviews: a name, a role, the languages read; and how names are written."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from schemas.errors import PolysceneError
from schemas.vocabulary import LANGUAGES

Role = Literal["reviewer", "lead"]
ROLES: tuple[Role, ...] = ("reviewer", "lead")
MAX_NAME_CHARS = 80


class PersonError(PolysceneError):
    """A name, role or language of a person cannot be used."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who reviews.

    Args:
        name: As the events carry it.
        role: A lead also starts audits, settles disagreements and sees to people.
        languages: Codes of the languages they read; None for all.
    """

    name: str
    role: Role = "reviewer"
    languages: frozenset[str] | None = None

    @property
    def is_lead(self) -> bool:
        return self.role == "lead"

    def reads(self, language: str) -> bool:
        """Whether a row of this language may come to them."""
        return self.languages is None or language in self.languages


def clean_name(name: str) -> str | None:
    """The name as it is stored, or None where it is empty, too long or not printable."""
    name = " ".join(name.split())
    return name if name and len(name) <= MAX_NAME_CHARS and name.isprintable() else None


def checked_name(name: str) -> str:
    """The name as it is stored.

    Raises:
        PersonError: It is empty, too long or not printable.
    """
    cleaned = clean_name(name)
    if cleaned is None:
        raise PersonError(
            f"{name[:MAX_NAME_CHARS]!r} is not a name. Give 1 to {MAX_NAME_CHARS} printable "
            "characters."
        )
    return cleaned


def checked_languages(codes: Iterable[str]) -> frozenset[str] | None:
    """Language codes a person reads; none at all means every language.

    Raises:
        PersonError: A code is not one of the dataset's languages.
    """
    chosen = frozenset(code.strip() for code in codes if code.strip())
    unknown = sorted(chosen - set(LANGUAGES))
    if unknown:
        raise PersonError(
            f"{', '.join(unknown)[:80]}: unknown language code. Use codes as the dataset has them, "
            "such as ar, fa or zh."
        )
    return chosen or None


def checked_role(role: str) -> Role:
    """A role by its name.

    Raises:
        PersonError: There is no such role.
    """
    for known in ROLES:
        if role == known:
            return known
    raise PersonError(f"{role[:40]!r}: no such role. Use {' or '.join(ROLES)}.")
