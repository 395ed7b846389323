"""How code points become a concept's key, and which concepts are variants of one base."""

TONES = frozenset({"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"})
_GENDER_SIGNS = {"2640", "2642"}
_DIRECTION_SIGNS = {"27a1"}
_HAIR = {"1f9b0", "1f9b1", "1f9b2", "1f9b3"}
_PEOPLE = {"1f9d1", "1f468", "1f469"}
_FAMILY = {"1f466", "1f467", "1f468", "1f469", "1f9d1", "1f9d2"}
#: Men, women, children, families, couples and clock faces are drawn alike: each line is one group.
_SIBLINGS = {
    "1f9d1": "1f468 1f469",
    "1f9d2": "1f466 1f467",
    "1f9d3": "1f474 1f475",
    "1fac5": "1f934 1f478",
    "1f936": "1f385 1f9d1-1f384",
    "1f930": "1fac3 1fac4",
    "1f483": "1f57a",
    "1f935": "1f470",
    "1f46b": "1f46c 1f46d",
    "1f550": "1f551 1f552 1f553 1f554 1f555 1f556 1f557 1f558 1f559 1f55a 1f55b 1f55c 1f55d 1f55e "
    "1f55f 1f560 1f561 1f562 1f563 1f564 1f565 1f566 1f567",
}
_BASE_OF_SIBLING = {other: base for base, others in _SIBLINGS.items() for other in others.split()}


def join_key(hexcode: str) -> str:
    """Lower-case code points joined by `-`, without U+FE0F, which sources set unevenly."""
    return "-".join(part for part in hexcode.lower().split("-") if part != "fe0f")


def territory_of(concept: str) -> str | None:
    """ISO code of a flag's concept (two regional indicators), else None."""
    points = [int(part, 16) for part in concept.split("-")]
    if len(points) == 2 and all(0x1F1E6 <= point <= 0x1F1FF for point in points):
        return "".join(chr(point - 0x1F1E6 + ord("A")) for point in points)
    return None


def group_of(concept: str) -> str:
    """Returns the base that a concept is a variant of.

    A gendered scientist belongs to "scientist", a black cat to "cat", every clock face to "one
    o'clock"; a flag or any other single drawing is its own group.
    """
    if "-" not in concept:
        return _BASE_OF_SIBLING.get(concept, concept)
    if concept.startswith("1f3f4") or territory_of(concept):
        return concept
    dropped = {"200d"} | TONES | _GENDER_SIGNS | _DIRECTION_SIGNS
    parts = [part for part in concept.split("-") if part not in dropped]
    if len(parts) > 1 and parts[0] in _PEOPLE:
        return _group_of_people(parts)
    if "200d" in concept.split("-"):
        parts = parts[:1]
    base = "-".join(parts)
    return _BASE_OF_SIBLING.get(base, base)


def _group_of_people(parts: list[str]) -> str:
    """Group of a person joined to something: a family, a couple, hair or what they work with."""
    if set(parts) <= _FAMILY:
        return "1f46a"
    if "1f91d" in parts:
        return "1f46b"
    if "2764" in parts:
        return "1f48f" if "1f48b" in parts else "1f491"
    if parts[1] in _HAIR:
        return "1f9d1"
    base = "-".join(["1f9d1", *parts[1:]])
    return _BASE_OF_SIBLING.get(base, base.replace("-", "-200d-"))
