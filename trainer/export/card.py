"""The model card: data version, recipe, figures, limits, and code that runs."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.vocabulary import LANGUAGES
from trainer.config import TrainConfig
from trainer.export.facts import Figure, TrainedModel
from trainer.export.markdown import code_block, code_span, one_line, plain_text

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_OWN_PREFIX = "sentence_transformers."
_HERE = 'SentenceTransformer("."'
_MAX_LISTED = 12
_INPUTS = {"T": "texts", "I": "images", "IT": "images with a text"}
_HEAD = re.compile(r"\A---\n.*?^---$", re.S | re.M)


def model_card(model: TrainedModel, directory: Path, title: str) -> str:
    """README.md of an exported model.

    Args:
        model: What was trained, on what, and how well it does.
        directory: The export, whose `modules.json` says whether it brings its own code.
        title: Heading, and the name under which its figures are listed.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trainer.export", ""),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # every text from outside goes through `markdown`
    )
    has_own_code = brings_code(directory)
    body = environment.get_template("card.md.jinja").render(
        title=plain_text(title),
        inputs=_enumerate([_INPUTS[kind] for kind in ("T", "I", "IT") if kind in model.takes]),
        dim=model.embedding_dim,
        note=plain_text(model.note),
        usage=code_block(usage(model, has_own_code=has_own_code), "python"),
        own_code=has_own_code,
        takes_instructions="IT" in model.takes,
        adapter="`adapter/` holds the LoRA alone, for peft."
        if (directory / "adapter").is_dir()
        else None,
        data=code_span(model.data.label),
        commit=model.data.commit and code_span(model.data.commit[:12]),
        manifest_hash=code_span(model.data.manifest_hash),
        num_rows=model.num_rows,
        languages=_languages(model.languages),
        left_out=model.left_out and plain_text(model.left_out).rstrip("."),
        teachers=_enumerate([code_span(name) for name in model.data.teacher_models[:_MAX_LISTED]]),
        recipe=_recipe(model),
        figures=[_figure_row(figure) for figure in model.figures],
        limits=_limits(model),
    )
    return f"---\n{card_head(model, title)}\n---\n\n{body}"


def card_head(model: TrainedModel, title: str) -> str:
    """The YAML block, without its `---` lines."""
    from huggingface_hub import ModelCardData

    results = [_result(figure) for figure in model.figures]
    bases = list(model.base_models)
    tune = model.config.model.tune
    tags = [
        "sentence-transformers",
        "feature-extraction",
        "multimodal",
        "multilingual",
        "polyscene",
    ]
    head = ModelCardData(
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        base_model=(bases[0] if len(bases) == 1 else bases) or None,
        base_model_relation="finetune" if bases and tune is not None else None,
        datasets=[model.data.repository] if model.data.repository else None,
        language=sorted(code for code in model.languages if code in LANGUAGES) or None,
        license=model.licence and one_line(model.licence),
        tags=tags if len(model.languages) > 1 else [tag for tag in tags if tag != "multilingual"],
        model_name=one_line(title) if results else None,
        eval_results=results or None,
    )
    return head.to_yaml(line_break="\n")


def _result(figure: Figure) -> "EvalResult":
    from huggingface_hub import EvalResult

    return EvalResult(
        task_type="sentence-similarity",
        task_name=one_line(figure.what),
        dataset_type=one_line(figure.repository or figure.data.partition("@")[0]),
        dataset_name=one_line(figure.data),
        dataset_config=figure.section and one_line(figure.section),
        dataset_split=figure.split and one_line(figure.split),
        dataset_revision=figure.commit and one_line(figure.commit),
        metric_type=re.sub(r"[^a-z0-9]+", "_", figure.name.lower().replace("@", "_at_")),
        metric_name=one_line(figure.name),
        metric_value=round(figure.value, 4),
    )


def brings_code(directory: Path) -> bool:
    """Whether sentence-transformers has to run the export's own Python files."""
    modules = json.loads((directory / "modules.json").read_text(encoding="utf-8"))
    return any(not str(module["type"]).startswith(_OWN_PREFIX) for module in modules)


