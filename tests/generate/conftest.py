"""A scripted endpoint, a small image store and builds against them."""

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from builder.config import BuildConfig
from builder.generate.progress import Summary
from builder.generate.session import BuildOptions, run_build
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace, open_workspace
from tests.generate.fault_server import Faults, FaultServer
from tests.generate.replies import LANGUAGES

PLANTED_KEY = "sk-planted-8f2c41d07be9"


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four small pictures, each its own group."""
    directory = tmp_path_factory.mktemp("corpus") / "images"
    random = np.random.default_rng(0)
    with ImageStore(directory) as store:
        for number in range(24):
            pixels = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).resize((64, 64)).save(buffer, "PNG")
            store.add(buffer.getvalue(), group=f"g{number}", licence="cc0-1.0", source="test")
    return directory


@pytest.fixture
def new_workspace(images: Path, tmp_path: Path) -> Callable[[str], Workspace]:
    """Makes workspaces that hold the pictures."""
    import shutil

    def make(name: str = "workspace") -> Workspace:
        workspace = open_workspace(tmp_path / name, create=True)
        shutil.copytree(images, workspace.images_dir)
        return workspace

    return make


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FaultServer]]:
    """Starts scripted endpoints in a thread and points builds at the latest."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers: list[FaultServer] = []

    def start(
        faults: Faults | None = None,
        make: Callable[[Faults | None], FaultServer] = FaultServer,
    ) -> FaultServer:
        server = make(faults)
        server.faults.key = PLANTED_KEY
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        servers.append(server)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", PLANTED_KEY)
        return server

    yield start
    for server in servers:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def make_config(num_samples: int = 60, **fields: object) -> BuildConfig:
    """A configuration over the twelve languages that the endpoint writes."""
    content: dict[str, object] = {
        "num_samples": num_samples,
        "languages": dict.fromkeys(LANGUAGES, 1),
        "images": {"embedder": "descriptor", "window": (-1, 1)},
        "teacher": {
            "model": "scripted",
            "timeout_s": 5,
            "prices": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0},
        },
        "pace": {"max_in_flight": 16, "breaker_window_s": 2},
        **fields,
    }
    return BuildConfig.model_validate(content)


def build(workspace: Workspace, config: BuildConfig, **options: object) -> Summary:
    """A build whose output goes nowhere."""
    console = Console(file=io.StringIO())
    return run_build(workspace, config, BuildOptions(**options), console)  # type: ignore[arg-type]


def kept_rows(workspace: Workspace) -> list[tuple[bytes, bytes]]:
    """Kept samples and their provenance, as they would be released."""
    with Ledger(workspace.ledger_path) as ledger:
        return list(ledger.kept())
