"""Where work on many files runs: threads of this process, or the workers of a Ray cluster."""

from builder.engines.engine import ChunkPlan, Engine, EngineError
from builder.engines.local import LocalEngine
from builder.engines.storage import Storage, is_url
from builder.engines.worker_rates import WorkerRates, worker_name

__all__ = [
    "ChunkPlan",
    "Engine",
    "EngineError",
    "LocalEngine",
    "Storage",
    "WorkerRates",
    "is_url",
    "open_engine",
    "worker_name",
]


def open_engine(name: str, *, address: str | None = None, num_workers: int | None = None) -> Engine:
    """The engine a command line names; close it, or use it as a context.

    Args:
        name: "local" or "ray".
        address: Of a Ray cluster; one of this machine is started and stopped if None.
        num_workers: Threads, or workers of a Ray that is started here.

    Raises:
        EngineError: The cluster does not answer.
        MissingExtraError: Ray is named, and not installed.
    """
    if name == "local":
        return LocalEngine(num_workers)
    from builder.engines.ray_engine import RayEngine

    return RayEngine(address, num_workers=num_workers)
