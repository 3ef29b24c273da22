"""Runs ``mistral`` in a process of its own that talks to the stand-in hub: the library reads its settings at import."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hub.stand_in_hub import Repo

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.stand_in_hub import StandInHub

CONFIG = b'{"model_type": "mistral", "hidden_size": 64}'
WEIGHTS = bytes(range(256)) * 12_000  # three pieces of a mebibyte


def a_repo(**more: bytes) -> Repo:
    """Return a repository with two weight formats, as Mistral's are."""
    files = {
        "config.json": CONFIG,
        "model.safetensors": WEIGHTS,
        "consolidated.safetensors": WEIGHTS,
        "params.json": b"{}",
        "tokenizer.model.v3": b"t" * 5000,
        "README.md": b"---\nlicense: apache-2.0\n---\n",
    }
    return Repo(files | more)


def environment(hub: StandInHub, **more: str) -> dict[str, str]:
    return {**os.environ, **hub.env(**more)}


def mistral(hub: StandInHub, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``mistral ARGUMENTS`` with no terminal anywhere, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mistral_cli", *arguments],
        check=False,
        env=environment(hub, **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def mistral_without_pauses(hub: StandInHub, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``mistral`` with no waiting between the tries that follow a broken connection."""
    program = (
        "from mistral_cli.weights import hub_download; from mistral_cli.cli import main; "
        "hub_download.PAUSES = tuple(0 for _ in hub_download.PAUSES); main()"
    )
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=False, env=environment(hub), capture_output=True, text=True, timeout=300)


def in_cache(repo_id: str, *parts: str) -> Path:
    return Path(os.environ["HF_HOME"], "hub", "--".join(("models", *repo_id.split("/"))), *parts)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition that another process brings about; fail after two minutes."""
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