def usage(model: TrainedModel, *, has_own_code: bool) -> str:
    """Code that loads the export from its own directory and embeds what the model takes."""
    takes = set(model.takes)
    trust = ", trust_remote_code=True" if has_own_code else ""
    lines = ["from PIL import Image"] if takes & {"I", "IT"} else []
    lines += ["from sentence_transformers import SentenceTransformer", ""]
    lines += [f'model = SentenceTransformer("."{trust})  # this directory, or its name on the Hub']
    if takes & {"I", "IT"}:
        lines += ['image = Image.open("photo.jpg")']
    sides: list[str] = []
    if "T" in takes:
        sides.append("texts")
        lines += ['texts = model.encode(["a red apple on a table", "ein Hund im Schnee"])']
    if "I" in takes:
        sides.append("images")
        lines += ["images = model.encode([image])"]
    if "IT" in takes:
        sides.append("both")
        lines += [
            "both = model.encode(",
            '    [{"text": "What is on the table?", "image": image}],',
            '    prompt="Answer the question about the picture.",',
            ")",
        ]
    lines += [f"print(model.similarity({sides[0]}, {side}))" for side in sides[1:] or sides]
    return "\n".join(lines)


def card_for_repository(card: str, repo_id: str) -> str:
    """The card with its code loading the model by its name on the Hub."""
    return card.replace(_HERE, f"SentenceTransformer({json.dumps(repo_id)}").replace(
        "  # this directory, or its name on the Hub", ""
    )


def is_empty_card(card: str) -> bool:
    """Whether a card is empty but for its head, as the Hub's own form leaves it."""
    return not _HEAD.sub("", card.strip().replace("\r\n", "\n"), count=1).strip()


def _recipe(model: TrainedModel) -> list[tuple[str, str]]:
    config = model.config
    lora = config.model.lora
    tuned = {
        "heads": "heads over frozen towers",
        "lora": f"LoRA, rank {lora.rank}, alpha {lora.alpha:g}"
        + (", DoRA" if lora.dora else "")
        + (", vision tower too" if lora.vision else ""),
        "full": "all weights",
        None: None,
    }[config.model.tune]
    rows = [
        ("model", code_span(config.model.name)),
        *([("trained", tuned)] if tuned else []),
        ("weights trained", f"{model.num_trained:,} of {model.num_weights:,}"),
        ("steps", f"{model.num_steps:,} of {_shown(config.batch_size)} queries"),
        ("batches", _shown(config.batching)),
        ("learning rate", _shown(config.learning_rate)),
        ("temperature", _temperature(config)),
        ("hard negatives", "yes" if config.loss.hard_negatives else "no"),
        ("text length", f"{config.model.max_tokens} tokens"),
        ("seed", str(config.seed)),
    ]
    if config.loss.matryoshka_dims:
        dims = ", ".join(map(str, config.loss.matryoshka_dims))
        rows.append(("also usable at", f"{dims} dimensions"))
    if config.cells is not None:
        rows.append(("cells", plain_text(", ".join(config.cells))))
    return rows


def _temperature(config: TrainConfig) -> str:
    return _shown(config.loss.temperature) + (", learned" if config.loss.learn_temperature else "")


def _figure_row(figure: Figure) -> dict[str, str]:
    where = figure.data + (f" ({figure.split})" if figure.split else "")
    return {
        "name": f"{plain_text(figure.what)}, {plain_text(figure.name)}",
        "value": f"{figure.value:.3f}",
        "interval": "{:.3f} to {:.3f}".format(*figure.interval) if figure.interval else "",
        "chance": "" if figure.chance is None else f"{figure.chance:.3f}",
        "where": code_span(where),
    }


def _limits(model: TrainedModel) -> list[str]:
    limits = [
        "It knows the kinds of pictures, texts and tasks of its training data and little else: "
        "measure it on your own data before you rely on it.",
        f"Texts are cut after {model.config.model.max_tokens} tokens.",
        "Similarities are for ranking; they are no probabilities, and those of different models "
        "cannot be compared.",
    ]
    if len(model.languages) < len(LANGUAGES):
        limits.append(f"Its training data had {_languages(model.languages)} and no other language.")
    if "IT" not in model.takes:
        limits.append("An image and a text cannot be embedded together as one input.")
    if model.licence is None:
        terms = _enumerate([plain_text(name) for name in list(model.data.licences)[:_MAX_LISTED]])
        limits.append(
            "No licence is stated here. That of what it was made from applies"
            + (f", and the terms of its data: {terms}." if terms else ".")
        )
    return limits


def _languages(codes: Sequence[str]) -> str:
    """Names of a few languages, or how many there are."""
    if len(codes) > _MAX_LISTED:
        return f"{len(codes)} languages"
    return _enumerate(
        [LANGUAGES[code].name if code in LANGUAGES else plain_text(code) for code in codes]
    )


def _enumerate(parts: Sequence[str]) -> str:
    """The parts as "a, b and c"; "" for none."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _shown(value: Any) -> str:
    return (
        "as the model suggests"
        if value is None
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
