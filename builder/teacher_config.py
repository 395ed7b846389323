"""The `teacher:` and `judge:` blocks of the configuration: models behind endpoints."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.vocabulary import LANGUAGES

_MAX_NAMED = 8


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Prices(_Section):
    """Price in US dollars a million tokens; given where the price table lacks the model."""

    input_usd_per_mtok: Annotated[float, Field(ge=0)]
    output_usd_per_mtok: Annotated[float, Field(ge=0)]


class TeacherConfig(_Section):
    """The model that writes, behind an OpenAI-compatible endpoint.

    `base_url` falls back to `OPENAI_BASE_URL`. The key comes from the
    environment variable that `api_key_env` names, and is never part of a
    configuration; where the variable is not set, none is sent. `use_captions`
    shows it what a source says about an image (caption, alternative text), as
    data that it need not believe. A judge is shown images and the sample alone.
    `replicas` are further addresses of the same model, for the same key: each has
    a pace of its own, and one that fails hands its requests to the others. A batch
    goes to the first.
    """

    model: str = "gpt-4o-2024-08-06"
    base_url: str | None = None
    api_key_env: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            description="the name of the environment variable that holds the key",
        ),
    ] = "OPENAI_API_KEY"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 1.0
    max_completion_tokens: Annotated[int, Field(gt=0)] = 2_500
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    structured_output: Literal["auto", "json_schema", "json_object", "text"] = "auto"
    prices: Prices | None = None
    extra_body: dict[str, object] = {}
    use_captions: bool = False
    replicas: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _addresses_differ(self) -> Self:
        addresses = [url.rstrip("/") for url in (self.base_url, *self.replicas) if url]
        if len(set(addresses)) < len(addresses):
            raise ValueError("replicas: an address is given twice")
        if self.replicas and self.base_url is None:
            raise ValueError("replicas: name the first address in `base_url`")
        return self


class NamedTeacher(TeacherConfig):
    """One of several teachers that write samples, each some of the jobs.

    Args:
        name: Lower-case letters, digits and _.
        weight: Its share of the jobs, beside the other teachers' of the same language.
        languages: Languages that only teachers naming them write in; null for all others.
    """

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_]{0,31}$",
            description="up to 32 lower-case letters, digits and _, a letter or digit first",
        ),
    ]
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    languages: tuple[str, ...] | None = None

    @field_validator("languages", mode="before")
    @classmethod
    def _norwegian_is_no_boolean(cls, value: object) -> object:
        """YAML 1.1 reads an unquoted `no` as false."""
        if not isinstance(value, list | tuple):
            return value
        return ["no" if code is False else code for code in cast("list[object]", value)]

    @property
    def role(self) -> str:
        """What it is called in the ledger."""
        return f"teacher_{self.name}"

    @property
    def has_address_of_its_own(self) -> bool:
        """Whether it names an address and no key, so that another's key would go there."""
        return self.base_url is not None and "api_key_env" not in self.model_fields_set


def require_teachers_fit(
    teachers: tuple[NamedTeacher, ...], teacher: TeacherConfig, languages: Iterable[str]
) -> None:
    """Checks a list of teachers.

    Args:
        teachers: At least one.
        teacher: The single teacher, which must not be given as well.
        languages: Every language with a share.

    Raises:
        ValueError: They do not fit together; says why.
    """
    if teacher != TeacherConfig():
        raise ValueError("teachers: `teacher` is given too; put it into the list, with a name")
    names = [one.name for one in teachers]
    if len(set(names)) < len(names):
        raise ValueError("teachers: a name is given twice")
    unknown = sorted({code for one in teachers for code in one.languages or ()} - set(LANGUAGES))
    if unknown:
        raise ValueError(f"teachers: {', '.join(unknown)} not among the 93 languages")
    if all(one.languages is not None for one in teachers):
        written = {code for one in teachers for code in one.languages or ()}
        missing = [code for code in languages if code not in written]
        if missing:
            more = len(missing) - _MAX_NAMED
            named = ", ".join(missing[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
            raise ValueError(
                f"teachers: none writes in {named}; leave out the `languages` of one teacher, or "
                "name one for them"
            )
    by_model: dict[str, Prices | None] = {}
    for one in teachers:
        if by_model.setdefault(one.model, one.prices) != one.prices:
            raise ValueError(f"teachers: {one.model} has two prices; give one, or two model names")
