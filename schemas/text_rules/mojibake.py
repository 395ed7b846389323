"""Finds text whose bytes were read in the wrong encoding: `cafÃ©` instead of `café`."""

import re

from schemas.text_rules.candidate import Candidate

#: What Windows shows for the bytes 0x80 to 0x9F; bytes from 0xA0 on are their own code points.
_WINDOWS = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_NEXT = f"\u0080-\u00bf{_WINDOWS}"
#: What every fault begins with, to be done quickly with sound texts.
_SUSPECT = re.compile(f"[\u00c2-\u00f4РС][{_NEXT}\u0401-\u040f\u0451-\u045f№Ґґ]")
#: Two to four bytes of UTF-8, one a character. Leads for which no language here has letters are
#: left out, so that `Spaß…` is none.
_SEQUENCE = re.compile(
    f"[\u00c2-\u00da][{_NEXT}]|[\u00e0-\u00ef][{_NEXT}]{{2}}|[\u00f0-\u00f4][{_NEXT}]{{3}}"
)
#: Signs that no word ends in and no sentence puts after one: a single such sequence is enough.
_SIGNS = "\u0080-\u009f¡¢£¤¥¦§¨¬\u00ad¯±´µ¶¸¼½¾¿€ƒ†‡ˆ‰•˜‚"
_CERTAIN = re.compile(
    f"[ÂÃ][{_SIGNS}©®°²³¹ªº™ŠŒŽšœžŸ]|[\u00c4-\u00da][{_SIGNS}]|â€[{_NEXT}]"
    f"|(?<=[a-z])[\u00c2-\u00d6\u00d8-\u00da][{_NEXT}]|[ÂÃ][{_NEXT}](?=[a-z])"
)
#: What may follow any word: a sequence of these alone proves nothing, as in `voilà »` and `CAFÉ…`.
_AFTER_A_WORD = frozenset("…‘’“”–—»›®™·\u00a0")
#: Cyrillic read as Windows-1251: each letter becomes `Р` or `С` and a sign, `РџСЂРё`.
_CYRILLIC = re.compile(
    "(?:[РС][ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—™љ›њќћџ\u00a0ЎўЈ¤Ґ¦§Ё©Є«¬\u00ad®Ї°±Ііґµ¶·ё№є»јЅѕї]){3}"
)
#: Replacement characters of UTF-8 read as GBK.
_CHINESE = "锟斤拷"
_ENOUGH = 2


def wrongly_decoded(candidate: Candidate) -> str | None:
    """UTF-8 that was read as Windows-1252, Latin-1, Windows-1251 or GBK.

    One sequence that no writing has is enough; else two are needed, and no fewer than other
    characters beyond ASCII.
    """
    return "wrongly_decoded" if any(map(is_wrongly_decoded, candidate.all_texts)) else None


def is_wrongly_decoded(text: str) -> bool:
    """Whether a text was read in the wrong encoding."""
    if text.isascii():
        return False
    if _CHINESE in text:
        return True
    if not _SUSPECT.search(text):
        return False
    if _CYRILLIC.search(text):
        return True
    if _CERTAIN.search(text):
        return True
    sequences = [found for found in _SEQUENCE.findall(text) if not {*found[1:]} <= _AFTER_A_WORD]
    if len(sequences) < _ENOUGH:
        return False
    num_others = sum(char > "\x7f" for char in text) - sum(map(len, sequences))
    return len(sequences) >= num_others
