"""`builder select`: a balanced choice among more samples than needed."""

from pathlib import Path
from typing import Annotated

import typer


def select(
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="YAML configuration; the workspace's own if not given."
        ),
    ] = None,
    num: Annotated[
        int | None,
        typer.Option(min=1, help="Samples to choose, instead of the configuration's; needs -o."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides between equally good samples.")] = 0,
    repeat_cost: Annotated[
        float,
        typer.Option(min=0, max=10, help="How much a repeated picture or instruction counts."),
    ] = 0.1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the ids chosen, one per line.")
    ] = None,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Set the others aside, so that releases leave them out."),
    ] = False,
) -> None:
    """Choose the samples that meet the shares: the best ones, and as varied as they can be.

    Looks at kept samples and at those set aside as surplus. Of each language in each cell it takes
    as many as the configuration wants, by the teacher's scores and alignment; a picture or
    instruction that a better sample has already counts against a sample. The same seed chooses the
    same samples. Only reports unless --apply or -o is given; what is set aside stays on disk.

        python -m builder select
        python -m builder select --apply
    """
    import sys
    from contextlib import nullcontext

    from builder.api.settings import read_settings
    from builder.balance import wanted_targets
    from builder.balance.choose import apply_choice, choose, figures_of, read_candidates
    from builder.ledger.ledger import Ledger
    from builder.plan.shares import targets_of
    from builder.workspace import open_workspace
    from schemas.errors import naming

    if num is not None and apply:
        raise typer.BadParameter(
            "--num with --apply: the next build would ask for what is set aside. Set num_samples "
            "in the configuration and build first, or write the ids with -o."
        )
    opened = open_workspace(workspace)
    wanted = read_settings(config, opened)
    if num is not None:
        wanted = wanted.model_copy(update={"num_samples": num})
    # What is set aside is decided on what no build changes meanwhile.
    with opened.locked() if apply else nullcontext(), Ledger(opened.ledger_path) as ledger:
        targets = wanted_targets(wanted, ledger) if num is None else targets_of(wanted)
        candidates = read_candidates(ledger)
        choice = choose(candidates.samples, targets.by_slot, seed, repeat_cost)
        for name, mask in (("all", None), ("chosen", choice.is_chosen)):
            figures = figures_of(candidates.samples, mask)
            print(
                f"{name:>7}: {figures.num:>9,} samples, mean score {figures.quality:.3f}, "
                f"{figures.num_images:,} pictures, {figures.num_instructions:,} instructions"
            )
        if choice.short:
            slots = ", ".join(
                f"{language} {task} {modality} {short:,}"
                for (task, modality, language), short in list(choice.short.items())[:5]
            )
            print(
                f"select: {sum(choice.short.values()):,} samples short in {len(choice.short):,} "
                f"slots ({slots}{', …' if len(choice.short) > 5 else ''})",
                file=sys.stderr,
            )
        if output is not None:
            ids = candidates.samples["id"].filter(choice.is_chosen).to_pylist()
            with naming(output):
                output.write_text("".join(f"{each}\n" for each in ids), encoding="utf-8")
        if apply:
            aside, back = apply_choice(ledger, candidates, choice)
            print(f"select: {aside:,} set aside as surplus, {back:,} kept again", file=sys.stderr)


def register(app: typer.Typer) -> None:
    app.command()(select)
