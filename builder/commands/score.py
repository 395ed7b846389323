"""`builder score`: how well the text of each kept sample fits its picture."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median_low, quantiles
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from builder.scoring.score import Scored

_LANGUAGES_SHOWN = 12


def score(
    scorer: Annotated[
        str,
        typer.Option(
            help="A directory that `python -m trainer train` exported, or an image-text model "
            "on the Hub, such as google/siglip2-base-patch16-224."
        ),
    ],
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
    trust_code: Annotated[
        bool,
        typer.Option("--trust-code", help="Let Python code that comes with the model run."),
    ] = False,
    suspects: Annotated[
        int, typer.Option(min=0, max=1_000, help="How many of the lowest scores to show.")
    ] = 10,
) -> None:
    """Score every kept sample with a text and a picture, without asking the teacher.

    The scores become the column `alignment` of the next release. Its file scores.parquet names
    the suspects: the 5 % with the lowest scores, and the 5 % whose hard negative fits best. The
    review app shows them first.
    Where groups of pictures have several texts, a text is compared with what all other samples
    say of its group and of every other; else the score is the cosine of text and picture.

    With `gates: {alignment_share: 0.05}` in the workspace's configuration, the lowest 5 % of
    all scored samples are dropped as `low_alignment`; the next `build` fills what is missing.
    """
    from rich.console import Console

    from builder.config import load_config
    from builder.generate.judge_report import print_judge
    from builder.images.store import ImageStore
    from builder.ledger.gates import apply_gates
    from builder.ledger.ledger import Ledger
    from builder.ledger.suspects import suspects as suspects_of
    from builder.progress import stage_bars
    from builder.scoring.models import load_scorer
    from builder.scoring.score import score_samples
    from builder.workspace import open_workspace

    console = Console(stderr=True)
    opened = open_workspace(workspace)
    config = load_config(opened.config_path)
    model = load_scorer(scorer, trusts_code=trust_code)
    with (
        opened.locked(),
        Ledger(opened.ledger_path) as ledger,
        ImageStore(opened.images_dir) as store,
    ):
        with stage_bars("embedded", console=console) as progress:
            scored = score_samples(ledger, store, model, progress)
        dropped = apply_gates(ledger, config.gates)
        _print_summary(scored, console, suspects)
        print_judge(ledger, config.gates, console)
    parts = list(suspects_of(scored.scores).values())
    typer.echo(
        f"{parts.count('positive'):,} samples are suspected for their positive and "
        f"{parts.count('negative'):,} for their hard negative; the review app shows them first."
    )
    for reason, num in dropped.items():
        if num:
            typer.echo(f"{num:,} samples dropped as {reason} (gates of the configuration).")


def _print_summary(scored: "Scored", console: "Console", num_suspects: int) -> None:
    console.print(_languages(scored))
    if num_suspects:
        console.print(_suspects(scored, num_suspects))
    typer.echo(
        f"{len(scored.pairs):,} of {scored.num_rows:,} samples scored with {scored.scorer} "
        f"by the {scored.rule}: {scored.num_groups:,} groups of pictures, "
        f"{scored.texts_per_group:.1f} texts each."
    )
    ranks = [entry.picture_rank for entry in scored.scores if entry.picture_rank is not None]
    typer.echo(
        f"Half of the texts find their own picture at place {median_low(ranks):,} or better among "
        f"{scored.scores[0].num_ranked:,} pictures."
    )
    if not scored.is_joint:
        typer.echo(
            "With fewer than 3 texts a group the cosine finds about half of the mistakes that "
            "comparing all groups would find; a judge sees more."
        )


def _languages(scored: "Scored") -> "Table":
    """Scores by language, the lowest mean first."""
    from rich.table import Table

    by_language: dict[str, list[float]] = defaultdict(list)
    for entry in scored.scores:
        by_language[entry.language].append(entry.score)
    table = Table(title=f"Scores ({scored.rule})", title_justify="left")
    table.add_column("language")
    for name in ("samples", "mean", "lowest 5 % below", "median"):
        table.add_column(name, justify="right")
    rows = sorted(by_language.items(), key=lambda item: fmean(item[1]))
    everything = [entry.score for entry in scored.scores]
    for language, scores in [("all", everything), *rows[:_LANGUAGES_SHOWN]]:
        low, middle = _quantiles(scores)
        table.add_row(
            language, f"{len(scores):,}", f"{fmean(scores):.3f}", f"{low:.3f}", f"{middle:.3f}"
        )
    return table


def _quantiles(scores: Sequence[float]) -> tuple[float, float]:
    """The 5 % and 50 % quantiles."""
    if len(scores) == 1:
        return scores[0], scores[0]
    cuts = quantiles(scores, n=20, method="inclusive")
    return cuts[0], cuts[9]


def _suspects(scored: "Scored", num: int) -> "Table":
    """The lowest scores with their texts, which are data and no markup."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Lowest scores", title_justify="left")
    for name in ("score", "language", "sample", "text"):
        table.add_column(name, justify="right" if name == "score" else "left")
    pairs = zip(scored.scores, scored.pairs, strict=True)
    for entry, pair in sorted(pairs, key=lambda pair: pair[0].score)[:num]:
        text = Text(pair.text[:80], overflow="ellipsis", no_wrap=True)
        table.add_row(f"{entry.score:.3f}", entry.language, pair.sample_id, text)
    return table


def register(app: typer.Typer) -> None:
    app.command()(score)
