"""A JPEG file without metadata; what its decoder reads stays as it is, byte for byte."""

import re

_START = b"\xff\xd8"
_END = b"\xff\xd9"
_SCAN = 0xDA
_JFIF, _ADOBE = 0xE0, 0xEE
#: What a decoder needs: frames, tables, restart interval and the rest of the standard's own
#: markers. Application data (E0-EF), comments (FE) and reserved ones (F0-FD) are none of it.
_NEEDED = frozenset(range(0xC0, 0xE0)) - {0xD8, 0xD9, *range(0xD0, 0xD8)}
#: The end of a scan: a marker that is neither a stuffed zero nor a restart.
_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


def clean_jpeg(data: bytes) -> bytes | None:
    """The file without metadata, thumbnails or anything after its first picture.

    Of application data only the plain JFIF header and Adobe's colour transform
    are kept, for decoders read the colours by them.

    Returns:
        None if the file does not follow the format closely enough to be cut.
    """
    if data[:2] != _START:
        return None
    kept = [_START]
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes before a marker
            at += 1
        if data[at : at + 2] == _END:
            return b"".join([*kept, _END])
        if at + 4 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        is_segment = marker in _NEEDED or 0xE0 <= marker <= 0xFE
        if not is_segment or length < 2 or end > len(data):
            return None
        if marker == _SCAN:
            after = _AFTER_SCAN.search(data, end)
            if after is None:
                return None
            kept.append(data[at : after.start()])
            at = after.start(1) - 1
            continue
        kept.append(_kept_of(marker, data[at:end]))
        at = end


def _kept_of(marker: int, segment: bytes) -> bytes:
    """What stays of a segment: all, its plain header, or nothing."""
    if marker in _NEEDED:
        return segment
    body = segment[4:]
    if marker == _JFIF and body[:5] == b"JFIF\0" and len(body) >= 14:
        # Without its thumbnail, whose size are the last two bytes.
        return segment[:2] + (16).to_bytes(2, "big") + body[:12] + b"\0\0"
    if marker == _ADOBE and body[:5] == b"Adobe" and len(body) >= 12:
        return segment[:2] + (14).to_bytes(2, "big") + body[:12]
    return b""
