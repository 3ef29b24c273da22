"""``mistral tokens``: the ids that would be sent to a model, and what each of them is. Loads no weights, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands import prompt_options as asked
from mistral_cli.commands.flags import ANSWER, MODEL, PROMPT
from mistral_cli.commands.prompt import Reader, build_prompt, read_inputs, read_system
from mistral_cli.commands.role import use_role
from mistral_cli.commands.start import start
from mistral_cli.commands.template import Template, use_template
from mistral_cli.errors import ModelNotFoundError, UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin

if TYPE_CHECKING:
    from mistral_cli.text.template import EncodedPrompt
    from mistral_cli.text.tokenizer import Tokenizer

TextArgument = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", parser=str, show_default=False, help="The prompt. Files and stdin follow it."),
]
MessagesOption = Annotated[
    str | None,
    typer.Option(
        "--messages",
        metavar="FILE",
        parser=str,
        help="A whole conversation as JSON: a list of messages, or an object with messages and tools. `-` is stdin.",
        rich_help_panel=PROMPT,
    ),
]
TokenizerOption = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="PATH",
        parser=str,
        help="A tokenizer file, or a folder that holds one, instead of a model's.",
        rich_help_panel=MODEL,
    ),
]
_IN_MESSAGES = ("prompt", "file", "template", "set", "role", "system", "system_file", "prefix", "raw")
"""Flags that have no place where ``--messages`` is the whole conversation."""


def tokens(
    ctx: typer.Context,
    argument: TextArgument = None,
    file: asked.FileOption = None,
    stdin: asked.StdinOption = None,
    template: asked.TemplateOption = None,
    set: asked.SetOption = None,  # noqa: A002 (as the flag)
    role: asked.RoleOption = None,
    system: asked.SystemOption = None,
    system_file: asked.SystemFileOption = None,
    prefix: asked.PrefixOption = None,
    raw: asked.RawOption = None,
    messages: MessagesOption = None,
    model: opt.ModelOption = None,
    revision: opt.RevisionOption = None,
    tokenizer: TokenizerOption = None,
    chat_template: opt.ChatTemplateOption = None,
    as_object: Annotated[
        bool, typer.Option("--json", help="Print one JSON object: version, ids, pieces.", rich_help_panel=ANSWER)
    ] = False,
    quiet: opt.QuietOption = None,
) -> None:
    """Show the tokens that would be sent.

    One line a token: its id, * for a control token, who wrote it (control: the chat format itself), and its piece.
    """
    flags = {**locals(), "prompt": argument}
    _check(flags)
    settings, console = start(ctx, flags)
    form = None
    if messages is None:
        settings, form = use_template(use_role(settings, console), console)
    loaded = find_tokenizer(settings, tokenizer)
    if loaded.notice:
        console.notice(loaded.notice)
    encoded = _encode(settings, console, loaded, messages, form)
    pieces = [loaded.piece(token) for token in encoded.ids]
    if as_object:
        console.json({"version": loaded.version, "ids": list(encoded.ids), "pieces": pieces})
    else:
        console.line("\n".join(_rows(loaded, encoded, pieces)))


def _check(flags: Mapping[str, object]) -> None:
    """Refuse flags that contradict each other."""
    for name in _IN_MESSAGES if flags["messages"] is not None else ():
        if flags[name] not in (None, [], False):
            shown = "TEXT" if name == "prompt" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{shown} and --messages are both given.", "--messages holds the whole conversation.")


def find_tokenizer(settings: Settings, tokenizer: str | None) -> Tokenizer:
    """Load the tokenizer that was named, else the model's.

    Raises:
        UsageError: a tokenizer is named, and a model too.
        ModelNotFoundError, CheckpointError: as ``resolve`` and ``load_tokenizer``.
    """
    from mistral_cli.text.tokenizer import load_tokenizer
    from mistral_cli.weights.hub import default_model, resolve

    if tokenizer is not None and any(_is_flag(settings, name) for name in ("model", "revision")):
        raise UsageError("--tokenizer is given, and a model too.", "One of them says which tokenizer to use.")
    if tokenizer is None:
        name = settings.model or default_model()
        return load_tokenizer(resolve(name, revision=settings.revision, weights=False), template=settings.chat_template)
    path = Path(tokenizer)
    if not path.exists():
        raise ModelNotFoundError(f"--tokenizer: there is no file or folder {tokenizer}.", "Check the path.")
    return load_tokenizer(path, template=settings.chat_template)


def _is_flag(settings: Settings, name: str) -> bool:
    """Tell whether an option was given on the command line itself."""
    return settings.origins.get(name, "").startswith("--")


def _encode(
    settings: Settings, console: Console, tokenizer: Tokenizer, messages: str | None, template: Template | None
) -> EncodedPrompt:
    """Read what the user gave and encode it as a model would be sent it."""
    from mistral_cli.text.messages import parse_conversation
    from mistral_cli.text.template import encode_chat, encode_prompt

    reader = Reader(stdin=Stdin.open(), console=console)
    if messages == "-" and not settings.stdin:
        raise UsageError("--messages is `-`, stdin, but --no-stdin leaves it alone.", "Drop one of them.")
    if messages is not None:
        conversation = parse_conversation(reader.read(messages))
        return encode_chat(tokenizer, conversation.messages, conversation.tools)
    system, inputs = read_system(settings, reader), read_inputs(settings, reader)
    prompt = build_prompt(inputs, settings, system, is_base=tokenizer.is_base, template=template)
    return encode_prompt(tokenizer, prompt)


def _rows(tokenizer: Tokenizer, encoded: EncodedPrompt, pieces: list[str]) -> Iterator[str]:
    """Yield the lines for a person."""
    controls = tokenizer.control_ids
    count = sum(token in controls for token in encoded.ids)
    yield f"{tokenizer.version} ({tokenizer.found_by})"
    yield f"{len(encoded.ids):,} tokens, {count:,} of them control tokens (*)"
    yield ""
    for token, author, piece in zip(encoded.ids, encoded.authors, pieces, strict=True):
        mark = "*" if token in controls else " "
        yield f"{token:>6} {mark} {author:9}  {json.dumps(piece, ensure_ascii=False)}"
