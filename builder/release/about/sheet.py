"""A white sheet as wide as a card, to draw a plot on; the same strokes give the same bytes.

A card is about 780 px wide on the Hub. Lengths here are in pixels at that
width; the files have twice as many, for sharp screens.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

INK = (38, 38, 46)
FAINT = (214, 216, 222)
PAPER = (255, 255, 255)
BAR = (47, 107, 160)
PALETTE = ((47, 107, 160), (217, 119, 54), (78, 150, 96), (150, 90, 160))

WIDTH = 780
MARGIN = 16
_SCALE = 2
#: Smallest size of letters.
SMALL = 12
LINE = 18

Colour = tuple[int, int, int]


class Sheet:
    """A white sheet as wide as a card, with a title."""

    def __init__(self, height: int, title: str) -> None:
        size = (WIDTH * _SCALE, height * _SCALE)
        self._image = Image.new("RGB", size, PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self.text(MARGIN, 12, title, size=20)

    def text(self, x: float, y: float, text: str, *, size: int = SMALL, anchor: str = "la") -> None:
        position = (x * _SCALE, y * _SCALE)
        self._draw.text(position, text, fill=INK, font=_font(size * _SCALE), anchor=anchor)

    def upright_text(self, x: float, bottom: float, text: str) -> None:
        """Writes from the bottom up, beginning at (x, bottom)."""
        font = _font(SMALL * _SCALE)
        _, _, width, height = map(int, font.getbbox(text))
        label = Image.new("RGB", (width, height), PAPER)
        ImageDraw.Draw(label).text((0, 0), text, fill=INK, font=font)
        turned = label.transpose(Image.Transpose.ROTATE_90)
        self._image.paste(turned, (round(x * _SCALE), round(bottom * _SCALE) - width))

    def box(
        self, x: float, y: float, width: float, height: float, fill: Colour, *, framed: bool = False
    ) -> None:
        corners = [side * _SCALE for side in (x, y, x + width, y + height)]
        outline = FAINT if framed else None
        if corners[2] > corners[0] and corners[3] > corners[1]:
            self._draw.rectangle(corners, fill=fill, outline=outline, width=_SCALE)

    def save(self, path: Path) -> None:
        self._image.save(path, format="PNG", optimize=False, compress_level=6)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
