"""The most a call can cost, estimated before it is sent."""

from collections.abc import Callable
from functools import lru_cache
from math import ceil

from builder.config import TeacherConfig
from builder.cost.price import Price
from builder.cost.tokens import image_tokens, sent_size
from builder.endpoint.requests import Request, RequestFactory

_ASCII = bytes(range(128))
#: The fewest bytes of English and JSON that make a token; tokenisers in use take 3 to 5.
_ASCII_BYTES_PER_TOKEN = 2
#: No model in use makes more tokens of a picture, where its own formula is not known.
_PIXELS_PER_TOKEN = 16 * 16
_MILLION = 1_000_000


class CostUpperBound:
    """The most a call can cost: its prompt, and a reply as long as it may be.

    Args:
        price: The model's.
        factory: Its requests.
        image_size: Image by sha256 -> width and height in the store.
        max_side_px: Larger images are sent in this size.
    """

    def __init__(
        self,
        price: Price,
        factory: RequestFactory,
        image_size: Callable[[str], tuple[int, int]],
        max_side_px: int,
    ) -> None:
        self._price = price
        self._factory = factory
        self._image_size = image_size
        self._max_side_px = max_side_px
        self._reply_tokens = max_reply_tokens(factory.teacher)
        self._image_tokens = lru_cache(4096)(self._count_image)

    def usd(self, request: Request) -> float:
        """The most the request can cost."""
        prompt_tokens = sum(map(text_tokens, self._factory.texts(request)))
        prompt_tokens += sum(map(self._image_tokens, request.job.images))
        cost = prompt_tokens * self._price.input + self._reply_tokens * self._price.output
        return cost / _MILLION

    def _count_image(self, sha256: str) -> int:
        width, height = sent_size(*self._image_size(sha256), self._max_side_px)
        known = image_tokens(self._factory.teacher.model, width, height)
        return max(known, ceil(width * height / _PIXELS_PER_TOKEN))


def text_tokens(text: bytes) -> int:
    """The most tokens a text makes: one for each byte that is not ASCII, half as many for others.

    Scripts that a tokeniser was hardly trained on come near to that.
    """
    num_wide = 0 if text.isascii() else len(text.translate(None, _ASCII))
    return num_wide + ceil((len(text) - num_wide) / _ASCII_BYTES_PER_TOKEN)


def max_reply_tokens(teacher: TeacherConfig) -> int:
    """The most tokens of a reply, thoughts included; `extra_body` may raise it."""
    given = (teacher.extra_body.get(name) for name in ("max_completion_tokens", "max_tokens"))
    return max(teacher.max_completion_tokens, *(n for n in given if isinstance(n, int)), 0)
