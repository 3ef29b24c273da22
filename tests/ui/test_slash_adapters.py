"""/adapter: swapped on the model that answers, kept with the chat, put on again when it goes on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from chats import answers, err, out, typed

from fakes import FakeBackend, fake_console, fake_stdin
from lora_files import write_adapter
from mistral_cli.adapting import labels
from mistral_cli.backends.native import NativeBackend, load_native
from mistral_cli.commands.chat import run_chat
from mistral_cli.errors import CheckpointError
from mistral_cli.settings.load import load_settings
from mistral_cli.ui.keyboard.toolbar import status_of
from mistral_cli.ui.slash.table import COMMANDS
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files
from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.settings.options import Settings

GREEDY = ("/set temperature 0", "/set max_tokens 6")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def args(tiny: Path) -> ModelArgs:
    return read_args(find_files(tiny).config)


@pytest.fixture
def mine(args: ModelArgs, tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "mine", args)


def opened(tiny: Path) -> NativeBackend:
    return load_native(tiny, name=str(tiny), device="cpu", context=200)


def test_an_adapter_is_swapped_between_two_questions_and_off_is_as_before(tiny: Path, mine: Path) -> None:
    swaps = (f"/adapter load {mine}:30", "hello", "/undo", "/adapter scale mine 0", "hello", "/undo", "/adapter off")
    repl = typed(*GREEDY, "hello", "/undo", *swaps, "hello", backend=opened(tiny))
    said = [turn.answer for turn in repl.conversation.turns.values()]
    assert said[0] == said[2] == said[3] != said[1]
    assert "mine × 30 answers from now on: rank 4," in err(repl)
    assert "Without mine from now on." in err(repl)


def test_a_swap_reads_nothing_of_the_model(tiny: Path, mine: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    backend = opened(model)
    weights = {name: weight.data_ptr() for name, weight in backend.engine.model.named_parameters()}
    shutil.rmtree(model)
    typed(f"/adapter load {mine}", "/adapter off", f"/adapter load {mine}:2", "/adapter off", backend=backend)
    assert {name: weight.data_ptr() for name, weight in backend.engine.model.named_parameters()} == weights
    typed(f"/adapter load {mine}:2", backend=backend)
    assert labels(backend.info.adapters) == "mine × 2"


def test_what_is_on_the_model_is_listed_shown_and_told_by_the_bar(tiny: Path, mine: Path) -> None:
    repl = typed(
        f"/adapter load {mine}:0.5 one", f"/adapter load {mine}", "/adapter", "/show", backend=opened(tiny), columns=250
    )
    assert [line.split()[:5] for line in out(repl).splitlines()[:2]] == [
        ["one", "×", "0.5", "rank", "4"],
        ["mine", "×", "1", "rank", "4"],
    ]
    assert "adapters one × 0.5, mine" in " ".join(out(repl).split())
    assert status_of(repl).form == "one × 0.5, mine"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/adapter load nowhere", "There is no adapter folder"),
        ("/adapter load", "takes FOLDER[:SCALE]"),
        ("/adapter off other", "No such adapter is on the model (on it: mine)"),
        ("/adapter scale other 2", "No adapter 'other' is loaded"),
        ("/adapter scale mine much", "must be a number"),
        ("/adapter scale mine nan", "must be a number"),
        ("/adapter eat mine", "has no 'eat'"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_the_model_as_it_is(tiny: Path, mine: Path, line: str, said: str) -> None:
    repl = typed(f"/adapter load {mine}", line, backend=opened(tiny))
    assert said in err(repl)
    assert labels(repl.backend.info.adapters) == "mine"


def test_a_back_end_that_takes_none_says_so(mine: Path) -> None:
    assert "fake takes no adapters here." in err(typed(f"/adapter load {mine}", backend=FakeBackend()))


def test_actions_folders_and_names_are_completed(tiny: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine.parent)
    (mine.parent / "mine.txt").touch()
    repl = typed(f"/adapter load {mine} first", backend=opened(tiny))
    (row,) = (row for row in COMMANDS if row.name == "/adapter")
    offered = [[choice.text for choice in row.complete(repl, words)] for words in ("l", "load m", "off f", "scale ")]
    assert offered == [["list", "load", "scale"], ["mine/"], ["first"], ["first"]]


def talk(tiny: Path, folder: Path, *lines: str, **flags: object) -> tuple[NativeBackend, str]:
    """Talk by a script; return the model as it was then, and what was said beside."""
    script, backends, console = folder / "script", [opened(tiny)], fake_console()
    script.write_text("".join(f"{line}\n" for line in lines))

    def load(_settings: Settings, _console: object) -> NativeBackend:
        return backends[0]

    settings = load_settings({"script": str(script), "model": str(tiny), "max_tokens": 3, **flags})
    run_chat(settings, console, stdin=fake_stdin(b""), load=load)
    return backends[0], " ".join(console.err.file.text.split())


def test_a_chat_that_goes_on_has_its_adapters_again(tiny: Path, mine: Path, tmp_path: Path) -> None:
    talk(tiny, tmp_path, f"/adapter load {mine}:0.5 accent", "hello")
    backend, said = talk(tiny, tmp_path, "and then", resume="last")
    assert labels(backend.info.adapters) == "accent × 0.5"
    assert f"{tiny} with accent × 0.5 · " in said


def test_an_adapter_that_is_gone_is_said_and_the_chat_goes_on_without(tiny: Path, mine: Path, tmp_path: Path) -> None:
    talk(tiny, tmp_path, f"/adapter load {mine}", "hello")
    shutil.rmtree(mine)
    backend, said = talk(tiny, tmp_path, "and then", resume="last")
    assert backend.info.adapters == ()
    assert "mine answered so far, but is left out from here on. There is no adapter folder" in said


def test_a_kept_chat_that_is_opened_brings_its_adapters(tiny: Path, mine: Path, tmp_path: Path) -> None:
    talk(tiny, tmp_path, f"/adapter load {mine}", "hello", "/save accented")
    backend, _ = talk(tiny, tmp_path, "something else", "/open accented")
    assert labels(backend.info.adapters) == "mine"


def test_a_model_that_comes_back_has_its_adapters_again(tiny: Path, mine: Path) -> None:
    def broken(_name: str) -> NativeBackend:
        raise CheckpointError("The last shard is missing.")

    lines = (f"/adapter load {mine}:2", "/model broken")
    repl = typed(*lines, backend=opened(tiny), load=broken, reload=lambda: opened(tiny))
    assert labels(repl.backend.info.adapters) == "mine × 2"


def test_another_model_begins_without_them_and_that_is_said(tiny: Path, mine: Path) -> None:
    lines = (f"/adapter load {mine}", "/model other", "hello")
    repl = typed(*lines, backend=opened(tiny), load=lambda _name: FakeBackend())
    assert answers(repl) == ["Hello there, friend."]
    assert f"Without mine, made for {tiny}." in err(repl)
