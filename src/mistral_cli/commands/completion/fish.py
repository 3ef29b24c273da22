"""The completion script of fish: a ``complete`` line for each flag and place. Knows no command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mistral_cli.commands.completion.words import COMPLETE_VAR, PROGRAMS, CommandWords, Option, ProgramWords, Values

_READING: Final = r"""
# Prints the command on the line, then how many words stand behind it that are no flags and no values of flags.
function __mistral_place
    set -l words (commandline -opc)
    set -l command ''
    set -l place 0
    set -l ends 0
    set -e words[1]
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        if test $ends = 0; and string match -qr -- '^-.' $word
            if test $word = --
                set ends 1
            else if __mistral_takes_value "$command $word"
                set -e words[1]
            end
        else if test -z $command
            set command $word
        else
            set place (math $place + 1)
        end
    end
    printf '%s\n' "$command" $place
end

# Whether the command on the line is one of these; an empty one: there is none yet.
function __mistral_uses
    set -l at (__mistral_place)
    contains -- "$at[1]" $argv
end

# Whether the cursor is at this place behind this command, or at a later one.
function __mistral_at
    set -l at (__mistral_place)
    test "$at[1]" = $argv[1]; and test $at[2] $argv[2] $argv[3]
end

# The names that the program itself knows, with what they are.
function __mistral_names
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    %VARIABLE%=$argv[1] $program $words[2..-1] "$current" 2>/dev/null
end
"""


def fish_script(program: ProgramWords) -> str:
    """Return the script."""
    return "\n".join(
        (
            "# TAB completion of mistral for fish, written by `mistral completions fish`.",
            _READING.replace("%VARIABLE%", COMPLETE_VAR),
            *_takes_value(program),
            "",
            *(f"complete -c {name} -w {PROGRAMS[0]}" for name in PROGRAMS[1:]),
            f"complete -c {PROGRAMS[0]} -f",
            *_commands(program),
            *_options(program),
            *(line for command in program.commands for line in _arguments(command)),
            "",
        )
    )


def _takes_value(program: ProgramWords) -> Iterator[str]:
    yield "function __mistral_takes_value"
    yield "    switch $argv[1]"
    for name, options in (("", program.options), *((command.name, command.options) for command in program.commands)):
        flags = [f"{name} {flag}" for option in options if option.values is not None for flag in option.names]
        if flags:
            yield f"        case {' '.join(map(_quoted, flags))}"
            yield "            return 0"
    yield "    end"
    yield "    return 1"
    yield "end"


def _commands(program: ProgramWords) -> Iterator[str]:
    for command in program.commands:
        yield f"complete -c mistral -n \"__mistral_uses ''\" -a {command.name} -d {_quoted(command.about)}"


def _options(program: ProgramWords) -> Iterator[str]:
    """Yield a line for each flag, one for all commands that have the same."""
    users: dict[Option, list[str]] = {option: ["''"] for option in program.options}
    for command in program.commands:
        for option in command.options:
            users.setdefault(option, []).append(command.name)
    for option, commands in users.items():
        condition = f'-n "__mistral_uses {" ".join(commands)}"'
        line = f"complete -c mistral {condition} {_spelled(option.names)}"
        yield f"{line} {_value(option.values)}-d {_quoted(option.about)}"
        if option.opposites:
            about = _quoted(f"Not: {option.about}")
            yield f"complete -c mistral {condition} {_spelled(option.opposites)} -d {about}"


def _spelled(names: tuple[str, ...]) -> str:
    return " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in names)


def _arguments(command: CommandWords) -> Iterator[str]:
    for number, values in enumerate(command.arguments):
        sign = "-ge" if command.has_more and number + 1 == len(command.arguments) else "-eq"
        what = _candidates(values)
        if what:
            yield f'complete -c mistral -n "__mistral_at {command.name} {sign} {number}" {what}'


def _value(values: Values | None) -> str:
    if values is None:
        return ""
    return f"-r {_candidates(values) or '-f'} "


def _candidates(values: Values) -> str:
    """Return the arguments of ``complete`` for what may stand somewhere; empty: nothing is known of it."""
    if values.words:
        return f"-f -a {_quoted(' '.join(values.words))}"
    return {
        "none": "",
        "files": "-F",
        "folders": "-f -a '(__fish_complete_directories)'",
        "lessons": "-F -k -a '(__mistral_names lessons)'",
        "models": "-f -k -a '(__mistral_names models; __fish_complete_directories)'",
        "templates": "-f -k -a '(__mistral_names templates; __fish_complete_suffix .toml)'",
    }.get(values.source, f"-f -k -a '(__mistral_names {values.source})'")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
