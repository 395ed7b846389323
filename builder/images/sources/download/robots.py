"""What a site's robots.txt and X-Robots-Tag allow."""

from urllib.robotparser import RobotFileParser

from yarl import URL

#: Product token that robots.txt rules may name.
AGENT = "polyscene"
MAX_ROBOTS_BYTES = 500_000
#: Directives by which sites ask that images be left out of data sets.
_FORBIDDING_TAGS = {"noai", "noimageai", "noindex", "noimageindex", "none"}


class Rules:
    """The rules of one origin.

    Args:
        text: Its robots.txt; empty if it has none, which allows everything.
    """

    def __init__(self, text: str = "") -> None:
        self._parser = RobotFileParser()
        self._parser.parse(text.splitlines())
        self._is_open = not text.strip()

    def allow(self, url: URL) -> bool:
        return self._is_open or self._parser.can_fetch(AGENT, str(url))

    @property
    def crawl_delay_s(self) -> float | None:
        delay = self._parser.crawl_delay(AGENT)
        return None if delay is None else float(delay)


def is_forbidden_by_tag(values: list[str]) -> bool:
    """Whether `X-Robots-Tag` headers forbid use in data sets, for all agents or for us."""
    for value in values:
        agent, colon, rest = value.partition(":")
        named = agent.strip().lower()
        if colon and named not in (AGENT, "*") and named not in _FORBIDDING_TAGS:
            continue  # a rule for another agent
        directives = {part.strip().lower() for part in (rest if colon else value).split(",")}
        if directives & _FORBIDDING_TAGS:
            return True
    return False
