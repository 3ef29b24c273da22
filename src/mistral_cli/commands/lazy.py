"""How a table of commands becomes typer's: a module is imported when its command is named, help is set in sections.

So ``mistral --help`` costs typer alone. Knows no command.
"""

from __future__ import annotations

import importlib
import re
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from mistral_cli.commands.as_typed import take_as_typed

_NARROW: Final = 60
"""Columns below which names and their texts do not stand side by side."""
_REQUIRED: Final = re.compile(r"^\{(.*)\}(\.\.\.)?$")
"""What typer makes of an argument that must be given: ``{NAME}...``."""
_FLAG: Final = re.compile(r"--[\w-]+")
_HYPHEN: Final = "\u2011"
"""Where no line breaks."""
_NAMES: Final = 30
"""Columns of names at most."""
CONTEXT: Final = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table: ``mistral NAME`` calls ``function`` of ``module``."""

    name: str
    module: str
    function: str
    summary: str
    examples: tuple[str, ...] = ()
    """Lines that a newcomer may type as they stand."""
    implied: Mapping[str, str] = field(default_factory=dict)
    """Flag -> its value where none follows it."""
    takes_dashes: bool = False
    """Whether a word may begin with a dash: -0.5 is a value, no flag."""


class LazyGroup(TyperGroup):
    """A table as typer wants it. Its type for a context is private, hence ``Any``."""

    rows: ClassVar[tuple[Command, ...]] = ()

    def get_help_option(self, ctx: Any) -> Any:
        """Return ``--help``, which typer makes apart from the other parameters."""
        return _light(super().get_help_option(ctx))

    def list_commands(self, _ctx: Any) -> list[str]:
        """Return the names of all commands, in the order of the table."""
        return [row.name for row in self.rows]

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """Import and return the command of that name, or None."""
        rows = [row for row in self.rows if row.name == cmd_name]
        return _import_command(rows[0]) if rows else None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, as wide as the terminal."""
        formatter.width = _help_width()
        super().format_help(ctx, formatter)

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the usage line."""
        _write_usage(self, ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, then the commands."""
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """Write the rows of the table, importing none of them."""
        with formatter.section("Commands"):
            _write_rows([(row.name, row.summary) for row in self.rows], formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; a wrong name is compared with those of the table."""
        names: Any = dict.fromkeys(self.list_commands(ctx))
        self.commands = names
        return super().resolve_command(ctx, args)


class HelpInSections(TyperCommand):
    """A command whose help has examples, and lists options under the headings (``rich_help_panel``) that they carry."""

    examples: tuple[str, ...] = ()
    implied: Mapping[str, str] = MappingProxyType({})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, with the value that some flags imply where none follows them."""
        following = [*args[1:], "-"]
        pairs = zip(args, following, strict=False)
        given = [
            [arg, self.implied[arg]] if arg in self.implied and after[:1] == "-" else [arg] for arg, after in pairs
        ]
        return super().parse_args(ctx, [part for parts in given for part in parts])

    def get_help_option(self, ctx: Any) -> Any:
        """Return ``--help``, which typer makes apart from the other parameters."""
        return _light(super().get_help_option(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, as wide as the terminal."""
        formatter.width = _help_width()
        super().format_help(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what follows the name in the usage line, a required argument without braces."""
        return [_REQUIRED.sub(r"\1\2", piece).replace("…...", "…") for piece in super().collect_usage_pieces(ctx)]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what the command does, no flag in it broken, then the examples."""
        before, text = len(formatter.buffer), self.help
        self.help = _FLAG.sub(lambda flag: flag.group().replace("-", _HYPHEN), text or "")
        super().format_help_text(ctx, formatter)
        self.help = text
        formatter.buffer[before:] = [part.replace(_HYPHEN, "-") for part in formatter.buffer[before:]]
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in self.examples))

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the usage line."""
        _write_usage(self, ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, one section a heading, in the order in which the headings first come."""
        _write_options(self, ctx, formatter)


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            heading = getattr(param, "rich_help_panel", None) or f"{param.param_type_name.capitalize()}s"
            sections.setdefault(heading, []).append((_short(record[0]), record[1]))
    for heading, rows in sections.items():
        with formatter.section(heading):
            _write_rows(rows, formatter)


def _write_rows(rows: list[tuple[str, str]], formatter: Any) -> None:
    """Write names and what they do: side by side, or each text below its name where there is no room for that."""
    if formatter.width >= _NARROW:
        formatter.write_dl(rows, col_max=_NAMES)
        return
    for name, text in rows:
        for words, indent, more in ((name.replace("|", "| "), 2, 4), (text, 4, 4)):
            first, rest = " " * indent, " " * more
            width = max(formatter.width, 18)
            lines = textwrap.wrap(words, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
            formatter.write("".join(f"{line.replace('| ', '|')}\n" for line in lines))


def _write_usage(command: Any, ctx: Any, formatter: Any) -> None:
    """Write the usage line; where it would stand in a column of a few characters, below its heading."""
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    if formatter.width >= _NARROW:
        formatter.write_usage(ctx.command_path, usage.removeprefix(f"{ctx.command_path} "))
        return
    lines = textwrap.wrap(usage, formatter.width - 2, break_long_words=False, break_on_hyphens=False)
    formatter.write("\n".join(["Usage:", *(f"  {line}" for line in lines)]) + "\n")


def _light(option: Any) -> Any:
    take_as_typed(option)
    return option


def _help_width() -> int:
    """Return the columns of a help text; typer's own are 50 or more, so that narrow terminals break its words."""
    return max(min(shutil.get_terminal_size().columns, 80) - 2, 18)


def _short(names: str) -> str:
    """``--json / --no-json`` -> ``--[no-]json``; ``PROMPT <str>`` -> ``PROMPT``."""
    yes, _, no = names.removesuffix(" <str>").removesuffix(" <list[str]>").partition(" / --no-")
    return yes.replace(f"--{no}", f"--[no-]{no}") if no else yes


# -- flags that every command takes, before its name and after ---------------------------------------------------------


def _set_color(ctx: typer.Context, value: str | None) -> None:
    if value:
        ctx.find_root().obj.color = value


def _set_debug(ctx: typer.Context, value: bool) -> None:
    if value:
        ctx.find_root().obj.debug = True


Color = Annotated[
    Literal["auto", "always", "never"] | None,
    typer.Option("--color", callback=_set_color, expose_value=False, help="When to colour: by default on a terminal."),
]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debug, expose_value=False, help="Show the traceback of an error.")
]


def shared(color: Color = None, debug: Debug = False) -> None:
    """Carry the flags that every command takes."""


def _command_of(function: Any, name: str, summary: str = "") -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=HelpInSections, context_settings=CONTEXT, short_help=summary)(function)
    return typer.main.get_command(app)


def _import_command(row: Command) -> Any:
    command = _command_of(getattr(importlib.import_module(row.module), row.function), row.name, row.summary)
    command.params.extend(_command_of(shared, "shared").params)
    take_as_typed(*command.params)
    command.examples = row.examples
    command.context_settings = {**command.context_settings, "ignore_unknown_options": row.takes_dashes}
    command.implied = row.implied
    return command
