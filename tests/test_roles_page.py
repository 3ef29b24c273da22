"""What docs/roles-and-templates.md shows is sound: its role, its template, and what it says of translating."""

from __future__ import annotations

import re
from pathlib import Path

from commands.gen_runs import ask
from mistral_cli.settings.places import places
from mistral_cli.settings.roles import read_role

PAGE = (Path(__file__).parents[1] / "docs" / "roles-and-templates.md").read_text(encoding="utf-8")
ROLE, TEMPLATE = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)


def _write(name: str, text: str) -> None:
    file = places().config / name
    file.parent.mkdir(parents=True)
    file.write_text(text)


def test_the_role_of_the_page_is_sound() -> None:
    _write("roles/teacher.toml", ROLE)
    role = read_role("teacher")
    assert role.warnings == ()
    assert set(role.values) == {"system", "temperature", "max_tokens"}


def test_the_template_of_the_page_is_sound() -> None:
    _write("templates/letter.toml", TEMPLATE)
    run = ask(template="letter", set=["name=Ada"], stdin=b"Dear Ada\n")
    assert run.prompt == "Answer the letter below in a friendly tone, in the name of Ada.\n\nDear Ada"
    assert run.err == ""


def test_what_the_page_says_of_translating_is_what_is_sent() -> None:
    sent = ask(template="translate", set=["from=English", "to=French"], prompt="Good morning.").prompt
    assert "".join(f"    {line}\n" for line in sent.splitlines()) in PAGE
