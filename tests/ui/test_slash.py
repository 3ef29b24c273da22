"""The commands of a chat: help, parameters, branches, files, kept chats."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from chats import answers, err, out, typed

from fakes import FakeBackend
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.contract import Message
from mistral_cli.errors import UsageError
from mistral_cli.ui.slash.files import code_blocks
from mistral_cli.ui.slash.table import COMMANDS


@pytest.mark.parametrize("columns", [120, 80, 40, 20])
def test_help_has_every_command_and_fits_the_width(columns: int) -> None:
    shown = out(typed("/help", backend=FakeBackend(), columns=columns))
    assert all(f"  {row.name}" in shown for row in COMMANDS)
    assert max(map(len, shown.splitlines())) < columns


def test_help_tells_of_one_command() -> None:
    assert out(typed("/help back", backend=FakeBackend())).startswith('  /back [N|"text"]')


def test_words_after_a_command_that_takes_none_are_refused() -> None:
    repl = typed("/exit now", "hello", backend=FakeBackend())
    assert "/exit takes no words" in err(repl)
    assert len(repl.conversation.turns) == 1


@pytest.mark.parametrize("line", ["/set top_p 0.5", "/set top-p=0.5", "/set --top_p 0.5"])
def test_set_changes_a_parameter_and_shows_its_range(line: str) -> None:
    repl = typed(line, "hello", backend=FakeBackend())
    assert repl.backend.params[0].top_p == 0.5
    assert "above 0, up to 1" in out(repl)


@pytest.mark.parametrize(
    "line", ["/set top_p 2", "/set top_p x", "/set nothing 1", "/set max_tokens 0", "/set top_p none"]
)
def test_set_refuses_what_is_out_of_range(line: str) -> None:
    repl = typed(line, "hello", backend=FakeBackend())
    assert "error: " in err(repl)
    assert repl.backend.params[0].top_p == 0.95


def test_set_none_takes_a_limit_away() -> None:
    repl = typed("/set max_tokens 1", "/set max_tokens none", "hello", backend=FakeBackend())
    assert repl.backend.params[0].max_tokens is None


def test_retry_takes_other_parameters_for_once_and_makes_a_branch() -> None:
    backend = FakeBackend(answers=["One.", "Two.", "Three."])
    repl = typed("hello", "/retry temperature=0 seed=3", "next", backend=backend)
    assert [(params.temperature, params.seed) for params in backend.params] == [(0.7, None), (0, 3), (0.7, None)]
    assert answers(repl) == ["Two.", "Three."]
    assert [turn.answer for turn in repl.conversation.turns.values()] == ["One.", "Two.", "Three."]


def test_log_probabilities_are_kept_with_each_turn_and_are_no_parameter() -> None:
    repl = typed("hello", backend=FakeBackend())
    (turn,) = repl.conversation.path()
    assert repl.backend.params[0].logprobs == 5
    assert turn.record.params["logprobs"] is None
    assert all(token.logprob == -0.5 and token.top for token in turn.tokens)


def test_undo_takes_turns_back_and_keeps_them() -> None:
    repl = typed("one", "two", "three", "/undo 2", backend=FakeBackend())
    assert [turn.question for turn in repl.conversation.path()] == ["one"]
    assert len(repl.conversation.turns) == 3


def test_branches_are_listed_and_switched() -> None:
    backend = FakeBackend(answers=["A.", "B.", "C."])
    repl = typed("one", "two", "/fork 1", "other", "/branches", "/switch 1", backend=backend)
    assert answers(repl) == ["A.", "B."]
    assert "* 2" in out(repl)
    assert "other → C." in out(repl)
    assert backend.prompts[2][-1] == Message(role="user", content="other")
    assert len(backend.prompts[2]) == 3


def test_edit_asks_the_changed_question_beside_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "changed\\n" > "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VISUAL", str(editor))
    repl = typed("one", "two", "/edit 1", backend=FakeBackend())
    assert [turn.question for turn in repl.conversation.path()] == ["changed"]
    assert len(repl.conversation.turns) == 3


@pytest.mark.parametrize("editor", ["false", "true", "/nowhere/editor"])
def test_an_editor_that_fails_or_changes_nothing_asks_nothing(editor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", editor)
    monkeypatch.delenv("VISUAL", raising=False)
    repl = typed("one", "/edit", backend=FakeBackend())
    assert len(repl.backend.prompts) == 1


def test_system_is_shown_set_and_removed() -> None:
    backend = FakeBackend()
    typed('/system "Be brief."', "one", "/system none", "two", backend=backend)
    assert backend.prompts[0][0] == Message(role="system", content="Be brief.")
    assert backend.prompts[1][0].role == "user"


def test_several_lines_are_one_question() -> None:
    backend = FakeBackend()
    typed("/multiline", "one", "", "/two", '"""', backend=backend)
    assert backend.prompts[0][-1].content == "one\n\n/two"


def test_a_file_follows_the_next_question_once(tmp_path: Path) -> None:
    path = tmp_path / "a file.txt"
    path.write_text("text\n")
    backend = FakeBackend()
    typed(f'/file "{path}" What is it?', "next", backend=backend)
    assert [prompt[-1].content for prompt in backend.prompts] == ["What is it?\n\ntext\n", "next"]


