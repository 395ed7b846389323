"""Errors of measuring; the command line prints them as one line."""

from schemas.errors import PolysceneError


class NothingToMeasureError(PolysceneError):
    """A version or a file has nothing to compute a metric from.

    Args:
        data: The version or file, as messages name it.
        what: What is missing, as a clause.
        remedy: What to do, as a sentence.
    """

    def __init__(self, data: str, what: str, remedy: str) -> None:
        self.data = data
        self.what = what
        self.remedy = remedy
        super().__init__(f"{data}: {what}. {remedy}")

    @classmethod
    def too_few_groups(cls, data: str, what: str) -> "NothingToMeasureError":
        """A version whose held-out rows have too few images to choose among.

        Args:
            data: The version.
            what: What it has, as a clause.
        """
        return cls(
            data,
            what,
            "Images are held out by group, so a version needs more of them: add images and build "
            "again, or raise `images: validation_share` in the build's configuration.",
        )
