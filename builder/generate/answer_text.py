"""What of a reply's text is its answer: JSON objects in it, and the thoughts around them."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Longer texts are not searched. Thoughts of 100,000 tokens are about this long.
MAX_SEARCHED_CHARS = 500_000
#: Characters read in vain, over all places where an object might begin, before a search ends: so a
#: text full of braces costs no more than its own length some times over.
_MAX_CHARS_IN_VAIN = 4 * MAX_SEARCHED_CHARS

_THOUGHT = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratch_?pad)"
#: Where thoughts begin and end. In brackets of any kind, with a name space or pipes: `<think>`,
#: `</seed:think>`, `[THINK]`, `◁/think▷`, `<|END_THINKING|>`. Besides: channels of gpt-oss, with
#: and without their special tokens, of Gemma 4 and of Kimi K3; Apertus; Granite 3. A mark begins
#: with a bracket, which is found fast, or is one of few words.
#: Source: the reasoning parsers of vLLM 0.22.
_BRACKET_MARK = re.compile(
    rf"""[<\[◁⟨【](?:
    (?<=<)\|channel\|>\s*(?P<channel>\w+)[^<>]{{0,80}}
        (?:<\|constrain\|>[^<>]{{0,80}})?<\|message\|>
    | (?P<begin> (?<=<)(?: \|channel>(?:\s*{_THOUGHT}\b)? | \|open\|>{_THOUGHT}<\|sep\|>
        | \|inner_prefix\|> ))
    | (?P<end> (?<=<)(?: channel\|> | \|close\|>{_THOUGHT}<\|sep\|> | \|inner_suffix\|> ))
    | [|｜]?
        (?:(?P<closing>/|end[_▁\ ](?:of[_▁\ ])?)|(?:begin|start)[_▁\ ](?:of[_▁\ ])?)?
        (?:\w{{1,20}}:)?{_THOUGHT}[|｜]?[>\]▷⟩】]
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_WORD_MARK = re.compile(
    r"""
    (?P<begin> \bHere(?:\ is|'s)\ my\ thought\ process: )
    | (?P<end> \bHere(?:\ is|'s)\ my\ response:
        | assistantfinal(?=[\s`]*(?:json)?\s{0,9}\{) )
    """,
    re.IGNORECASE | re.VERBOSE,
)
#: One of them is in a text that has a mark of words.
_WORDS_OF_MARKS = ("my thought process:", "my response:", "assistantfinal")
#: How an object begins, be its keys in the wrong quotes or in none; unlike a brace in prose.
_BEGIN = re.compile(r"""\{\s*+(?:(?P<json>["}])|['\u201c]|\w++\s*+:)""")
#: The decoder counts lines up to where it fails, so it is given the rest of a text, from time to
#: time a shorter one.
_CHARS_PER_SLICE = 4_096
#: A place where no object is costs the time of reading so many characters.
_CHARS_PER_TRY = 32
#: Integers of any length, which Python refuses to convert.
_DECODER = json.JSONDecoder(parse_int=float)

#: Start and end of a part of a text.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FoundObjects:
    """JSON objects in a text that are in no other object, in its order.

    Args:
        spans: Where they are.
        is_broken: Whether something else begins like an object and is none.
    """

    spans: tuple[Span, ...]
    is_broken: bool


def find_objects(text: str) -> FoundObjects:
    """Finds the JSON objects in a text, in time that grows with its length.

    What begins like an object and does not end is taken to be cut off: nothing
    inside it counts.
    """
    if len(text) > MAX_SEARCHED_CHARS:
        return FoundObjects((), is_broken=True)
    spans: list[Span] = []
    is_broken = False
    num_in_vain = offset = 0
    rest = text
    begin = _BEGIN.search(text)
    while begin is not None and num_in_vain < _MAX_CHARS_IN_VAIN:
        start, end = begin.start(), begin.start() + 1
        if start - offset > _CHARS_PER_SLICE:
            rest, offset = text[start:], start
        is_json = begin["json"] is not None
        stop, num_read = _decode(rest, start - offset) if is_json else (None, 0)
        if stop is not None:
            end = stop + offset
            spans.append((start, end))
        else:
            is_broken = True
            num_in_vain += num_read + _CHARS_PER_TRY
            if num_read >= len(text) - start:
                break
        begin = _BEGIN.search(text, end)
    return FoundObjects(tuple(spans), is_broken or num_in_vain >= _MAX_CHARS_IN_VAIN)


def _decode(text: str, start: int) -> tuple[int | None, int]:
    """Where the object that begins at `start` ends, and how many characters were read."""
    try:
        _, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as exc:
        is_cut = exc.msg.startswith("Unterminated")
        return None, (len(text) if is_cut else exc.pos) - start
    except RecursionError:
        return None, len(text) - start
    return end, end - start


def find_thoughts(text: str) -> list[Span]:
    """Finds the thoughts in a text, marks included.

    A thought may lack its beginning, which the server's template has written;
    then everything before its end is part of it. One without an end goes on
    to the end of the text.
    """
    thoughts: list[Span] = []
    begun: int | None = None
    for mark in _marks(text):
        if not _ends(mark):
            begun = mark.start() if begun is None else begun
            continue
        if begun is None:
            thoughts = [(0, mark.end())]
        else:
            thoughts.append((begun, mark.end()))
        begun = None
    if begun is not None:
        thoughts.append((begun, len(text)))
    return thoughts


def _marks(text: str) -> Iterator[re.Match[str]]:
    """Marks in a text's order; one that begins inside another is none."""
    marks: Iterable[re.Match[str]] = _BRACKET_MARK.finditer(text)
    lowered = text.lower()
    if any(word in lowered for word in _WORDS_OF_MARKS):
        marks = sorted([*marks, *_WORD_MARK.finditer(text)], key=lambda mark: mark.start())
    end = 0
    for mark in marks:
        if mark.start() >= end:
            end = mark.end()
            yield mark


def without(text: str, thoughts: list[Span]) -> str:
    """A text without its thoughts."""
    rest: list[str] = []
    place = 0
    for start, end in thoughts:
        rest.append(text[place:start])
        place = end
    rest.append(text[place:])
    return "".join(rest).strip()


def _ends(mark: re.Match[str]) -> bool:
    """Whether a mark ends a thought rather than beginning one."""
    found = mark.groupdict()
    if found.get("channel") is not None:
        return found["channel"].lower() == "final"
    return found["end"] is not None or found.get("closing") is not None
