"""The engine of many machines: Ray core tasks. Imported only when it is asked for."""

import contextlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from builder.engines.engine import Engine, EngineError, WorkerDied
from command_line.extras import require
from schemas.errors import PolysceneError

#: For a Ray that we start: no telemetry, loopback only, no hands on GPUs, one secret per run.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else the loopback address is replaced
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
#: How long an address may take to answer.
_ANSWER_S = 10.0
#: Sockets lie below Ray's directory, and their paths have at most 107 characters.
_MAX_TEMPORARY_CHARS = 40


class RayEngine(Engine):
    """Runs chunks as Ray tasks, one core each.

    A program that is connected to Ray already goes on using that connection.

    Args:
        address: Of a cluster: `HOST:6379`, `auto`, `ray://HOST:10001`. If None, one is started on
            this machine, on loopback, and stopped by `close`.
        num_workers: Workers of one that is started here; its cores if None.
        object_store_bytes: Shared memory of one that is started here; Ray decides if None.

    Raises:
        EngineError: No cluster answers there, or none can be started.
        MissingExtraError: Ray is not installed.
    """

    name = "ray"

    def __init__(
        self,
        address: str | None = None,
        *,
        num_workers: int | None = None,
        object_store_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        if address is None:
            self._stack.enter_context(_environment())  # some of it is read when Ray is imported
        require("ray", "ray")
        import ray

        self._ray: Any = ray
        if not ray.is_initialized():
            try:
                self._connect(address, num_workers, object_store_bytes)
            except BaseException:
                self._stack.close()
                raise
        self._task: Any = ray.remote(_run)
        self._has_gpus = ray.cluster_resources().get("GPU", 0) > 0

    def _connect(self, address: str | None, num_workers: int | None, store: int | None) -> None:
        if address is not None:
            _check_answers(address)
        options: dict[str, Any] = {"address": address, "log_to_driver": False}
        if address is None:
            options |= {
                "address": "local",
                "num_cpus": num_workers,
                "object_store_memory": store,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
                "_temp_dir": str(self._stack.enter_context(_short_directory())),
            }
        try:
            self._ray.init(**options, configure_logging=True, logging_level=logging.ERROR)
        except Exception as exc:  # Ray's own, and those of its connections
            problem = " ".join(str(exc).split())[:300]
            where = f"the Ray cluster at {address}" if address else "a Ray on this machine"
            raise EngineError(
                f"{where} cannot be used ({problem}). Check the address with `ray status`, and "
                "that the cluster has the same versions of Python and Ray."
            ) from exc
        self._stack.callback(self._ray.shutdown)
        if address is None:
            self._check_loopback()

    def _check_loopback(self) -> None:
        own = self._ray.get_runtime_context().gcs_address
        if not own.startswith("127.0.0.1:"):
            raise EngineError(
                f"Ray listens on {own}, as it was imported before with other settings. Set "
                "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before it is imported."
            )

    @property
    def num_workers(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def close(self) -> None:
        """Leaves the cluster, and stops it if it was started here."""
        self._stack.close()

    def share(self, value: Any) -> Any:
        """Puts the value into the cluster's shared memory."""
        return self._ray.put(value)

    def _submit(
        self, function: Callable[[Any, Any], Any], shared: Any, chunk: Any, uses_gpu: bool
    ) -> Any:
        # A worker's death is handled by `map_chunks`, so Ray retries nothing. A GPU is an option
        # of the call, since Ray ends a worker after each call of a task declared with one, and a
        # worker should keep the model that it has loaded.
        task = self._task.options(
            num_cpus=1, num_gpus=int(uses_gpu and self._has_gpus), max_retries=0
        )
        return task.remote(function, shared, chunk)

    def _result(self, handle: Any) -> Any:
        errors = self._ray.exceptions
        died = (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            errors.LocalRayletDiedError,
        )
        try:
            result = self._ray.get(handle)
        except died as exc:
            raise WorkerDied(_death(exc, errors)) from exc
        if isinstance(result, _Failure):
            raise EngineError(result.what)
        return result


class _Failure:
    """An error of ours in a worker: its text, as not every exception can be sent."""

    def __init__(self, what: str) -> None:
        self.what = what


def _run(function: Callable[[Any, Any], Any], shared: Any, chunk: Any) -> Any:
    """What a worker runs."""
    try:
        return function(shared, chunk)
    except PolysceneError as exc:
        return _Failure(str(exc))


def _check_answers(address: str) -> None:
    """Tries the port, as Ray itself waits for minutes where nothing listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():  # `auto`, `local`: Ray knows
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as exc:
        raise EngineError(
            f"no Ray cluster answers at {address} ({exc}). Start one with `ray start --head`, or "
            "leave --ray-address out to use this machine."
        ) from exc


def _death(exc: Exception, errors: Any) -> str:
    if isinstance(exc, errors.OutOfMemoryError):
        return "its machine ran out of memory"
    if isinstance(exc, errors.NodeDiedError):
        return "its machine left the cluster"
    return "its process ended"


@cache
def _token() -> str:
    """The secret that keeps other users of this machine out; Ray keeps one per process."""
    return secrets.token_hex(32)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Ray's settings while a cluster of our own runs."""
    settings = _ENVIRONMENT | {"RAY_AUTH_TOKEN": _token()}
    before = {name: os.environ.get(name) for name in (*settings, "RAY_AUTH_MODE")}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _short_directory() -> Iterator[Path]:
    """A temporary directory for Ray's logs and sockets."""
    usual = tempfile.gettempdir()
    made = tempfile.mkdtemp(
        prefix="ray-", dir="/tmp" if len(usual) > _MAX_TEMPORARY_CHARS else None
    )
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)
