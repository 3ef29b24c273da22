"""`make docs`: regenerate what the documentation copies from the program: help texts, completions, pictures.

`tests/test_docs.py` compares the first two with the files, so that they cannot grow old.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]
MISTRAL = str(Path(sysconfig.get_path("scripts")) / "mistral")
SHELLS = ("bash", "zsh", "fish")
TOP = {
    "Makefile": "demo, test, check, docs, bench",
    "constraints.txt": "the versions that the tests run with",
    ".ci/run": "what runs on a clean checkout",
    "docs/": "every command's help; pictures",
    "completions/": "bash, zsh, fish; written by make docs",
    "tests/": "mirrors src; the architecture and the documentation have tests, too",
    "tools/": "the demo, the benchmark, make docs; how the built-in model was made",
    "src/mistral_cli/": "the package",
}
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
    return _run("completions", shell) + "\n"


def tree() -> str:
    """Return the project as a tree: a line per file, with what its docstring says first."""
    lines = [f"{name:30}{what}" for name, what in TOP.items()]
    for path in sorted((ROOT / "src" / "mistral_cli").rglob("*.py"), key=_folders_last):
        inside = path.relative_to(ROOT / "src")
        if inside.name == "__init__.py" and len(inside.parts) > 2:
            lines.append(f"{'  ' * (len(inside.parts) - 2) + inside.parent.name + '/':30}{_first_line(path)}")
        elif inside.name != "__init__.py":
            lines.append(f"{'  ' * (len(inside.parts) - 1) + inside.name:30}{_first_line(path)}")
    return "\n".join(lines)


def _folders_last(path: Path) -> tuple[object, ...]:
    """Sort key: the files of a folder before its folders, and a folder's own line before its files."""
    return (len(path.relative_to(ROOT / "src").parts) > 2, path.parent, path.name != "__init__.py", path.name)


def _first_line(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"\.\s", text.replace("\n", " "), maxsplit=1)[0].rstrip(".")


def readme() -> str:
    """Return the README with its generated blocks written anew."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = f"<!-- tree, by make docs -->\n```text\n{tree()}\n```\n<!-- /tree -->"
    return re.sub(r"<!-- tree, by make docs -->.*<!-- /tree -->", lambda _match: block, text, flags=re.DOTALL)


def pages() -> dict[Path, str]:
    """Return every generated text, by its file."""
    texts = {ROOT / "docs" / "commands.md": commands_page(), ROOT / "README.md": readme()}
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
