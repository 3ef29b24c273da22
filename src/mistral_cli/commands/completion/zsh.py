"""The completion script of zsh: a function for each command, in the words of ``_arguments``. Knows no command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from mistral_cli.commands.completion.words import (
    COMPLETE_VAR,
    PROGRAMS,
    CommandWords,
    Option,
    ProgramWords,
    Values,
)

_NAMES: Final = r"""
# Offers the names that the program itself knows, with what they are.
_mistral_names() {
    local -a rows
    local name about
    while IFS=$'\t' read -r name about; do
        name=${name//\\/\\\\}
        rows+=("${name//:/\\:}:$about")
    done < <(%VARIABLE%=$1 ${(Q)~_mistral_words[1]} ${(Q)_mistral_words[2,-1]} 2>/dev/null)
    _describe -V -t mistral-$1 ${1%s} rows "${@[2,-1]}"
}

# Says what is wanted where nothing can be offered; a message would keep a flag from being completed there.
_mistral_hint() { [[ $PREFIX == -* ]] || _message -r $1 }
_mistral_models() {
    if [[ $PREFIX == [/.~]* ]]; then  # names that are paths would not mix with paths
        _path_files -/
    else
        _alternative 'models:model: _mistral_names models' 'folders:folder:_path_files -/'
    fi
}
_mistral_ids() { _mistral_names ids }
_mistral_chats() { _mistral_names chats }
_mistral_lessons() {
    _alternative 'chats:chat: _mistral_names lessons' 'files:file:_files'
}
_mistral_roles() { _mistral_names roles }
_mistral_templates() {
    _alternative 'templates:template: _mistral_names templates' "files:file:_files -g '*.toml(-.)'"
}
_mistral_fields() { _mistral_names fields -S '' }
_mistral_copies() { _mistral_names copies }
_mistral_settings() { _mistral_names settings }
"""
_END: Final = r"""
# In a folder of $fpath this file is the function's body; read by eval or source it says whose completion it is.
if [[ ${funcstack[1]} == _mistral ]]; then
    _mistral "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
    compdef _mistral %PROGRAMS%
fi
"""


def zsh_script(program: ProgramWords) -> str:
    """Return the script."""
    return "\n".join(
        (
            f"#compdef {' '.join(PROGRAMS)}",
            "# TAB completion of mistral for zsh, written by `mistral completions zsh`.",
            _NAMES.replace("%VARIABLE%", COMPLETE_VAR).rstrip(),
            *(line for command in program.commands for line in _command(command)),
            *_program(program),
            _END.replace("%PROGRAMS%", " ".join(PROGRAMS)).rstrip(),
            "",
        )
    )


def _program(program: ProgramWords) -> Iterator[str]:
    yield "\n_mistral() {"
    yield "    local curcontext=$curcontext state ret=1"
    yield "    local -a line _mistral_words=($words) commands"
    yield "    local -A opt_args"
    yield "    commands=("
    for command in program.commands:
        yield f"        {_quoted(f'{command.name}:{command.about}')}"
    yield "    )"
    yield "    _arguments -C -s -S \\"
    for option in program.options:
        for spec in _option(option):
            yield f"        {spec} \\"
    yield "        '1: :->command' \\"
    yield "        '*:: :->rest' && ret=0"
    yield "    case $state in"
    yield "        command) _describe -t commands 'command of mistral' commands && ret=0 ;;"
    yield "        rest)"
    yield "            curcontext=${curcontext%:*:*}:mistral-${line[1]}:"
    yield "            (( $+functions[_mistral-${line[1]}] )) && _mistral-${line[1]} && ret=0 ;;"
    yield "    esac"
    yield "    return ret"
    yield "}"


def _command(command: CommandWords) -> Iterator[str]:
    yield f"\n_mistral-{command.name}() {{"
    specs = [spec for option in command.options for spec in _option(option)]
    specs += [_argument(command, number) for number in range(len(command.arguments))]
    yield "    _arguments -s -S \\"
    yield " \\\n".join(f"        {spec}" for spec in specs)
    yield "}"


def _argument(command: CommandWords, number: int) -> str:
    values = command.arguments[number]
    place = "*" if command.has_more and number + 1 == len(command.arguments) else f"{number + 1}"
    return _quoted(f"{place}:{_plain(values.label)}:{_action(values)}")


def _option(option: Option) -> Iterator[str]:
    """Yield a spec for each spelling; one that is given takes the others away, unless the option repeats."""
    spellings = (*option.names, *option.opposites)
    others = "*" if option.repeats else f"({' '.join(spellings)})" if len(spellings) > 1 else ""
    for name in spellings:
        sign, value = "", ""
        if option.values is not None:
            sign = "=" if name.startswith("--") else "+"
            value = f":{_plain(option.values.label)}:{_action(option.values)}"
        about = f"Not: {option.about}" if name in option.opposites else option.about
        yield _quoted(f"{others}{name}{sign}[{_plain(about)}]{value}")


def _action(values: Values) -> str:
    if values.words:
        return f"({' '.join(values.words)})"
    if values.source == "none":
        return _plain(f" _mistral_hint {shlex.quote(values.label)}")
    return {"files": "_files", "folders": "_path_files -/"}.get(values.source, f"_mistral_{values.source}")


def _plain(text: str) -> str:
    """Return a text in which nothing means anything to ``_arguments``."""
    for char in "\\:[]":
        text = text.replace(char, f"\\{char}")
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
