"""`trainer weak-spots`: from an evaluation to the shares of the next round."""

from pathlib import Path

from rich.console import Console

from trainer.weak_spots import (
    BLOCK_NAME,
    find_weak_spots,
    weak_spot_tables,
    write_weak_spots,
)


def run_weak_spots(
    evaluation: Path, output: Path | None, *, strength: float, max_share: float
) -> None:
    """Prints the weakest languages and cells and the block for the builder's configuration."""
    spots = find_weak_spots(evaluation, strength=strength, max_share=max_share)
    console = Console(stderr=True)
    for table in weak_spot_tables(spots):
        console.print(table)
    print(spots.block(), end="")
    if output is not None:
        write_weak_spots(spots, output)
        console.print(f"{output / BLOCK_NAME}", markup=False, highlight=False)
