"""Every command that docs/performance.md names exists, with its flags, so that each figure can be had again."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import compare_speed  # noqa: E402 (a tool, found by the line above)

PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
HELP = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").replace("[no-]", "")
SNIPPETS = [*re.findall(r"`([^`\n]+)`", PAGE), *re.findall(r"^    (.+)$", PAGE, re.MULTILINE)]
WORDS = [shlex.split(text.split("#")[0]) for text in SNIPPETS if re.match(r"(\w+=\S+ )?(mistral|python) ", text)]


def arguments(program: str) -> list[list[str]]:
    """Return what follows each mention of a program."""
    return [words[words.index(program) + 1 :] for words in WORDS if program in words]


@pytest.mark.parametrize("words", arguments("mistral"), ids=" ".join)
def test_a_command_of_the_page_has_these_flags(words: list[str]) -> None:
    section = HELP.split(f"\n## mistral {words[0]}\n")[1].split("\n## ")[0]
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section))
    assert {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)} <= known


@pytest.mark.parametrize("words", arguments("python"), ids=" ".join)
def test_a_program_of_the_page_is_there(words: list[str]) -> None:
    assert (ROOT / words[0]).is_file()
    source = (ROOT / words[0]).read_text(encoding="utf-8")
    assert all(f'"{word}"' in source for word in words if word.startswith("--"))


def test_every_section_of_the_comparison_is_on_the_page_and_no_other() -> None:
    named = {words[words.index("--only") + 1] for words in arguments("python") if "--only" in words}
    assert {section for names in named for section in names.split(",")} == set(compare_speed.SECTIONS)


def test_the_page_has_commands_to_check() -> None:
    assert len(arguments("mistral")) > 3
    assert len(arguments("python")) > 3
