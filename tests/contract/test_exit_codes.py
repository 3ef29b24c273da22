"""Every exit code of the contract, as a shell sees it in ``$?``."""

from __future__ import annotations

import pytest
from processes import fake, run


def _seen_by_a_shell(script: str, command: list[str]) -> tuple[bytes, bytes]:
    """Return what ``script`` prints (the command is ``"$@"``), and stderr."""
    shell = run(["bash", "-c", script, "bash", *command])
    assert shell.returncode == 0
    return shell.stdout, shell.stderr


def test_an_answer_is_0() -> None:
    assert _seen_by_a_shell('"$@"; echo $?', fake()) == (b"Hello there, friend.\n0\n", b"")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("MistralError", 1),
        ("UsageError", 2),
        ("ModelNotFoundError", 3),
        ("CheckpointError", 4),
        ("OutOfMemoryError", 5),
        ("ContextError", 6),
        ("NetworkError", 7),
    ],
)
def test_an_error_has_the_code_of_its_kind_and_one_line(name: str, code: int) -> None:
    assert _seen_by_a_shell('"$@"; echo $?', fake(error=name)) == (b"%d\n" % code, b"error: It broke.\n")


def test_a_batch_in_which_a_line_failed_is_8() -> None:
    script = """(echo a; seq -s " " 100; echo c) | "$@" >/dev/null; echo $?"""
    out, err = _seen_by_a_shell(script, fake(flags={"lines": True}))
    assert out == b"8\n"
    assert err.startswith(b"error: 1 of 3 lines failed.")


@pytest.mark.parametrize(("name", "code"), [("INT", 130), ("TERM", 143), ("HUP", 129)])
def test_a_signal_is_128_and_its_number(name: str, code: int, tmp_path) -> None:
    script = f"""
        set -m  # a job of its own, for which Ctrl-C is not ignored
        "$@" >{tmp_path}/answer & job=$!
        until grep -q Hello {tmp_path}/answer; do kill -0 $job || exit; done
        kill -{name} $job; wait $job; echo $?
    """
    out, err = _seen_by_a_shell(script, fake(gate=str(tmp_path / "gate")))
    assert out == b"%d\n" % code
    assert b"Traceback" not in err


def test_a_closed_pipe_is_141() -> None:
    script = '"$@" | head -1 >/dev/null; echo ${PIPESTATUS[0]}'
    assert _seen_by_a_shell(script, fake(answers=["line\n " * 10_000], context=20_000)) == (b"141\n", b"")
