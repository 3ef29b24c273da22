"""The completion script of bash: tables of what can stand where, and a function that reads the line. Knows no command.

Bash hands over words that it broke at ``:`` and ``=`` and that still have their quotes, and takes candidates that stand
for what follows the last such break. So the line is read anew, and candidates are quoted and cut as it wants them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from mistral_cli.commands.completion.words import COMPLETE_VAR, PROGRAMS, CommandWords, ProgramWords, Values

_READING: Final = r"""
# The line up to the cursor, without quotes, in _words. Of the last word, the first _behind characters stand before
# what bash will replace; _quote is the quote that is open in it; _redirects tells that a file follows < or >.
_mistral_read_line() {
    local line=${COMP_LINE:0:COMP_POINT} word='' char next begun='' i
    _words=() _behind=0 _quote='' _redirects=''
    for ((i = 0; i < ${#line}; i++)); do
        char=${line:i:1}
        if [[ $_quote == "'" ]]; then
            if [[ $char == "'" ]]; then _quote='' _behind=${#word}; else word+=$char; fi
        elif [[ $char == \\ ]]; then
            i=$((i + 1)) next=${line:i:1} begun=1
            if [[ $_quote && $next != [\"\\\$\`] ]]; then word+=\\; fi
            word+=$next
        elif [[ $_quote ]]; then
            if [[ $char == '"' ]]; then _quote='' _behind=${#word}; else word+=$char; fi
        elif [[ $char == [\'\"] ]]; then
            _quote=$char _behind=${#word} begun=1
        elif [[ $char == [[:space:]] ]]; then
            if [[ $begun ]]; then _words+=("$word") _redirects=''; fi
            word='' begun='' _behind=0
        elif [[ $char == [\<\>] ]]; then
            if [[ $begun && $word != [0-9\&] ]]; then _words+=("$word"); fi
            word='' begun='' _behind=0 _redirects=1
        else
            word+=$char begun=1
            if [[ $COMP_WORDBREAKS == *"$char"* ]]; then _behind=${#word}; fi
        fi
    done
    _words+=("$word")
}

# Offers those of its arguments that begin with the word at the cursor, behind what stands before a =.
_mistral_offer() {
    local name rest
    for name in "$@"; do
        name=$_before$name
        if [[ $name != "$_current"* ]]; then continue; fi
        rest=${name:_behind}
        case $_quote in
            '"') rest=${rest//\\/\\\\} rest=${rest//\"/\\\"} rest=${rest//\$/\\\$} rest=${rest//\`/\\\`} ;;
            "'") rest=${rest//\'/"'\\''"} ;;
            *) if [[ $rest == *[!a-zA-Z0-9_./:=@%+-]* ]]; then printf -v rest %q "$rest"; fi ;;
        esac
        COMPREPLY+=("$rest")
    done
}

# Offers the names that the program itself knows.
_mistral_offer_names() {
    local name names=()
    while IFS=$'\t' read -r name _; do
        names+=("$name")
    done < <(%VARIABLE%=$1 "${_program/#\~/$HOME}" "${_words[@]:1}" 2>/dev/null)
    _mistral_offer "${names[@]}"
}

# Offers what may stand where something of this kind is wanted; an empty answer lets bash complete files.
_mistral_offer_kind() {
    local kind=$1
    shift
    case $kind in
        files) ;;
        folders) compopt -o dirnames +o default 2>/dev/null ;;
        models)
            _mistral_offer_names models
            compopt -o plusdirs +o default 2>/dev/null ;;
        templates)
            if [[ $_current != *[./]* ]]; then _mistral_offer_names templates; fi ;;
        lessons) _mistral_offer_names lessons ;;
        fields)
            _mistral_offer_names fields
            compopt -o nospace +o default 2>/dev/null ;;
        words)
            _mistral_offer "$@"
            compopt +o default 2>/dev/null ;;
        none) compopt +o default 2>/dev/null ;;
        *)
            _mistral_offer_names "$kind"
            compopt +o default 2>/dev/null ;;
    esac
}

_mistral() {
    local _words _behind _quote _redirects _program=$1 _before='' _current
    local command='' place=0 ends='' word previous='' i kind
    COMPREPLY=()
    _mistral_read_line
    if [[ $_redirects ]]; then return; fi
    _current=${_words[${#_words[@]} - 1]}
    for ((i = 1; i < ${#_words[@]} - 1; i++)); do
        word=${_words[i]}
        if [[ $previous ]]; then
            previous=''
        elif [[ ! $ends && $word == -- ]]; then
            ends=1
        elif [[ ! $ends && $word == -?* ]]; then
            _mistral_kind_of "$command" "$word"
            if [[ $kind ]]; then previous=$word; fi
        elif [[ ! $command ]]; then
            command=$word
        else
            place=$((place + 1))
        fi
    done
    if [[ ! $previous && ! $ends && $_current == --?*=* ]]; then
        previous=${_current%%=*} _before=$previous=
    elif [[ ! $previous && ! $ends && $_current == -* ]]; then
        _mistral_flags_of "$command"
        compopt +o default 2>/dev/null
        return
    fi
    if [[ $previous ]]; then
        _mistral_kind_of "$command" "$previous"
    elif [[ $command ]]; then
        _mistral_kind_at "$command" "$place"
    else
        kind='words %COMMANDS%'
    fi
    eval "_mistral_offer_kind ${kind:-none}"
}
"""


def bash_script(program: ProgramWords) -> str:
    """Return the script."""
    commands = " ".join(command.name for command in program.commands)
    reading = _READING.replace("%VARIABLE%", COMPLETE_VAR).replace("%COMMANDS%", commands)
    return "\n".join(
        (
            "# TAB completion of mistral for bash 4 and later, written by `mistral completions bash`.",
            *_flags(program),
            *_kinds_of_flags(program),
            *_kinds_of_places(program),
            reading,
            f"complete -o default -F _mistral {' '.join(PROGRAMS)}",
            "",
        )
    )


def _commands(program: ProgramWords) -> Iterator[CommandWords]:
    """Yield every command, and as one without a name what stands before it."""
    yield CommandWords(name="", about="", options=program.options, arguments=(), has_more=False)
    yield from program.commands


def _flags(program: ProgramWords) -> Iterator[str]:
    yield "\n_mistral_flags_of() {\n    case $1 in"
    for command in _commands(program):
        names = [name for option in command.options for name in (*option.names, *option.opposites)]
        yield f"        {shlex.quote(command.name)}) _mistral_offer {' '.join(names)} ;;"
    yield "    esac\n}"


def _kinds_of_flags(program: ProgramWords) -> Iterator[str]:
    """Yield the function that sets ``kind`` for a command and a flag of it; empty where nothing follows the flag."""
    flags: dict[str, list[str]] = {}
    for command in _commands(program):
        for option in command.options:
            if option.values is not None:
                flags.setdefault(_kind(option.values), []).extend(f"{command.name} {name}" for name in option.names)
    yield "\n# What follows a flag of a command; nothing where it is a switch."
    yield '_mistral_kind_of() {\n    case "$1 $2" in'
    yield from _cases(flags)
    yield "        *) kind='' ;;\n    esac\n}"


def _kinds_of_places(program: ProgramWords) -> Iterator[str]:
    places: dict[str, list[str]] = {}
    for command in program.commands:
        for number, values in enumerate(command.arguments):
            is_last = number + 1 == len(command.arguments)
            place = "*" if command.has_more and is_last else f"{number}"
            places.setdefault(_kind(values), []).append(f"{command.name} {place}")
    yield "\n# What stands at a place behind a command."
    yield '_mistral_kind_at() {\n    case "$1 $2" in'
    yield from _cases(places)
    yield "        *) kind=none ;;\n    esac\n}"


def _cases(kinds: dict[str, list[str]]) -> Iterator[str]:
    # a pattern with a star comes after those that say a number
    for kind, patterns in sorted(kinds.items(), key=lambda item: any(one.endswith("*") for one in item[1])):
        shown = " | ".join(_pattern(pattern) for pattern in patterns)
        yield f"        {shown})\n            kind={shlex.quote(kind)} ;;"


def _pattern(text: str) -> str:
    return f"{shlex.quote(text.removesuffix('*'))}*" if text.endswith("*") else shlex.quote(text)


def _kind(values: Values) -> str:
    """Return what ``_mistral_offer_kind`` takes."""
    return f"words {' '.join(map(shlex.quote, values.words))}" if values.words else values.source
