"""`--engine` and what belongs to it: where a command's work on many images runs."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from builder.engines import Engine

ENGINES = ("local", "ray")

EngineOption = Annotated[
    str,
    typer.Option(
        help="Where the work runs: `local`, on this machine's threads, or `ray`, on the workers "
        "of a Ray cluster (extra `ray`; see docs/cluster.md). Both find the same."
    ),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="Of a cluster: HOST:6379, auto or ray://HOST:10001. Without it, a Ray is started on "
        "this machine's loopback and stopped at the end.",
    ),
]
NumWorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Workers of a Ray that is started here; as many as there are cores if not given.",
    ),
]


def start_engine(name: str, address: str | None, num_workers: int | None) -> "Engine":
    """Starts what the options name; close it, or use it as a context."""
    from builder.engines import open_engine

    if name not in ENGINES:
        raise typer.BadParameter(
            f"{name!r}; choose from {', '.join(ENGINES)}", param_hint="--engine"
        )
    if address is not None and name != "ray":
        raise typer.BadParameter("only for --engine ray", param_hint="--ray-address")
    return open_engine(name, address=address, num_workers=num_workers)
