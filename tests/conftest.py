"""Every test runs offline, in a home of its own."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # on tiny matrices threads only wait for each other
# a shell's background job, or one under nohup, would have children that are deaf to these
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests for GPUs where there is none."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu:
        import torch

        if not torch.cuda.is_available():
            config.hook.pytest_deselected(items=on_gpu)
            items[:] = [item for item in items if item not in on_gpu]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin with Ctrl-C as Python has it: prompt-toolkit's own handler may be left from a test before.

    Fail a test whose program is not installed: left out, it would never be missed.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if item.get_closest_marker("tmux") and shutil.which("tmux") is None:
        pytest.fail("tmux is not installed, and this test drives it: apt-get install tmux", pytrace=False)


@pytest.fixture(autouse=True)
def _temporary_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point every place where files live at a fresh folder, and drop the caller's settings."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("MISTRAL_CLI_", "XDG_")) or name in ("NO_COLOR", "CLICOLOR_FORCE", "HF_TOKEN"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MISTRAL_CLI_HOME", str(home / "mistral"))
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
    return home


@pytest.fixture(autouse=True)
def _no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no spinner begin to turn, and no waiting be said, where a busy machine pauses in short work."""
    monkeypatch.setattr("mistral_cli.ui.spinner.PATIENCE", 3600.0)
    monkeypatch.setattr("mistral_cli.ui.stdin.SAY_WAITING_AFTER", 3600.0)
