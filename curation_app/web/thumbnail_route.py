"""The route that shows published images, by row and place, made small and safe."""

import re
from collections.abc import Callable, Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from curation_app.data.thumbnails import (
    MAX_FULL_SIDE_PX,
    MAX_SIDE_PX,
    ImageProblem,
    Thumbnails,
    image_at,
    places,
)
from curation_app.data.version import Row, VersionDataset
from schemas.errors import PolysceneError

_SAMPLE_ID = re.compile(r"[0-9a-f]{24}")
#: "any" is the place whose image the name's hash tells: it gives no role away.
_PLACE = re.compile(r"any|query|positive|negative-[0-9]{1,3}")
_FULL = ".full.webp"

#: In which row, at which place, the image of an item's place is found; None where it is no item.
ImageHome = Callable[[str], dict[str, tuple[str, str]] | None]


def thumbnail_route(dataset: VersionDataset, image_home: ImageHome) -> Route:
    """`/thumbnails/{sample_id}/{place}/{name}`: WebP, whatever the bytes are.

    Args:
        image_home: Tells for an id that is not a row's, a seeded defect's, where
            its images are; `{place: (sample_id, place)}`.
    """
    thumbnails = Thumbnails()

    def homes(sample_id: str) -> Iterator[tuple[str, Row, str]]:
        """Every image of an item: its place there, and the row and place that hold it."""
        row = dataset.row_of(sample_id)
        if row is not None:
            loaded = dataset.load(row)
            yield from ((place, loaded, place) for place in places(loaded.sample))
            return
        for place, (home_id, home_place) in (image_home(sample_id) or {}).items():
            row = dataset.row_of(home_id)
            if row is not None:
                yield place, dataset.load(row), home_place

    def find(sample_id: str, place: str, stem: str) -> tuple[Row, str] | None:
        row = dataset.row_of(sample_id)
        if row is not None and place != "any":
            return dataset.load(row), place
        for found, home, home_place in homes(sample_id):
            is_it = (
                image_at(home, home_place).startswith(stem) if place == "any" else found == place
            )
            if is_it:
                return home, home_place
        return None

    def thumbnail(request: Request) -> Response:
        sample_id, place = request.path_params["sample_id"], request.path_params["place"]
        if not _SAMPLE_ID.fullmatch(sample_id) or not _PLACE.fullmatch(place):
            return PlainTextResponse("No such image.", status_code=404)
        name = request.path_params["name"]
        max_side_px = MAX_FULL_SIDE_PX if name.endswith(_FULL) else MAX_SIDE_PX
        try:
            home = find(sample_id, place, name.partition(".")[0])
            if home is None:
                return PlainTextResponse("No such row in this version.", status_code=404)
            data = thumbnails.of_row(*home, max_side_px=max_side_px)
        except ImageProblem as exc:
            return PlainTextResponse(str(exc), status_code=415)
        except PolysceneError as exc:
            return PlainTextResponse(str(exc), status_code=404)
        # `name` carries the image's hash, so what is behind an address never changes.
        caching = {"cache-control": "private, max-age=604800, immutable"}
        return Response(data, media_type="image/webp", headers=caching)

    return Route("/thumbnails/{sample_id}/{place}/{name}", thumbnail, methods=["GET"])
