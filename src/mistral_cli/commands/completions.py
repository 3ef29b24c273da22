"""``mistral completions``: the script that lets a shell complete command lines of this program. Loads nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

import typer

from mistral_cli.commands.completion.bash import bash_script
from mistral_cli.commands.completion.fish import fish_script
from mistral_cli.commands.completion.words import ProgramWords, program_words
from mistral_cli.commands.completion.zsh import zsh_script
from mistral_cli.commands.start import start

_SCRIPTS: Final[dict[str, Callable[[ProgramWords], str]]] = {
    "bash": bash_script,
    "zsh": zsh_script,
    "fish": fish_script,
}


def completions(
    ctx: typer.Context,
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", show_default=False)],
) -> None:
    """Print the script that makes a shell complete `mistral` at TAB: commands, flags, models, chats, roles, files.

    bash: eval "$(mistral completions bash)" in ~/.bashrc; or, read at the first TAB where bash-completion is installed:
    mistral completions bash > ~/.local/share/bash-completion/completions/mistral

    zsh: eval "$(mistral completions zsh)" in ~/.zshrc; or, into a folder of $fpath: mistral completions zsh > _mistral

    fish: mistral completions fish > ~/.config/fish/completions/mistral.fish
    """
    from mistral_cli.commands.table import COMMANDS

    _settings, console = start(ctx)
    script = _SCRIPTS[shell](program_words(ctx.find_root().command, COMMANDS))
    console.line(script.rstrip("\n"))
