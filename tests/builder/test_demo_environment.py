"""The demo's commands reach its own servers, whatever the user's environment points to."""

import os
import subprocess
import sys
from pathlib import Path

from builder.demo.environment import demo_environment
from builder.lexicon_teacher import MODEL, running_teacher
from tests.hub_server import WRITE_TOKEN, running_hub

NOWHERE = "http://127.0.0.1:9"
LEADS_AWAY = {
    "http_proxy": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "ALL_PROXY": "socks5h://127.0.0.1:9",
    "NO_PROXY": "example.org",
    "HF_ENDPOINT": NOWHERE,
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_TOKEN": "hf_of_the_user",
    "OPENAI_BASE_URL": NOWHERE,
    "OPENAI_API_KEY": "sk-of-the-user",
}
ASK_BOTH = """
import datasets, huggingface_hub, openai
print(openai.OpenAI(max_retries=0).models.list().data[0].id)
huggingface_hub.HfApi().create_repo("demo/words", repo_type="dataset")
huggingface_hub.HfApi().upload_file(
    path_or_fileobj=b"word\\nfig\\n", path_in_repo="words.csv", repo_id="demo/words",
    repo_type="dataset",
)
print(datasets.load_dataset("demo/words", split="train")[0]["word"])
"""


def test_proxies_and_offline_modes_do_not_stop_the_demo(tmp_path: Path) -> None:
    caches = {name: str(tmp_path / name) for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE")}
    users = {**os.environ, **LEADS_AWAY, **caches}
    home = tmp_path / "hf_home"
    with running_teacher() as endpoint, running_hub(tmp_path / "hub") as hub:
        own = demo_environment(users, endpoint=endpoint, hub=hub.url, token=WRITE_TOKEN, home=home)
        astray, done = (
            subprocess.run(
                [sys.executable, "-c", ASK_BOTH],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            for environment in (users, own)
        )
    assert astray.returncode != 0
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [MODEL, "fig"]
    assert (home / "datasets").is_dir()
    assert not any(Path(cache).exists() for cache in caches.values())