def test_write_keeps_a_file_that_is_there_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    path.write_text("old")
    repl = typed("one", f"/write {path}", backend=FakeBackend())
    assert "exists already. /write! replaces it." in err(repl)
    assert path.read_text() == "old"
    typed("one", f"/write! {path}", backend=FakeBackend())
    assert path.read_text() == "Hello there, friend.\n"
    assert list(tmp_path.iterdir()) == [path]


def test_write_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    repl = typed("one", "/write /proc/nowhere/x", f"/write! {tmp_path}", backend=FakeBackend())
    assert err(repl).count("cannot be written") == 2


def test_what_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    path.touch(mode=0o600)
    typed("one", f"/write! {path}", backend=FakeBackend())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    typed("one", f"/write {fifo}", backend=FakeBackend())
    assert os.read(reading, 100) == b"Hello there, friend.\n"
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    os.close(reading)
    repl = typed("one", "/write /dev/full", backend=FakeBackend())
    assert "/dev/full cannot be written: No space left on device." in err(repl)
    assert not Path("/dev/full").is_file()


def test_export_writes_markdown_and_json(tmp_path: Path) -> None:
    lines = ("one", f"/export {tmp_path}/talk.md", f"/export {tmp_path}/talk.json", f"/export {tmp_path}/talk.txt")
    repl = typed(*lines, backend=FakeBackend())
    assert (tmp_path / "talk.md").read_text() == "> one\n\nHello there, friend.\n"
    data = json.loads((tmp_path / "talk.json").read_text())
    assert data["messages"][1] == {"role": "assistant", "content": "Hello there, friend."}
    assert data["turns"][0]["model"] == "fake"
    assert "ends in neither .md nor .json" in err(repl)


def test_pipe_gives_the_answer_to_a_command(tmp_path: Path) -> None:
    repl = typed("one", f"/pipe cat > {tmp_path}/piped", "/pipe exit 3", backend=FakeBackend())
    assert (tmp_path / "piped").read_text() == "Hello there, friend."
    assert "The command ended with 3" in err(repl)


def test_copy_asks_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    backend = FakeBackend(answers=["See:\n```py\nx = 1\n```\n"])
    assert "\x1b]52;c;eCA9IDEK\x07" in out(typed("one", "/copy 1", backend=backend))
    assert "There is no clipboard" in err(typed("one", "/copy", backend=backend, terminal=False))


def test_code_blocks_are_those_between_fences() -> None:
    assert code_blocks("a\n~~~\none\n~~~\n\n```c\ntwo\n```") == ["one\n", "two\n"]


def test_a_chat_that_is_not_kept_says_so() -> None:
    for line in ("/save a", "/open a", "/sessions", "/search a", "/rename a", "/delete"):
        assert "not kept" in err(typed("one", line, backend=FakeBackend())), line


def test_chats_are_named_listed_found_opened_and_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    lines = ("one", "/save first", "/new", "two", "/sessions", "/search two", "/open first", "three", "/delete! two")
    repl = typed(*lines, backend=FakeBackend(), keeper=Keeper(store=store))
    assert [turn.question for turn in repl.conversation.path()] == ["one", "three"]
    assert [session.name for session in store.sessions()] == ["first"]
    assert "1 found" in err(repl)
    assert "first" in out(repl)
    store.close()


def test_where_the_chat_stands_is_kept(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    typed("one", "two", "/undo", backend=FakeBackend(), keeper=Keeper(store=store))
    _, conversation = store.load("last")
    assert [turn.question for turn in conversation.path()] == ["one"]
    assert len(conversation.turns) == 2
    store.close()


def test_a_strict_chat_ends_at_its_first_error() -> None:
    backend = FakeBackend()
    with pytest.raises(UsageError, match="There is no command /nope"):
        typed("one", "/nope", "two", backend=backend, is_strict=True)
    assert len(backend.prompts) == 1


def test_another_model_answers_after_model(tmp_path: Path) -> None:
    other = FakeBackend(answers=["Other."])
    repl = typed("one", "/model other", "two", backend=FakeBackend(), load=lambda _name: other)
    assert answers(repl) == ["Hello there, friend.", "Other."]
    assert len(other.prompts[0]) == 3


def test_a_narrow_terminal_breaks_no_word_of_what_is_listed(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    lines = ("a question of many words", "/set", "/show", "/sessions", "/stats", "/tokens", "/search question")
    pages = [
        out(typed(*lines, backend=FakeBackend(), keeper=Keeper(store=store), columns=columns)).split("\n")
        for columns in (200, 36)
    ]
    assert max(map(len, pages[1])) <= 36
    words = set(" ".join(pages[0]).replace("(", " ").replace(")", " ").split())
    shown = " ".join(pages[1]).replace("(", " ").replace(")", " ").split()
    assert [word for word in shown if word not in words and "-" not in word] == []
    store.close()


def test_a_turn_is_shown_again_as_it_came_with_how_it_ended() -> None:
    backend = FakeBackend(answers=["One."], ends="cancelled")
    repl = typed("one", "/show 1", "/undo", "/switch 1", backend=backend)
    assert out(repl).count("> one\nOne.\n\n") == 2
    assert err(repl).count("(stopped)") == 3
