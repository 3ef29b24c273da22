"""The flags for what is asked. None means: not given, so the settings below count."""

from __future__ import annotations

from typing import Annotated

import typer

from mistral_cli.commands.flags import PROMPT, number, switch, text_flag

PromptArgument = Annotated[
    str | None,
    typer.Argument(metavar="PROMPT", parser=str, show_default=False, help="The prompt. Files and stdin follow it."),
]
PromptOption = Annotated[str | None, text_flag("-p", "--prompt", panel=PROMPT, text="The prompt, instead of PROMPT.")]
FileOption = Annotated[
    list[str] | None,
    text_flag("-f", "--file", panel=PROMPT, metavar="FILE", text="Add a file to the prompt; repeatable. `-` is stdin."),
]
StdinOption = Annotated[
    bool | None,
    switch(
        "--stdin/--no-stdin", panel=PROMPT, text="Read stdin where it is not a terminal, and add it last (the default)."
    ),
]
TemplateOption = Annotated[
    str | None,
    text_flag(
        "--template",
        panel=PROMPT,
        metavar="TEMPLATE",
        text="Put prompt, files and stdin where this template has places for them: a name (`mistral templates`) or a "
        "file.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    text_flag(
        "--set", panel=PROMPT, metavar="FIELD=TEXT", text="With --template: what stands for {{FIELD}}; repeatable."
    ),
]
RoleOption = Annotated[
    str | None,
    text_flag(
        "--role",
        panel=PROMPT,
        metavar="ROLE",
        text="Answer as this role does: its system prompt and parameters (`mistral roles`); `none` for no role.",
    ),
]
SystemOption = Annotated[str | None, text_flag("-s", "--system", panel=PROMPT, text="The system prompt.")]
SystemFileOption = Annotated[
    str | None, text_flag("--system-file", panel=PROMPT, metavar="FILE", text="Read the system prompt from a file.")
]
PrefixOption = Annotated[
    str | None,
    text_flag("--prefix", panel=PROMPT, text="Start the answer with these words; the model goes on from them."),
]
ScriptOption = Annotated[
    str | None,
    text_flag(
        "--script",
        panel=PROMPT,
        metavar="FILE",
        text="Take questions and commands from a file, a line each, instead of a keyboard. `-` is stdin.",
    ),
]
RawOption = Annotated[
    bool | None, switch("--raw/--no-raw", panel=PROMPT, text="Send the prompt as it is, without the chat template.")
]
LinesOption = Annotated[
    bool | None,
    switch(
        "--lines/--no-lines",
        panel=PROMPT,
        text="Each line of stdin is a prompt; one JSON object a line comes out, in the same order. Blank lines are "
        "skipped.",
    ),
]
BatchOption = Annotated[
    int | None,
    number(
        "--batch",
        panel=PROMPT,
        metavar="N",
        text="With --lines: answer N lines side by side, each with a cache of its own; by default 8, or as many as "
        "fit. 1 answers one after the other. The answers are the same (without --quantize, nearly always).",
    ),
]
