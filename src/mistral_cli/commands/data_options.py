"""The flags for training data: which columns mean what, which part of a hub's data set. None means: not given."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mistral_cli.commands.flags import DATA, switch, text_flag

FormatOption = Annotated[
    Literal["chat", "sharegpt", "instruction", "completion", "translation", "text", "raw"] | None,
    typer.Option(
        "--format",
        help="What a row is: chat (messages, tools), sharegpt (conversations), instruction (instruction, input, "
        "output), completion (prompt, completion: a question and its answer), translation, text, or raw (prompt, "
        "completion: no chat format). By default what its columns say.",
        rich_help_panel=DATA,
    ),
]
MapOption = Annotated[
    list[str] | None,
    text_flag(
        "--map",
        panel=DATA,
        metavar="OURS=THEIRS",
        text="What the data calls a column: --map prompt=question,completion=answer; repeatable.",
    ),
]
SourceOption = Annotated[
    str | None,
    text_flag("--source", panel=DATA, metavar="LANGUAGE", text="Translate from this language: its column, en or fr."),
]
TargetOption = Annotated[
    str | None,
    text_flag("--target", panel=DATA, metavar="LANGUAGE", text="Translate into this language: its column, en or fr."),
]
SubsetOption = Annotated[
    str | None,
    text_flag("--subset", panel=DATA, metavar="NAME", text="Which subset of a hub's data set, such as en-fr."),
]
SplitOption = Annotated[
    str | None,
    text_flag("--split", panel=DATA, metavar="NAME", text="Which split of a hub's data set (train)."),
]
StrictOption = Annotated[
    bool,
    switch("--strict", panel=DATA, text="The first row that cannot be used is an error; else they are counted."),
]
YesOption = Annotated[
    bool, switch("-y", "--yes", panel=DATA, text="Download a hub's data set without asking, however large it is.")
]
