"""`make docs`: regenerate what the documentation copies from the program: help texts, completions, pictures.

`tests/test_docs.py` compares the first two with the files, so that they cannot grow old.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]
MISTRAL = str(Path(sysconfig.get_path("scripts")) / "mistral")
SHELLS = ("bash", "zsh", "fish")
HEAD = """# Commands

Every command, as its own `--help` says it. Written by `make docs`; a test compares.
"""


def _run(*arguments: str, **environment: str) -> str:
    """Run `mistral` as on a plain terminal 100 columns wide; return its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MISTRAL_CLI_")}
    plain = {**kept, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", **environment}
    run = subprocess.run([MISTRAL, *arguments], capture_output=True, text=True, check=True, env=plain)
    return "\n".join(line.rstrip() for line in run.stdout.splitlines()).strip()


def command_names() -> list[str]:
    """Return the names of all commands, in the order of the help."""
    from mistral_cli.cli import COMMANDS

    return [command.name for command in COMMANDS]


def commands_page() -> str:
    """Return the text of `docs/commands.md`."""
    parts = [HEAD, "```text", _run("--help"), "```"]
    for name in command_names():
        parts += [f"\n## mistral {name}\n", "```text", _run(name, "--help"), "```"]
    return "\n".join(parts) + "\n"


def completion(shell: str) -> str:
    """Return the completion script of ``shell``."""
    return _run("--show-completion", shell) + "\n"


def pages() -> dict[Path, str]:
    """Return every generated text, by its file."""
    texts = {ROOT / "docs" / "commands.md": commands_page()}
    return texts | {ROOT / "completions" / f"mistral.{shell}": completion(shell) for shell in SHELLS}


def main() -> None:
    """Write every generated file, then the pictures."""
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT), file=sys.stderr)
    import picture

    picture.main()


if __name__ == "__main__":
    main()
