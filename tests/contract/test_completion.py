"""The TAB key in real shells: bash, zsh and fish, each with the script that ``mistral completions`` prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from processes import MISTRAL, environment, run
from shells import Shell, needed

from mistral_cli.chat.store import FILE_NAME, open_store
from mistral_cli.settings.places import places

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
SHELLS: Final = ("bash", "zsh", "fish")
ODD: Final = "it's $HOME; `date` & (a) b!c"
"""What a chat, a role or a template may be called, and no shell may run."""
MOST_MODULES: Final = 160
"""Imported for a press beyond what Python itself needs; 122 at most when this was written, in a tenth of a second."""
pytestmark = pytest.mark.shells


def _write(name: str, text: str) -> None:
    file = places().config / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _keep_chat(name: str) -> None:
    store = open_store(places().data / FILE_NAME)
    store.new_session(name, model="builtin")
    store.close()


@pytest.fixture(scope="module", params=SHELLS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(request.param, tmp_path_factory.mktemp("home"))
    yield shell
    shell.close()


@pytest.fixture
def shell(opened: Shell, tmp_path: Path) -> Shell:
    """A shell in a folder with one file and one folder in it."""
    (tmp_path / "a file.txt").write_text("")
    (tmp_path / "folder").mkdir()
    opened.enter(tmp_path)
    return opened


def test_commands_flags_and_choices_are_completed(shell: Shell) -> None:
    expected = {
        "mistral ge": "mistral gen",
        "mistral gen --quant": "mistral gen --quantize",
        "mistral gen -q --quantize nf": "mistral gen -q --quantize nf4",
        "mistral gen --quantize=nf": "mistral gen --quantize=nf4",
        "mistral --color ne": "mistral --color never",
        "mistral --color never hist": "mistral --color never history",
        "mistral history exp": "mistral history export",
        "mistral-cli gen --ord": "mistral-cli gen --order",
        "mistral chat --chat-template v3-": "mistral chat --chat-template v3-tekken",
        "mistral config get mode": "mistral config get model",
        "mistral config set watchd": "mistral config set watchdog",
        "mistral config set quantize nf": "mistral config set quantize nf4",
        "mistral --color never config set --json store f": "mistral --color never config set --json store false",
        "mistral config set model bui": "mistral config set model builtin",
        "mistral completions fi": "mistral completions fish",
        "mistral gen -- --quant": "mistral gen -- --quant",
        "mistral burn --quant": "mistral burn --quant",
    }
    assert {typed: shell.completed(typed) for typed in expected} == expected


def test_every_command_is_offered_with_what_it_does_where_the_shell_can_say_it(shell: Shell) -> None:
    from mistral_cli.commands.table import COMMANDS

    _, shown = shell.press("mistral ")
    assert [row.name for row in COMMANDS if row.name not in shown] == []
    if shell.name != "bash":
        assert "Hold a conversation in the terminal" in shown
        assert "Send the prompt as it is" in shell.press("mistral gen --r")[1]


def test_files_and_folders_are_completed_where_they_belong_and_nowhere_else(shell: Shell) -> None:
    for typed in ("mistral perplexity a", "mistral gen -f a", "mistral gen hello --file=a", "mistral doctor > a"):
        assert shell.completed(typed).replace("\\", "").strip("'").endswith("a file.txt")
    assert shell.completed("mistral quantize --output a") == "mistral quantize --output a"
    assert shell.completed("mistral quantize --output f") == "mistral quantize --output folder/"
    for typed in ("mistral gen a", "mistral gen --seed a", "mistral history list --json a"):
        assert shell.press(typed)[0] == typed


def test_roles_templates_and_fields_are_completed(shell: Shell) -> None:
    _write("roles/poet.toml", "description = 'Rhymes'")
    _write("templates/mine.toml", "prompt = '{{tone}} {{input}}'")
    assert shell.completed("mistral chat --role po") == "mistral chat --role poet"
    assert shell.completed("mistral roles show rev") == "mistral roles show reviewer"
    assert shell.completed("mistral gen --template mi") == "mistral gen --template mine"
    assert shell.press("mistral gen --template mine --set ")[0] == "mistral gen --template mine --set tone="
    if shell.name != "bash":
        assert "Rhymes" in shell.press("mistral chat --role ")[1]


def test_models_at_hand_are_completed_by_their_names_and_short_names(shell: Shell) -> None:
    from hub.cached_models import cache_model

    cache_model("mistralai/Mistral-Nemo-Instruct-2407")
    assert shell.completed("mistral gen -m bui") == "mistral gen -m builtin"
    assert shell.completed("mistral gen --model=ne") == "mistral gen --model=nemo"
    assert shell.completed("mistral show mistralai/M") == "mistral show mistralai/Mistral-Nemo-Instruct-2407"
    assert shell.completed("mistral chat -m fo") == "mistral chat -m folder/"
    assert shell.completed("mistral pull mathst") == "mistral pull mathstral"


@pytest.mark.parametrize("begun", ["it", "'it", '"it'])
def test_a_name_with_blanks_quotes_and_dollars_is_one_word_as_it_is(begun: str, shell: Shell) -> None:
    _keep_chat(ODD)
    assert shell.words(f"mistral chat --resume {begun}") == ["mistral", "chat", "--resume", ODD]


def test_a_name_with_colons_is_completed_behind_each_of_them(shell: Shell, tmp_path: Path) -> None:
    for name in ("at:10:30", "at:10:45 late"):
        model = tmp_path / "models" / name
        model.mkdir(parents=True)
        for file in ("config.json", "tokenizer.json", "model.safetensors"):
            (model / file).write_text("{}")
    _write("config.toml", f'model_folders = ["{tmp_path}/models"]')
    for flag in ("-m ", "--model="):
        typed = f"mistral gen {flag}{tmp_path}/models/at:10:"
        assert shell.words(typed + "3")[-1].rstrip("/").endswith("/models/at:10:30")
        assert shell.words(typed + "4")[-1].rstrip("/").endswith("/models/at:10:45 late")


def test_a_broken_setting_costs_names_and_no_words(shell: Shell) -> None:
    _write("config.toml", "= no toml")
    _write("roles/poet.toml", "= no toml")
    line, shown = shell.press("mistral gen --role po")
    assert line.strip() == "mistral gen --role poet"
    assert "error" not in shown
    assert shell.completed("mistral gen -m bu") == "mistral gen -m bu"


@pytest.mark.parametrize("name", SHELLS)
def test_the_script_works_as_a_file_too(name: str, tmp_path: Path) -> None:
    load = {
        "bash": f"source {ROOT}/completions/mistral.bash",
        "fish": f"source {ROOT}/completions/mistral.fish",
        "zsh": "fpath=($PWD/site $fpath); autoload -Uz compinit; compinit -D -u",
    }[name]
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "_mistral").symlink_to(ROOT / "completions" / "mistral.zsh")
    shell = Shell(name, tmp_path, load=load)
    assert shell.completed("mistral gen --quant") == "mistral gen --quantize"
    shell.close()


def _bash_completion() -> str:
    whole = Path("/usr/share/bash-completion/bash_completion")
    if not whole.exists():
        pytest.fail("bash-completion is not installed, and this test loads it: apt-get install bash-completion")
    return f"source {whole}"


def test_bash_completes_beside_the_distributions_own_completions(tmp_path: Path) -> None:
    shell = Shell("bash", tmp_path, before=[_bash_completion()])
    assert shell.press("mistral gen --quant")[0] == "mistral gen --quantize "
    assert shell.press("mistral gen --model=bui")[0] == "mistral gen --model=builtin "
    shell.close()


def test_the_script_is_found_where_the_help_says_that_it_may_lie(tmp_path: Path) -> None:
    for place, script in {
        ".local/share/bash-completion/completions/mistral": "mistral.bash",
        ".config/fish/completions/mistral.fish": "mistral.fish",
    }.items():
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).symlink_to(ROOT / "completions" / script)
    for shell in (
        Shell("bash", tmp_path, before=[_bash_completion()], load=":"),
        Shell("fish", tmp_path, before=["set fish_complete_path ~/.config/fish/completions"], load=":"),
    ):
        assert shell.completed("mistral gen --quant") == "mistral gen --quantize"
        shell.close()


@pytest.mark.parametrize(
    "source", ["models", "ids", "chats", "roles", "templates", "fields", "copies", "settings", "what", "complete_zsh"]
)
def test_a_press_imports_little_and_no_tensor_library(source: str) -> None:
    _keep_chat("kept")
    command = [sys.executable, "-X", "importtime", *MISTRAL[1:], "gen", "--template", "translate", "--set"]
    done = run(command, env=environment(_MISTRAL_COMPLETE=source))
    modules = _imported(done.stderr)
    imported = {module.split(b".")[0] for module in modules}
    assert b"mistral_cli" in imported
    assert len(modules - _imported(run([sys.executable, "-X", "importtime", "-c", "pass"]).stderr)) < MOST_MODULES
    assert not imported & {
        b"torch",
        b"transformers",
        b"mistral_common",
        b"huggingface_hub",
        b"numpy",
        b"typer",
        b"rich",
    }
    assert done.returncode == 0


def _imported(times: bytes) -> set[bytes]:
    return {line.rsplit(b"|", 1)[-1].strip() for line in times.splitlines()}


def test_names_come_with_what_they_are_and_never_with_what_a_terminal_would_obey() -> None:
    _keep_chat("kept")
    _write("roles/poet.toml", 'description = "Rh\\u001b[31mymes\\nand\\tmore"')
    _write("roles/bad\x1b[2J.toml", "")
    said = run(MISTRAL, env=environment(_MISTRAL_COMPLETE="roles")).stdout.decode().splitlines()
    assert said[0] == "poet\tRh [31mymes and more"
    assert [line.split("\t")[0] for line in said] == ["poet", "reviewer"]
    said = run(MISTRAL, env=environment(_MISTRAL_COMPLETE="chats")).stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in said] == ["last", "kept"]


@pytest.mark.parametrize("name", SHELLS)
def test_the_shell_reads_its_script_without_a_word(name: str) -> None:
    script = ROOT / "completions" / f"mistral.{name}"
    checked = subprocess.run([needed(name), "-n", script], capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
