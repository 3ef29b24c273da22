"""``/role``: who answers, with which system prompt and parameters, and what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chats import err, out, typed

from fakes import FAKE_INFO, FakeBackend
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.settings.places import places
from mistral_cli.ui.slash.table import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path


def _write(name: str, text: str) -> None:
    file = places().config / "roles" / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_role_brings_its_system_prompt_and_its_parameters() -> None:
    _write("poet", 'system = "Rhyme."\ntemperature = 1.5')
    backend = FakeBackend()
    repl = typed("/role poet", "Hi", "/role", backend=backend)
    assert backend.prompts[0][0].content == "Rhyme."
    assert backend.params[0].temperature == 1.5
    assert out(repl).endswith("poet\n")


def test_none_brings_back_what_was_before_any_role() -> None:
    _write("poet", 'system = "Rhyme."\ntemperature = 1.5')
    _write("clerk", "top_k = 3")
    backend = FakeBackend()
    typed("/system Be brief.", "/set top_p 0.5", "/role poet", "/role clerk", "Hi", "/role none", "Ho", backend=backend)
    as_clerk, as_none = backend.params
    assert (as_clerk.temperature, as_clerk.top_p, as_clerk.top_k) == (0.7, 0.5, 3)
    assert (as_none.temperature, as_none.top_p, as_none.top_k) == (0.7, 0.5, 0)
    assert [prompt[0].content for prompt in backend.prompts] == ["Be brief.", "Be brief."]


def test_a_role_that_is_not_there_or_wrong_changes_nothing() -> None:
    _write("poet", 'system = "Rhyme."\ntemperature = "hot"')
    backend = FakeBackend()
    repl = typed("/role nobody", "/role ../../x", "/role poet", "Hi", "/role", backend=backend)
    assert "There is no role called 'nobody'" in err(repl)
    assert "cannot be the name of a role" in err(repl)
    assert "poet.toml:2: temperature is 'hot'" in err(repl)
    assert len(backend.prompts[0]) == 1
    assert out(repl).endswith("(no role)\n")


def test_a_role_loads_its_model_before_anything_is_changed() -> None:
    from mistral_cli.errors import ModelNotFoundError

    _write("poet", 'system = "Rhyme."\nmodel = "muse"')

    def load(name: str) -> FakeBackend:
        raise ModelNotFoundError(f"There is no {name}.")

    backend = FakeBackend()
    repl = typed("/role poet", "Hi", backend=backend, load=load, check=load)
    assert "There is no muse." in err(repl)
    assert len(backend.prompts[0]) == 1
    muse = FakeBackend(info=FAKE_INFO)
    typed("/role poet", "Hi", backend=backend, load=lambda _name: muse)
    assert muse.prompts[0][0].content == "Rhyme."


def test_the_role_is_kept_with_the_chat_and_opened_with_it(tmp_path: Path) -> None:
    _write("poet", 'system = "Rhyme."\ntemperature = 1.5')
    store = open_store(tmp_path / "chats.db")
    typed("/role poet", "Hi", "/save rhymes", backend=FakeBackend(), keeper=Keeper(store=store))
    assert store.find("rhymes").role == "poet"
    backend = FakeBackend()
    typed("/open rhymes", "More", "/role none", "And now?", backend=backend, keeper=Keeper(store=store))
    assert [params.temperature for params in backend.params] == [1.5, 0.7]
    assert backend.prompts[0][0].content == "Rhyme."
    assert backend.prompts[1][0].role == "user"
    assert store.find("rhymes").role == ""


def test_a_chat_whose_role_is_gone_opens_with_a_word_about_it(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    store.new_session("old", role="gone", system="Be brief.")
    backend = FakeBackend()
    repl = typed("/open old", "Hi", backend=backend, keeper=Keeper(store=store))
    assert "There is no role called 'gone'. The chat goes on without its parameters." in err(repl)
    assert backend.prompts[0][0].content == "Be brief."


def test_a_new_chat_keeps_the_role(tmp_path: Path) -> None:
    _write("poet", 'system = "Rhyme."')
    store = open_store(tmp_path / "chats.db")
    typed("/role poet", "Hi", "/new", "Ho", backend=FakeBackend(), keeper=Keeper(store=store))
    assert [session.role for session in store.sessions()] == ["poet", "poet"]


def test_roles_are_offered_with_what_they_are_for() -> None:
    _write("poet", 'description = "Rhymes"')
    repl = typed(backend=FakeBackend())
    (row,) = [row for row in COMMANDS if row.name == "/role"]
    assert row.complete is not None
    offered = {choice.text: choice.about for choice in row.complete(repl, "")}
    assert offered == {"none": "no role", "poet": "Rhymes", "reviewer": "Reviews code: defects first, briefly"}
