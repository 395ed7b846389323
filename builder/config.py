"""The build's configuration: one YAML file, checked whole before the first request."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
import yaml
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from builder.card_config import CardConfig
from builder.checks_config import ChecksConfig
from builder.gates_config import GatesConfig
from command_line.config_file import (
    ConfigFile,
    ConfigFileProblem,
    describe_problems,
    read_config_file,
)
from schemas.errors import PolysceneError
from schemas.pictures import MAX_PICTURE_PIXELS
from schemas.vocabulary import LANGUAGES, TASK_TYPES, Modality, TaskType

Share = Annotated[float, Field(ge=0)]

_TARGET_FIELDS = {"num_samples", "languages", "task_shares", "modality_shares"}
#: The same jobs are planned whatever these say.
_UNDECIDING_FIELDS = {
    *("pace", "batch", "release", "card", "max_rounds", "max_slot_failures", "tolerance", "checks"),
    *("judge", "gates"),
}
#: Settings that only say how the endpoint is asked, by section. The workspace's hash holds these
#: values for them, whatever they are, so that it stays when they change.
DEFAULT_ENDPOINT_SETTINGS: dict[str, dict[str, Any]] = {
    "teacher": {"structured_output": "auto", "max_completion_tokens": 2_500},
    "images": {"max_side_px": 1_024},
}


class ConfigError(PolysceneError):
    """A configuration file is missing, unreadable or names something impossible."""


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


class PaceConfig(_Section):
    """How hard to push the endpoint; `max_in_flight` bounds the adaptive concurrency.

    After `no_response_timeout_s` without a word about any call under way, an endpoint is
    asked for its models; one that does not list them has hung and is given up.
    """

    max_in_flight: Annotated[int, Field(gt=0)] = 64
    initial_in_flight: Annotated[int, Field(gt=0)] = 8
    max_attempts: Annotated[int, Field(gt=0)] = 6
    breaker_window_s: Annotated[float, Field(gt=0)] = 20.0
    max_retry_after_s: Annotated[float, Field(gt=0)] = 300.0
    no_response_timeout_s: Annotated[
        float,
        Field(gt=0, validation_alias=AliasChoices("no_response_timeout_s", "silence_s")),
    ] = 40.0


class BatchConfig(_Section):
    """Limits of the provider's Batch API; OpenAI's are 50,000 requests and 200 MB a file.

    `max_open` bounds how many are under way at once; null is no bound.
    """

    max_requests: Annotated[int, Field(gt=0)] = 50_000
    max_bytes: Annotated[int, Field(gt=0)] = 180_000_000
    max_open: Annotated[int, Field(gt=0)] | None = 8
    poll_s: Annotated[float, Field(gt=0)] = 30.0
    completion_window: str = "24h"


class ImagesConfig(_Section):
    """Vetting of incoming images and the picking of positives and hard negatives.

    `embedder` is "auto", "efficientnet-lite0" (packaged, extra `embed`), "descriptor"
    (colours and edges, no weights: for pictograms and tests), or the name or
    directory of a Hugging Face vision model. Auto is the descriptor for a corpus of
    nothing but the bundled pictograms, else EfficientNet where it is installed;
    a corpus keeps what it was first planned with. `window` bounds the cosine
    similarity of a positive or hard negative to its query image: near enough to
    be related, not a copy. Null calibrates it on the corpus; the descriptor has
    one of its own.
    """

    embedder: str = "auto"
    window: tuple[float, float] | None = None
    num_neighbours: Annotated[int, Field(gt=1)] = 24
    max_side_px: Annotated[int, Field(ge=32)] = 1_024
    min_side_px: Annotated[int, Field(ge=1)] = 32
    max_image_pixels: Annotated[int, Field(gt=0, le=MAX_PICTURE_PIXELS)] = MAX_PICTURE_PIXELS
    max_image_bytes: Annotated[int, Field(gt=0)] = 50_000_000
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1


class ReleaseConfig(_Section):
    """Shape of a release; part of its policy, so of its bytes.

    Args:
        title: Heading of the card; the dataset's name when null.
        repo_id: OWNER/NAME it is published as, for the card's example that loads it.
        rows_per_shard: A shard has at most about this many rows. Also read under its former
            name `rows_a_shard`, which releases keep writing, so that their bytes stay the same.
        max_shard_bytes: And about this many bytes of images.
        min_reviews_to_reject: A row is rejected only if this many reviewers judged it.
        flagged: Rows that wait for a second look are held back, or kept.
        trim_surplus: Leave out what a cell and language have above the plan's share.
        licence: Of the texts, as the Hub names licences; "other" for the terms of the teacher's
            provider. Images keep their own.
    """

    title: str | None = None
    repo_id: str | None = None
    rows_per_shard: Annotated[
        int,
        Field(
            gt=0,
            validation_alias=AliasChoices("rows_per_shard", "rows_a_shard"),
            serialization_alias="rows_a_shard",
        ),
    ] = 25_000
    max_shard_bytes: Annotated[int, Field(gt=0)] = 500_000_000
    min_reviews_to_reject: Annotated[int, Field(ge=1)] = 1
    flagged: Literal["hold_back", "keep"] = "hold_back"
    trim_surplus: bool = False
    licence: Annotated[str, Field(validation_alias=AliasChoices("licence", "license"))] = "other"


class BuildConfig(_Section):
    """A whole build. Same config, images and seed: same plan.

    Args:
        name: Short name of the dataset; lower case, digits, `-` and `_`.
        num_samples: Accepted samples wanted in all.
        languages: "mme5" (English 43.1 %, thirteen at 2.7-3.0 %, the rest
            19.8 %), "uniform", or shares by language code.
        task_shares: Weight of each task type; the paper's 1 : 1 : 2.
        modality_shares: Weight of each modality combination inside a task
            type; uniform where not given.
        tolerance: Largest gap between wanted and accepted share at the end.
        max_rounds: Cap on rounds of planning what is still missing; one that an outage left
            without replies does not count when the build is run again, nor does one that asks for
            no more than one in a hundred of the samples wanted.
        max_slot_failures: A language in a cell (task type and modality combination) is given up
            after so many replies dropped in a row, and so is a language or a cell that brought
            nothing else; null never gives one up. Where one reply in two is fit, chance alone does
            that to one slot in 4,096. One that was never good is asked up to four times as often
            while all such slots cost less than a twentieth of the build.
    """

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
            description="up to 64 lower-case letters, digits, - and _, a letter or digit first",
        ),
    ] = "dataset"
    num_samples: Annotated[int, Field(gt=0)] = 1_000
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    languages: Literal["mme5", "uniform"] | dict[str, Share] = "mme5"
    task_shares: dict[TaskType, Share] = {"classification": 1, "vqa": 1, "retrieval": 2}
    modality_shares: dict[TaskType, dict[Modality, Share]] = {}
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.01
    max_rounds: Annotated[int, Field(gt=0)] = 6
    max_slot_failures: Annotated[int, Field(gt=0)] | None = 12
    teacher: TeacherConfig = TeacherConfig()
    judge: TeacherConfig | None = None
    pace: PaceConfig = PaceConfig()
    batch: BatchConfig = BatchConfig()
    images: ImagesConfig = ImagesConfig()
    checks: ChecksConfig = ChecksConfig()
    gates: GatesConfig = GatesConfig()
    release: ReleaseConfig = ReleaseConfig()
    card: CardConfig = CardConfig()

    @field_validator("languages", mode="before")
    @classmethod
    def _norwegian_is_no_boolean(cls, value: object) -> object:
        """YAML 1.1 reads an unquoted `no` as false; as a key here it can only mean Norwegian."""
        if not isinstance(value, dict):
            return value
        return {"no" if code is False else code: share for code, share in value.items()}

    @field_validator("judge")
    @classmethod
    def _judge_sees_no_captions(cls, judge: TeacherConfig | None) -> TeacherConfig | None:
        if judge is not None and judge.use_captions:
            raise ValueError(
                "judge.use_captions: a judge is shown no captions; only teacher has it"
            )
        return judge

    @model_validator(mode="after")
    def _shares_are_possible(self) -> Self:
        from schemas.vocabulary import CELLS

        if isinstance(self.languages, dict):
            unknown = sorted(set(self.languages) - set(LANGUAGES))
            if unknown:
                raise ValueError(f"languages: {', '.join(unknown)} not among the 93")
            if sum(self.languages.values()) <= 0:
                raise ValueError("languages: the shares sum to 0")
        if sum(self.task_shares.get(task, 0) for task in TASK_TYPES) <= 0:
            raise ValueError("task_shares: the shares sum to 0")
        possible = {(cell.task_type, cell.modality) for cell in CELLS}
        for task, shares in self.modality_shares.items():
            for modality in shares:
                if (task, modality) not in possible:
                    raise ValueError(f'modality_shares: {task} has no modality "{modality}"')
            if sum(shares.values()) <= 0:
                raise ValueError(f"modality_shares: the shares of {task} sum to 0")
        return self

    @property
    def plan_hash(self) -> str:
        """sha256 (hex) of what decides the plan: not the pace, the endpoint's address or prices.

        Nor the checks: what they drop is planned again, and replies can be checked anew. Nor the
        judge, who is asked about what is kept.
        """
        return _hash(self._decided())

    def lasting(
        self, settings: dict[str, dict[str, Any]] = DEFAULT_ENDPOINT_SETTINGS
    ) -> dict[str, object]:
        """What may never change in a workspace: what decides the set, less the targets.

        Args:
            settings: Values that stand for those which only say how the endpoint is asked.
        """
        decided = {name: v for name, v in self._decided().items() if name not in _TARGET_FIELDS}
        for section, values in settings.items():
            decided[section] |= values
        return decided

    @property
    def workspace_hash(self) -> str:
        """sha256 (hex) of `lasting`."""
        return self.workspace_hash_with(DEFAULT_ENDPOINT_SETTINGS)

    def workspace_hash_with(self, settings: dict[str, dict[str, Any]]) -> str:
        """The hash of a workspace begun with other settings of the endpoint.

        Earlier versions hashed them as they were.
        """
        return _hash(self.lasting(settings))

    def endpoint_settings(self) -> dict[str, dict[str, Any]]:
        """The settings that only say how the endpoint is asked, by section."""
        content = self.model_dump(mode="json", include=set(DEFAULT_ENDPOINT_SETTINGS))
        return {
            section: {name: content[section][name] for name in values}
            for section, values in DEFAULT_ENDPOINT_SETTINGS.items()
        }

    @property
    def targets(self) -> dict[str, object]:
        """The fields that say how many samples are wanted of what; a workspace may be given others.

        A round begun earlier ends as it was planned, so each is kept with its targets.
        """
        return self.model_dump(mode="json", include=_TARGET_FIELDS)

    def with_targets(self, targets: dict[str, object]) -> Self:
        """This configuration with the targets of an earlier day."""
        return self.model_validate(self.model_dump() | targets)

    def _decided(self) -> dict[str, Any]:
        decided: dict[str, Any] = self.model_dump(mode="json", exclude=_UNDECIDING_FIELDS)
        for field in ("base_url", "api_key_env", "timeout_s", "prices"):
            decided["teacher"].pop(field)
        if not decided["teacher"]["use_captions"]:  # workspaces begun before there was the choice
            del decided["teacher"]["use_captions"]
        # What "auto" stands for is kept with the images. Workspaces begun before there was the
        # word had the descriptor, and keep it.
        if decided["images"]["embedder"] == "auto":
            decided["images"]["embedder"] = "descriptor"
        return decided


def _hash(content: dict[str, object]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def load_config(path: Path) -> BuildConfig:
    """Reads a YAML configuration.

    Raises:
        ConfigError: Missing, not YAML, or a field is wrong; names file, line and field.
    """
    try:
        file = read_config_file(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}. Name a YAML configuration file.") from exc
    except ConfigFileProblem as exc:
        raise ConfigError(f"{path}: {exc}. Fix the file; nothing was sent.") from exc
    return _validated(file, str(path))


def config_from(settings: Mapping[str, object]) -> BuildConfig:
    """A configuration from settings as a YAML file would hold them.

    Raises:
        ConfigError: A setting is wrong; names it.
    """
    return _validated(ConfigFile(dict(settings)), "configuration")


def _validated(file: ConfigFile, where: str) -> BuildConfig:
    try:
        return BuildConfig.model_validate(file.content)
    except ValidationError as exc:
        problems = describe_problems(exc, BuildConfig, file)
        raise ConfigError(f"{where}: {problems} Fix the file; nothing was sent.") from exc


def save_config(config: BuildConfig, path: Path) -> None:
    """Writes the resolved configuration, so that a run can be repeated."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
