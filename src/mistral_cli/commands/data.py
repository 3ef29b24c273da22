"""``mistral data``: training data, checked as `mistral tune` would read it, or made of the chats that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import typer

from mistral_cli.commands import data_options as data_opt
from mistral_cli.commands import options as opt
from mistral_cli.commands.start import start
from mistral_cli.commands.tokens import TokenizerOption
from mistral_cli.commands.training_data import DataFlags
from mistral_cli.errors import UsageError

CHECK, CHATS = "check", "from-history"


def data(
    ctx: typer.Context,
    action: Annotated[Literal["check", "from-history"], typer.Argument(metavar="ACTION", show_default=False)],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|CHAT",
            parser=str,
            show_default=False,
            help="check: a file, `-` for stdin, or a hub's data set. from-history: chats by name; none: all.",
        ),
    ] = None,
    examples: Annotated[
        int | None, typer.Option("--examples", min=0, metavar="N", help="Samples to show (2).", rich_help_panel=CHECK)
    ] = None,
    length: Annotated[
        int | None,
        typer.Option("--length", metavar="N", help="Tokens of a sample at most (1024).", rich_help_panel=CHECK),
    ] = None,
    loss: Annotated[
        Literal["answers", "all"] | None,
        typer.Option("--loss", help="What is learnt: the answers, or every token.", rich_help_panel=CHECK),
    ] = None,
    format: data_opt.FormatOption = None,  # noqa: A002 (as the flag)
    map: data_opt.MapOption = None,  # noqa: A002
    source: data_opt.SourceOption = None,
    target: data_opt.TargetOption = None,
    subset: data_opt.SubsetOption = None,
    split: data_opt.SplitOption = None,
    strict: data_opt.StrictOption = False,
    yes: data_opt.YesOption = False,
    search: Annotated[
        str | None,
        typer.Option(
            "--search",
            metavar="WORDS",
            parser=str,
            help="Only chats that hold these words.",
            rich_help_panel=CHATS,
        ),
    ] = None,
    branches: Annotated[
        bool,
        typer.Option(
            "--branches",
            help="Every branch of a chat, other tries of an answer too; else the one that it stands at.",
            rich_help_panel=CHATS,
        ),
    ] = False,
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished",
            help="Answers too that were stopped, cut off, or ended as they repeated themselves.",
            rich_help_panel=CHATS,
        ),
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", parser=str, help="A .jsonl file; else stdout.", rich_help_panel=CHATS
        ),
    ] = None,
    model: opt.ModelOption = None,
    revision: opt.RevisionOption = None,
    tokenizer: TokenizerOption = None,
    chat_template: opt.ChatTemplateOption = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: opt.QuietOption = None,
) -> None:
    """Check training data, or make it of the chats that are kept; neither needs a model's weights.

    `check FILE` reads it as `mistral tune --data FILE` would: how many rows of which kind, which cannot be used and why
    (then the exit code is 8), how long they are in tokens, what --length cuts, and samples with what is learnt marked.
    `from-history` writes chats as conversations, a line each, into a file that only you may read.
    """
    given = dict(locals())
    _refuse_others(action, given)
    names = ("model", "revision", "chat_template", "quiet")
    settings, console = start(ctx, {name: given[name] for name in names})
    if action == CHATS:
        from mistral_cli.commands.from_history import Wish, write_lessons

        wish = Wish(names=words or (), search=search, branches=branches, unfinished=unfinished, output=output)
        write_lessons(wish, console, as_object=as_object)
        return
    if len(words or ()) != 1:
        raise UsageError("`mistral data check` takes one file, or one data set.", "For example: data check FILE")
    from mistral_cli.commands.data_check import Ask, check

    flags = DataFlags(
        format=format, map=map, source=source, target=target, subset=subset, split=split, strict=strict, yes=yes
    )
    ask = Ask(data=(words or [""])[0], flags=flags, length=length, loss=loss, examples=examples, tokenizer=tokenizer)
    check(ask, settings, console, as_object=as_object)


_OF_CHATS: Final = ("search", "branches", "unfinished", "output")
_OF_CHECK: Final = (
    *("examples", "length", "loss", "format", "map", "source", "target", "subset", "split", "strict", "yes"),
    *("model", "revision", "tokenizer", "chat_template"),
)
"""Flags that the other action has no use for."""


def _refuse_others(action: str, given: Mapping[str, Any]) -> None:
    for name in _OF_CHECK if action == CHATS else _OF_CHATS:
        if given[name] not in (None, False, []):
            raise UsageError(f"--{name.replace('_', '-')} has no place in `mistral data {action}`.", "Leave it out.")
