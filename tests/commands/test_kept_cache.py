"""``mistral chat --keep-cache``: what was computed comes back with the chat, goes with it, and never is in the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

from fakes import FAKE_INFO, FakeBackend, fake_console, fake_stdin
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import FILE_NAME, open_store
from mistral_cli.commands.chat import run_chat
from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.kept_cache import KeptCaches
from mistral_cli.commands.loading import open_backend
from mistral_cli.contract import Message, SamplingParams
from mistral_cli.settings.load import load_settings
from mistral_cli.settings.places import places
from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mistral_cli.chat.turn import Turn
    from mistral_cli.contract import Backend
    from mistral_cli.settings.options import Settings
    from mistral_cli.ui.console import Console

QUESTION = "Which of the words of this question, which is a long one, will be read once and never again?"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-model")


@dataclass
class Chats:
    """Plays scripts, each as a program that was just started would."""

    model: Path
    said: list[str] = field(default_factory=list)

    def play(self, *lines: str, backend: Backend | None = None, **flags: object) -> str:
        """Return what was said on stderr."""
        console = fake_console()
        given = {"model": str(self.model), "max_tokens": 5, "temperature": 0, "keep_cache": True, **flags}
        settings = load_settings({"script": "-", **given})

        def load(settings: Settings, console: Console) -> Backend:
            return backend or open_backend(settings, console)

        run_chat(settings, console, stdin=fake_stdin("\n".join(lines).encode()), load=load)
        return " ".join(console.err.file.text.split())

    def last(self) -> Turn:
        store = open_store(places().data / FILE_NAME)
        turn = store.load("last")[1].path()[-1]
        store.close()
        return turn


@pytest.fixture
def chats(tiny: Path) -> Chats:
    return Chats(tiny)


def kept() -> list[Path]:
    folder = places().cache / "chats"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_resumed_chat_reads_nothing_twice(chats: Chats) -> None:
    said = chats.play(QUESTION)
    (path,) = kept()
    assert f"is kept: {path.stat().st_size / 1000:.2f} kB." in said
    first = chats.last().record
    chats.play("And then?", resume="last")
    assert chats.last().record.reused_tokens == first.prompt_tokens + first.answer_tokens - 1
    assert len(kept()) == 1
    assert kept() != [path]  # the newer state is in its place


def test_without_it_nothing_is_kept_and_nothing_is_read(chats: Chats) -> None:
    chats.play(QUESTION, keep_cache=False)
    assert kept() == []
    chats.play(QUESTION)
    chats.play("And then?", resume="last", keep_cache=False)
    assert chats.last().record.reused_tokens == 0


def test_the_environment_asks_for_it_too(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_KEEP_CACHE", "1")
    chats.play(QUESTION, keep_cache=None)
    assert len(kept()) == 1


def test_a_private_chat_leaves_no_cache_even_of_one_that_it_goes_on_from(chats: Chats) -> None:
    chats.play(QUESTION, store=False)
    assert kept() == []
    chats.play(QUESTION)
    before = [(path, path.stat().st_mtime_ns) for path in kept()]
    chats.play("And then?", resume="last", store=False)
    assert [(path, path.stat().st_mtime_ns) for path in kept()] == before


def test_another_form_of_the_model_is_read_anew(chats: Chats) -> None:
    chats.play(QUESTION)
    chats.play("And then?", resume="last", kv="int8")
    assert chats.last().record.reused_tokens == 0
    assert len(kept()) == 2


def test_new_and_open_keep_what_they_leave_and_take_what_they_find(chats: Chats) -> None:
    chats.play(QUESTION, "/save one", "/new", f"Otherwise: {QUESTION}", "/save two", "/open one", "And then?", "/exit")
    assert len(kept()) == 2
    assert chats.last().record.reused_tokens > 20


def test_a_chat_that_was_only_looked_at_keeps_its_cache_and_takes_no_others(chats: Chats) -> None:
    chats.play(QUESTION, "/save one", "/new", "Something else, and short.", "/save two")
    before = kept()
    assert len(before) == 2
    said = chats.play("/open one", resume="two")
    assert "The cache of" not in said
    assert kept() == before


def test_delete_takes_the_cache_along_and_leaves_none(chats: Chats) -> None:
    chats.play(QUESTION)
    chats.play("And then?", "/delete!", resume="last")
    assert kept() == []


def test_what_is_removed_from_the_history_takes_its_cache_along(
    chats: Chats, capfd: pytest.CaptureFixture[str]
) -> None:
    chats.play(QUESTION, "/save one", "/new", f"Otherwise: {QUESTION}", "/save two")
    assert mistral(capfd, "history", "remove", "one", "--yes").code == 0
    (left,) = kept()
    chats.play("And then?", resume="two")
    assert chats.last().record.reused_tokens > 20
    assert not left.exists()


@dataclass
class Left:
    """A chat of one turn that is about to be left."""

    backend: Backend
    keeper: Keeper
    caches: KeptCaches

    def leave(self) -> str:
        self.caches.leave(self.backend, self.keeper)
        return " ".join(self.caches.console.err.file.text.split())


@pytest.fixture
def left(tiny: Path) -> Iterator[Left]:
    console = fake_console()
    settings = load_settings({"model": str(tiny), "keep_cache": True})
    backend, store = open_backend(settings, console), open_store(places().data / FILE_NAME)
    list(backend.stream([Message(role="user", content=QUESTION)], SamplingParams(max_tokens=4)))
    yield Left(
        backend, Keeper(store=store, session=store.new_session("one")), KeptCaches(settings=settings, console=console)
    )
    store.close()


def test_a_chat_that_another_terminal_deleted_leaves_no_cache(left: Left) -> None:
    other = open_store(places().data / FILE_NAME)
    other.delete(other.find("one").id)
    other.close()
    assert "The cache of" not in left.leave()
    assert kept() == []


def test_where_it_cannot_be_kept_that_is_said_once_and_the_chat_goes_on(chats: Chats) -> None:
    said = chats.play(QUESTION, "/new", QUESTION, keep_cache_limit="1kB")
    assert said.count("cannot be kept") == 1
    assert "more than keep_cache_limit allows (1,000)" in said
    assert chats.last().answer
    assert kept() == []


def test_a_full_disk_is_said_once_and_leaves_nothing(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _start: int, _length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    said = chats.play(QUESTION, "/new", QUESTION)
    assert said.count("No space left on device") == 1
    assert "The chat itself is kept" in said
    assert kept() == []


def test_a_program_that_is_told_to_end_keeps_it(chats: Chats) -> None:
    command = [sys.executable, "-m", "mistral_cli", "chat", "--script", "-", "--keep-cache", "-n", "5"]
    with subprocess.Popen(
        [*command, "-m", str(chats.model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(f"{QUESTION}\n")
        program.stdin.flush()
        assert program.stdout.readline()  # it waits for the next question now
        program.send_signal(signal.SIGTERM)
        assert program.wait(240) == 128 + signal.SIGTERM
    assert len(kept()) == 1
    chats.play("And then?", resume="last")
    assert chats.last().record.reused_tokens > 20


def test_what_takes_too_long_for_such_an_end_is_given_up(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistral_cli.commands.kept_cache.PATIENCE", 0)
    monkeypatch.setattr(ENDING, "number", signal.SIGHUP)
    assert "it took too long for a program that is told to end" in left.leave()
    assert kept() == []


def test_an_end_that_is_asked_for_at_the_keyboard_may_take_its_time(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral_cli.commands.kept_cache.PATIENCE", 0)
    assert "The cache of one is kept" in left.leave()
    assert len(kept()) == 1


def test_transformers_keeps_none_and_that_is_said(chats: Chats) -> None:
    console = fake_console()
    caches = KeptCaches(settings=load_settings({"keep_cache": True}), console=console)
    caches.begin(FakeBackend(info=FAKE_INFO))
    assert "No cache of this chat is kept: only our own engine keeps them" in console.err.file.text
    quiet = fake_console()
    KeptCaches(settings=load_settings({}), console=quiet).begin(FakeBackend())
    assert quiet.err.file.text == ""


def test_the_list_tells_caches_of_chats_and_clear_frees_them(
    chats: Chats, capfd: pytest.CaptureFixture[str], tiny: Path
) -> None:
    chats.play(QUESTION)
    (path,) = kept()
    record = chats.last().record
    code, out, err = mistral(capfd, "cache")
    assert code == 0
    assert out.split()[:2] == [path.name.removesuffix(".kv"), str(tiny)]
    assert f"{record.prompt_tokens + record.answer_tokens - 1} tokens" in out
    assert "1 cache of a chat, " in err
    assert "8.00 GB at most." in err
    shown = json.loads(mistral(capfd, "cache", "--json").out)["chats"]
    assert shown["bytes"] == shown["caches"][0]["bytes"] == path.stat().st_size
    assert (shown["caches"][0]["form"], shown["caches"][0]["problem"]) == ("bfloat16", None)
    assert mistral(capfd, "cache", "clear").out == path.stem + "\n"
    assert kept() == []


def test_one_cache_is_removed_by_its_name(chats: Chats, capfd: pytest.CaptureFixture[str]) -> None:
    chats.play(QUESTION, "/new", "Something else, and short.")
    gone, left = kept()
    assert mistral(capfd, "cache", "remove", gone.stem).out == gone.stem + "\n"
    assert kept() == [left]
