"""The TAB key in a real bash, and what one press costs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from processes import MISTRAL, environment, run

ROOT = Path(__file__).parents[2]


def _complete(line: str) -> set[str]:
    """Press TAB at the end of ``line``, through the script that is shipped."""
    words = line.split(" ")
    script = (
        f"source {ROOT}/completions/mistral.bash\n"
        f"COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}') COMP_CWORD={len(words) - 1}\n"
        "_mistral_completion mistral; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = run(["bash", "--norc", "-c", script], env=environment(PATH=path))
    assert done.stderr == b""
    return set(done.stdout.decode().split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mistral ge", {"gen"}),
        ("mistral --ver", {"--version"}),
        ("mistral gen --temp", {"--temperature"}),
        ("mistral gen --order temperature-l", {"temperature-last"}),
        ("mistral chat --sys", {"--system", "--system-file"}),
    ],
)
def test_bash_completes(line: str, expected: set[str]) -> None:
    assert _complete(line) == expected


def test_bash_completes_the_commands() -> None:
    from mistral_cli.cli import COMMANDS

    assert _complete("mistral ") == {row.name for row in COMMANDS}


@pytest.mark.parametrize(
    ("shell", "variables", "expected"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "mistral ge"}, '"gen":"Answer one prompt'),
        ("fish", {"_TYPER_COMPLETE_ARGS": "mistral ge", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, "gen\tAnswer one"),
    ],
)
def test_zsh_and_fish_are_told_what_a_command_does(shell: str, variables: dict[str, str], expected: str) -> None:
    done = run(MISTRAL, env=environment(_MISTRAL_COMPLETE=f"complete_{shell}", **variables))
    assert expected in done.stdout.decode()
    assert done.stderr == b""


def test_a_press_imports_no_tensor_library() -> None:
    command = [sys.executable, "-X", "importtime", *MISTRAL[1:]]
    variables = {"_MISTRAL_COMPLETE": "complete_bash", "COMP_WORDS": "mistral ", "COMP_CWORD": "1"}
    done = run(command, env=environment(**variables))
    imported = {line.rsplit(b"|", 1)[-1].strip().split(b".")[0] for line in done.stderr.splitlines()}
    assert b"mistral_cli" in imported
    assert not imported & {b"torch", b"transformers", b"mistral_common", b"huggingface_hub", b"numpy"}
