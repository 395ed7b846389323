"""PNG, WebP and GIF files without metadata; the pixels' own data stays as it is."""

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_HAS_ALPHA = 0x10


def clean_png(data: bytes) -> bytes | None:
    """The file without ancillary chunks but transparency, and without anything after its end.

    Returns:
        None if it is not a well-formed row of chunks, or animated.
    """
    if data[:8] != _PNG_START:
        return None
    kept = [_PNG_START]
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if end > len(data) or name == b"fdAT":
            return None
        if name in _PNG_NEEDED:
            kept.append(data[at:end])
        if name == b"IEND":
            return b"".join(kept)
        at = end
    return None


def clean_webp(data: bytes) -> bytes | None:
    """The file with its picture and transparency only; in the simple form where it has none.

    Returns:
        None if it is not a well-formed row of chunks, or animated.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    chunks: dict[bytes, bytes] = {}
    at, stop = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= stop:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > len(data):
            return None
        chunks.setdefault(data[at : at + 4], data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    names = [name for name in (b"VP8 ", b"VP8L") if name in chunks]
    if len(names) != 1 or b"ANMF" in chunks:
        return None
    parts = [_chunk(names[0], chunks[names[0]])]
    canvas = chunks.get(b"VP8X", b"")
    if b"ALPH" in chunks and names[0] == b"VP8 ":
        if len(canvas) != 10:
            return None
        flags = bytes([_HAS_ALPHA, 0, 0, 0])
        parts = [_chunk(b"VP8X", flags + canvas[4:]), _chunk(b"ALPH", chunks[b"ALPH"]), *parts]
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def clean_gif(data: bytes) -> bytes | None:
    """The file's first frame, without comments, texts and application data.

    Returns:
        None if it is not a well-formed row of blocks.
    """
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 13:
        return None
    at = 13 + _colour_table_bytes(data[10])
    kept = [data[:at]]
    control = b""
    while at < len(data):
        if data[at] == 0x21:  # an extension
            end = _after_blocks(data, at + 2)
            if end is None:
                return None
            if data[at + 1] == 0xF9:  # graphic control: transparency
                control = data[at:end]
            at = end
        elif data[at] == 0x2C and at + 10 <= len(data):  # a frame
            end = _after_blocks(data, at + 11 + _colour_table_bytes(data[at + 9]))
            return None if end is None else b"".join([*kept, control, data[at:end], b";"])
        else:
            return None
    return None


def _colour_table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int | None:
    """Where a row of sub-blocks ends, or None if the file ends before."""
    while at < len(data):
        size = data[at]
        at += 1 + size
        if size == 0:
            return at
    return None
