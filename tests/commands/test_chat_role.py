"""``chat --role``: with which system prompt and parameters a chat begins, and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes import FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.chat import run_chat
from mistral_cli.errors import UsageError
from mistral_cli.settings.load import load_settings
from mistral_cli.settings.places import places

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.settings.options import Settings


def _write(text: str, name: str = "roles/poet.toml") -> Path:
    file = places().config / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


class Talk:
    """One chat by script, and what was asked of the model in it."""

    def __init__(self, *lines: str, **flags) -> None:
        script = _write("\n".join(lines), "script")
        self.backend, self.console = FakeBackend(), fake_console()
        self.models: list[str | None] = []
        settings = load_settings({"script": str(script), **flags})
        run_chat(settings, self.console, stdin=fake_stdin(b""), load=self._load)

    def _load(self, settings: Settings, _console: object) -> FakeBackend:
        self.models.append(settings.model)
        return self.backend

    @property
    def systems(self) -> list[str]:
        """The system prompt of each question."""
        return [prompt[0].content if prompt[0].role == "system" else "" for prompt in self.backend.prompts]

    @property
    def temperatures(self) -> list[float]:
        return [params.temperature for params in self.backend.params]

    @property
    def err(self) -> str:
        return self.console.err.file.text


POET = 'system = "Rhyme."\ntemperature = 1.5\nmodel = "muse"'


def test_a_chat_begins_in_a_role_and_can_leave_it() -> None:
    _write(POET)
    _write("system = 'Config.'\ntemperature = 0.1", "config.toml")
    talk = Talk("Hi", "/role none", "Ho", role="poet")
    assert (talk.systems, talk.temperatures, talk.models) == (["Rhyme.", "Config."], [1.5, 0.1], ["muse"])
    assert "poet answers" in talk.err


def test_flags_win_over_the_role() -> None:
    _write(POET)
    talk = Talk("Hi", role="poet", system="Flag.", temperature="0.3", model="mine")
    assert (talk.systems, talk.temperatures, talk.models) == (["Flag."], [0.3], ["mine"])


def test_a_resumed_chat_knows_its_role_and_keeps_its_system_prompt() -> None:
    _write(POET)
    Talk("Hi", "/system Rhyme well.", role="poet")
    _write('system = "Another."\ntemperature = 1.2')
    talk = Talk("More", resume="last")
    assert (talk.systems, talk.temperatures) == (["Rhyme well."], [1.2])
    assert "poet answers" in talk.err


def test_a_resumed_chat_takes_another_role_or_none_where_a_flag_says_so() -> None:
    _write(POET)
    _write('system = "File."\ntemperature = 0.2', "roles/clerk.toml")
    Talk("Hi", role="poet")
    talk = Talk("More", resume="last", role="clerk")
    assert (talk.systems, talk.temperatures) == (["File."], [0.2])
    talk = Talk("More", resume="last")
    assert (talk.systems, talk.temperatures) == (["File."], [0.2])
    talk = Talk("More", resume="last", role="none")
    assert (talk.systems, talk.temperatures) == ([""], [0.7])
    assert Talk("More", resume="last").temperatures == [0.7]


def test_the_configs_role_is_for_new_chats() -> None:
    _write(POET)
    Talk("Hi")
    _write("role = 'poet'", "config.toml")
    assert Talk("Hi", resume="last").temperatures == [0.7]
    assert Talk("Hi").temperatures == [1.5]
    assert Talk("Hi", role="none").temperatures == [0.7]


def test_a_role_that_is_gone_does_not_keep_a_chat_from_going_on() -> None:
    file = _write(POET)
    Talk("Hi", role="poet")
    file.unlink()
    talk = Talk("More", resume="last")
    assert "There is no role called 'poet'. The chat goes on without its parameters." in talk.err
    assert talk.systems == ["Rhyme."]


@pytest.mark.parametrize("name", ["nobody", "../../x", "CON", "-rf", "", "x" * 300])
def test_a_name_that_leads_to_no_role_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="role") as caught:
        Talk("Hi", role=name)
    assert caught.value.exit_code == 2


def test_the_role_stands_in_the_list_of_chats(capfd: pytest.CaptureFixture[str]) -> None:
    import json

    from command_line import mistral

    _write(POET)
    Talk("Hi", role="poet")
    assert json.loads(mistral(capfd, "history", "list", "--json").out)["chats"][0]["role"] == "poet"
