"""The Jinja that templates may use: values, conditions, loops, blocks and includes, all bounded."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, Template, TemplateNotFound, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_RENDERED_CHARS = 200_000
_MAX_INCLUDES = 500
_MAX_JOINED = 10_000
#: Filters that hardly lengthen what they are given.
_FILTERS = (
    *("capitalize", "default", "d", "first", "last", "length", "lower", "reverse", "sort"),
    *("string", "title", "trim", "upper"),
)
#: What templates go without: with any of these, a short one can render without an end.
_REFUSED: tuple[tuple[type[nodes.Node], str], ...] = (
    (nodes.Macro, "macros"),
    (nodes.CallBlock, "calls"),
    (nodes.FilterBlock, "filter blocks"),
    (nodes.Import, "imports"),
    (nodes.FromImport, "imports"),
    (nodes.Assign, "`set`"),
    (nodes.AssignBlock, "`set`"),
    (nodes.With, "`with`"),
    (nodes.Mul, "multiplication"),
    (nodes.Pow, "powers"),
    (nodes.Mod, "`%`"),
)
_IN_LOOP = (nodes.For, nodes.Include, nodes.Block)
Source = Callable[[str], tuple[str, str] | None]


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """Renders templates from texts; an unknown variable is an error, and so is what has no bound.

    Args:
        source: Name of a template -> its file, as errors name it, and its text; None where there
            is none.
    """

    def __init__(self, source: Source) -> None:
        # No HTML here, so nothing to escape: autoescaping would spoil quotes and ampersands.
        super().__init__(
            loader=_Texts(source),
            autoescape=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.globals.clear()
        self.filters = {name: FILTERS[name] for name in _FILTERS} | {"join": _join}
        self._num_loaded = 0

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Renders a template.

        Raises:
            TemplateError: It is missing, not valid, uses what it is not given, or has no bound.
        """
        self._num_loaded = 0
        text = self.get_template(name).render(values)
        if len(text) > MAX_RENDERED_CHARS:
            raise SecurityError(f"it renders more than {MAX_RENDERED_CHARS:,} characters")
        return text

    def get_template(self, name: Any, parent: Any = None, globals: Any = None) -> Template:
        """As Jinja's; counts, as templates may include one another many times."""
        self._num_loaded += 1
        if self._num_loaded > _MAX_INCLUDES:
            raise SecurityError(f"it includes more than {_MAX_INCLUDES} templates")
        return super().get_template(name, parent, globals)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for kind, words in _REFUSED:
            for node in tree.find_all(kind):
                raise TemplateSyntaxError(f"{words} cannot be used", node.lineno, name, filename)
        for call in tree.find_all(nodes.Call):
            if not (isinstance(call.node, nodes.Name) and call.node.name == "super"):
                raise TemplateSyntaxError("calls cannot be used", call.lineno, name, filename)
        for loop in tree.find_all(nodes.For):
            for inner in loop.find_all(_IN_LOOP):
                words = "loops, includes and blocks cannot be used inside a loop"
                raise TemplateSyntaxError(words, inner.lineno, name, filename)
        return tree


class _Texts(BaseLoader):
    def __init__(self, source: Source) -> None:
        self._source = source

    def get_source(
        self, environment: Any, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        found = self._source(template)
        if found is None:
            raise TemplateNotFound(template)
        filename, text = found
        return text, filename, lambda: True


def _join(values: Iterable[Any], between: str = "") -> str:
    parts = [str(value) for value in islice(values, _MAX_JOINED + 1)]
    num_chars = sum(map(len, parts)) + len(str(between)) * len(parts)
    if len(parts) > _MAX_JOINED or num_chars > MAX_RENDERED_CHARS:
        raise SecurityError("`join` makes a text that is too long")
    return str(between).join(parts)
