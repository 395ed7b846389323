"""The bundled pictograms."""

from collections.abc import Iterator

from builder.images.sources.candidate import Candidate


def read_pictograms() -> Iterator[Candidate]:
    """Yields every bundled drawing, with the languages that have words for its concept."""
    from builder.images.pictograms import bundled_images, languages_of

    for image in bundled_images():
        yield Candidate(
            name=f"{image.style}/{image.concept}",
            data=image.content,
            source=image.source,
            group=f"pictogram:{image.group}",
            licence=image.licence,
            languages=tuple(sorted(languages_of(image.concept))),
        )
