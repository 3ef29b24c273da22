"""What the documentation says is what the program says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import docs  # noqa: E402 (a tool, found by the line above)

PAGES = docs.pages()
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_what_make_docs_writes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path]


@pytest.mark.parametrize("name", docs.command_names())
def test_the_readme_has_a_row_for_every_command(name: str) -> None:
    assert f"| `mistral {name}` |" in README


def test_every_flag_that_the_readme_uses_exists() -> None:
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", PAGES[ROOT / "docs" / "commands.md"].replace("[no-]", "")))
    lines = [line.split("#")[0] for line in README.splitlines() if "mistral " in line and line.startswith("    ")]
    assert len(lines) > 10
    used = {flag for line in lines for flag in re.findall(r"(?<=\s)--?[a-z][a-z-]*(?=\s|$)", line)}
    assert used - known == set()


def test_the_readme_has_no_gap() -> None:
    assert not re.findall(r"\{[A-Z]+\}", README)


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_picture_shows_a_chat() -> None:
    words = re.sub(r"<[^>]+>|&#160;|\s", "", (ROOT / "docs" / "chat.svg").read_text(encoding="utf-8"))
    assert "keysandvaluesofallearliertokens" in words


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 1
    exec(compile(blocks[0], "README.md", "exec"), {})  # noqa: S102 (our own text)
    shown = capsys.readouterr().out
    assert "rotary position embedding" in shown
    assert "keys and values of all earlier tokens" in shown
    assert "\nstop, " in shown
