"""``mistral pull`` says what would come and asks; so do the commands that need a model which is not here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mistral_common
import numpy as np
import pexpect
import pytest
from command_line import mistral as call
from safetensors.numpy import save_file

from hub.hub_client import a_repo, environment, mistral
from hub.stand_in_hub import Repo, StandInHub
from mistral_cli.model.args import ModelArgs
from mistral_cli.weights.hub import is_cached, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

OFFER = """
import sys
from functools import partial
from mistral_cli.cli import guarded
from mistral_cli.commands.pull import find_or_offer
from mistral_cli.ui.console import Console

def job(_):
    console = Console.open()
    console.line(str(find_or_offer("owner/model", None, console)))
    return 0

sys.exit(guarded(job))
"""


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub(repos={"owner/model": a_repo()}) as stand_in:
        yield stand_in


def tiny_model(folder: Path) -> dict[str, bytes]:
    """Return the files of a model of random weights with Mistral's own tokenizer."""
    args = ModelArgs(
        dim=16,
        n_layers=1,
        head_dim=8,
        hidden_dim=16,
        n_heads=2,
        n_kv_heads=1,
        vocab_size=32768,
        max_position_embeddings=128,
        sliding_window=None,
    )
    draw = np.random.default_rng(1)
    weights = {name: draw.uniform(-1, 1, shape).astype(np.float16) for name, shape in args.tensor_shapes().items()}
    save_file(weights, folder / "consolidated.safetensors")
    shape = {name: getattr(args, name) for name in ("dim", "n_layers", "head_dim", "hidden_dim", "n_heads")}
    shape |= {"n_kv_heads": 1, "vocab_size": 32768, "norm_eps": 1e-5, "rope_theta": 1e4, "max_position_embeddings": 128}
    tokenizer = Path(mistral_common.__file__).parent / "data" / "mistral_instruct_tokenizer_240323.model.v3"
    return {
        "params.json": json.dumps(shape).encode(),
        "consolidated.safetensors": (folder / "consolidated.safetensors").read_bytes(),
        "tokenizer.model.v3": tokenizer.read_bytes(),
    }


def on_a_terminal(hub: StandInHub, *arguments: str) -> pexpect.spawn[str]:
    env = environment(hub, TERM="xterm")
    return pexpect.spawn(sys.executable, list(arguments), env=env, encoding="utf-8", timeout=120, dimensions=(24, 200))


def test_without_a_terminal_nothing_is_downloaded_unless_yes_is_said(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "owner/model")
    assert (run.returncode, run.stdout) == (2, "")
    assert "--yes" in run.stderr
    assert not [item for item in hub.requests if "/resolve/" in item.path]


def test_the_size_and_the_licence_are_said_before_anything_comes(hub: StandInHub) -> None:
    hub.cdn_status = 403
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert "owner/model: 5 files, 3.08 MB; licence: apache-2.0." in run.stderr


def test_without_a_terminal_there_is_no_progress_bar(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 0
    assert run.stdout == f"{resolve('owner/model')}\n"
    assert "\r" not in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_a_model_that_does_not_fit_on_the_disk_is_refused_before_it_is_asked_for(hub: StandInHub) -> None:
    program = (
        "import shutil; from types import SimpleNamespace; from mistral_cli.cli import main; "
        "shutil.disk_usage = lambda _: SimpleNamespace(free=1000); main()"
    )
    command = [sys.executable, "-c", program, "pull", "owner/model", "--yes"]
    run = subprocess.run(command, env=environment(hub), capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "has only 0.00 GB free" in run.stderr
    assert not is_cached("owner/model")


@pytest.mark.pty
def test_on_a_terminal_it_asks_and_shows_the_hub_s_own_bar(hub: StandInHub) -> None:
    child = on_a_terminal(hub, "-m", "mistral_cli", "pull", "owner/model")
    child.expect(r"5 files, 3\.08 MB; licence: apache-2\.0")
    child.expect(r"Download it\? \[y/N\] ")
    assert not is_cached("owner/model")
    child.send("y\r")
    child.expect("owner/model: +100%")
    child.expect("snapshots")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert is_cached("owner/model")


@pytest.mark.pty
@pytest.mark.parametrize("answer", ["n\r", "\r", "\x04"])
def test_anything_but_yes_downloads_nothing(hub: StandInHub, answer: str) -> None:
    child = on_a_terminal(hub, "-m", "mistral_cli", "pull", "owner/model")
    child.expect(r"\[y/N\] ")
    child.send(answer)
    child.expect("Nothing was downloaded")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert not is_cached("owner/model")


@pytest.mark.pty
def test_a_command_that_needs_a_model_offers_to_fetch_it(hub: StandInHub) -> None:
    child = on_a_terminal(hub, "-c", OFFER)
    child.expect("owner/model is not on this disk")
    child.expect(r"Download it now\? \[y/N\] ")
    child.send("y\r")
    child.expect("snapshots")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert is_cached("owner/model")


@pytest.mark.pty
def test_declining_the_offer_is_a_model_that_is_not_found(hub: StandInHub) -> None:
    child = on_a_terminal(hub, "-c", OFFER)
    child.expect(r"Download it now\? \[y/N\] ")
    child.send("n\r")
    child.expect("owner/model was not downloaded")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 3


def test_without_a_terminal_a_model_that_is_not_here_is_named_with_the_command_and_no_network(hub: StandInHub) -> None:
    command = [sys.executable, "-c", OFFER]
    run = subprocess.run(
        command, env=environment(hub), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (3, "")
    assert "mistral pull owner/model" in run.stderr
    assert not hub.requests


def test_a_model_that_is_here_is_taken_without_a_question_or_the_network(hub: StandInHub) -> None:
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    hub.requests.clear()
    command = [sys.executable, "-c", OFFER]
    run = subprocess.run(command, env=environment(hub), capture_output=True, text=True, check=True)
    assert run.stdout == f"{resolve('owner/model')}\n"
    assert not hub.requests


def test_what_is_here_already_is_no_id_to_pull(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("builtin", str(tmp_path)):
        code, _, err = call(capfd, "pull", name, "--yes")
        assert code == 2
        assert f"mistral show {name}" in err


@pytest.mark.parametrize("name", ["../../x", "-rf", "a" * 300, "CON", ""])
def test_a_name_no_model_can_have_is_a_usage_error(capfd: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = call(capfd, "pull", "--yes", "--", name)
    assert (code, out) == (2, "")


def test_a_pulled_model_answers_without_the_network(hub: StandInHub, tmp_path: Path) -> None:
    hub.repos["owner/tiny"] = Repo(tiny_model(tmp_path))
    assert mistral(hub, "pull", "owner/tiny", "--yes").returncode == 0
    hub.requests.clear()
    run = mistral(hub, "gen", "-m", "owner/tiny", "-n", "3", "--seed", "1", "--json", "Hello")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["reason"] in ("length", "stop")
    assert not hub.requests
