"""``mistral chat``: a conversation in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from mistral_cli.adapting import labels
from mistral_cli.commands import options as opt
from mistral_cli.commands import prompt_options as asked
from mistral_cli.commands.another_model import AnotherModel
from mistral_cli.commands.kept_cache import KeptCaches
from mistral_cli.commands.kept_chat import closing_line, open_chat
from mistral_cli.commands.loading import open_backend, sampling_params
from mistral_cli.commands.own_model import is_flag, with_own_model
from mistral_cli.commands.prompt import Reader, read_system
from mistral_cli.commands.role import begin_role
from mistral_cli.commands.script import open_script
from mistral_cli.commands.start import start
from mistral_cli.contract import Backend, ModelInfo, SamplingParams
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin

if TYPE_CHECKING:
    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.keeper import Keeper
    from mistral_cli.ui.repl import Repl


def chat(
    ctx: typer.Context,
    role: asked.RoleOption = None,
    system: asked.SystemOption = None,
    system_file: asked.SystemFileOption = None,
    script: asked.ScriptOption = None,
    model: opt.ModelOption = None,
    revision: opt.RevisionOption = None,
    chat_template: opt.ChatTemplateOption = None,
    adapter: opt.AdapterOption = None,
    backend: opt.BackendOption = None,
    dtype: opt.DtypeOption = None,
    quantize: opt.QuantizeOption = None,
    kv: opt.KvOption = None,
    device: opt.DeviceOption = None,
    compile: opt.CompileOption = None,  # noqa: A002 (as the flag)
    context: opt.ContextOption = None,
    threads: opt.ThreadsOption = None,
    temperature: opt.TemperatureOption = None,
    top_p: opt.TopPOption = None,
    top_k: opt.TopKOption = None,
    min_p: opt.MinPOption = None,
    repetition_penalty: opt.RepetitionPenaltyOption = None,
    presence_penalty: opt.PresencePenaltyOption = None,
    frequency_penalty: opt.FrequencyPenaltyOption = None,
    logit_bias: opt.LogitBiasOption = None,
    seed: opt.SeedOption = None,
    order: opt.OrderOption = None,
    max_tokens: opt.MaxTokensOption = None,
    stop: opt.StopOption = None,
    watchdog: opt.WatchdogOption = None,
    overflow: opt.OverflowOption = None,
    keys: opt.KeysOption = None,
    resume: opt.ResumeOption = None,
    store: opt.StoreOption = None,
    keep_cache: opt.KeepCacheOption = None,
    plain: opt.PlainOption = None,
    stats: opt.StatsOption = None,
    quiet: opt.QuietOption = None,
) -> int:
    """Hold a conversation.

    Ctrl-C stops an answer and keeps what was said; Ctrl-D leaves. /help lists the commands, /help keys the keys: Enter
    sends, Alt-Enter or Ctrl-J begins a new line, Tab completes, @FILE takes a file along, Ctrl-R searches earlier
    lines, Ctrl-X Ctrl-E opens $EDITOR. Every turn is kept on this disk as it ends (`mistral history`); --no-store keeps
    nothing.
    """
    flags = locals()
    settings, console = start(ctx, flags)
    run_chat(settings, console, stdin=Stdin.open(), load=open_backend)
    return 0


def run_chat(
    settings: Settings, console: Console, *, stdin: Stdin, load: Callable[[Settings, Console], Backend]
) -> None:
    """Load the model and talk until the user leaves.

    Raises:
        UsageError: no terminal to talk at, or a model that cannot chat.
        SessionNotFoundError: no chat of the name to go on with.
        KeyboardInterrupt: Ctrl-C twice within a second.
    """
    if settings.script is None:
        _refuse_elsewhere(stdin, console)
    if settings.system_file == "-":
        raise UsageError("--system-file is `-`, but stdin is where you type.", "Name a file.")
    script = None if settings.script is None else open_script(settings.script, stdin, console)
    sampling_params(settings, {})
    keeper, conversation = open_chat(settings, console)
    plain, reader = with_own_model(settings, conversation, console), Reader(stdin=stdin, console=console)
    settings, conversation = begin_role(plain, keeper, conversation, reader)
    before_role = partial(_before_role, plain, keeper, reader)
    _talk(settings, console, keeper, conversation, before_role=before_role, script=script, load=load)


def _before_role(
    plain: Settings, keeper: Keeper, reader: Reader, backend: Backend
) -> tuple[SamplingParams, str] | None:
    """Return parameters and system prompt as they are without the role; None where there is none."""
    if not keeper.role:
        return None
    return _params(plain, backend), read_system(plain, reader) if plain.resume is None else ""


def _able_to_chat(backend: Backend) -> Backend:
    if backend.info.is_base:
        message = f"{backend.info.name} is a base model without a chat template, so it cannot chat."
        raise UsageError(message, "`mistral gen` goes on from a prompt; --chat-template VERSION forces a template.")
    return backend


def _refuse_elsewhere(stdin: Stdin, console: Console) -> None:
    for name, is_terminal in (("stdin", stdin.is_terminal), ("stdout", console.out.is_terminal)):
        if not is_terminal:
            hint = "For pipes and scripts: mistral gen, or mistral chat --script FILE"
            raise UsageError(f"{name} is not a terminal, so nobody can chat.", hint)


def banner(info: ModelInfo) -> str:
    """Return the line that says what is loaded."""
    form = info.dtype if info.quantization == "none" else f"{info.quantization} and {info.dtype}"
    form += f", cache in {info.kv}" if info.kv != "none" else ""
    name = f"{info.name} with {labels(info.adapters)}" if info.adapters else info.name
    return f"{name} · {form} on {info.device} · context {info.context:,} tokens · /help, Ctrl-D leaves"


def _talk(
    settings: Settings,
    console: Console,
    keeper: Keeper,
    conversation: Conversation,
    *,
    before_role: Callable[[Backend], tuple[SamplingParams, str] | None],
    script: Callable[[], str] | None,
    load: Callable[[Settings, Console], Backend],
) -> None:
    from mistral_cli.commands.list import model_names
    from mistral_cli.commands.pull import find_or_offer_adapter
    from mistral_cli.ui.adapters import go_on_with
    from mistral_cli.ui.answer import open_writer
    from mistral_cli.ui.keyboard.opening import keyboard_for
    from mistral_cli.ui.overflow import Overflow
    from mistral_cli.ui.repl import Repl, no_line

    backend = _able_to_chat(load(settings, console))
    path = conversation.path()
    if path and not is_flag(settings, "adapter"):
        go_on_with(backend, path[-1].record, console)
    console.notice(banner(backend.info))
    if keeper.session is not None and keeper.session.model not in ("", backend.info.name):
        console.notice(f"{keeper.session.model} answered so far, {backend.info.name} does from here on.")
    if keeper.role:
        console.notice(f"{keeper.role} answers, a role: /role none leaves it.")
    caches = KeptCaches(settings=settings, console=console)
    caches.begin(backend)
    if keeper.session is not None:
        caches.enter(backend)
    others = AnotherModel(settings=settings, console=console, open=load)
    repl = Repl(
        backend=backend,
        params=_params(settings, backend),
        before_role=before_role(backend),
        console=console,
        read=script or no_line,
        conversation=conversation,
        keeper=keeper,
        caches=caches,
        open_writer=partial(open_writer, plain=settings.plain),
        load=others.load,
        check=others.check,
        reload=others.reload,
        models=model_names,
        offer_adapter=partial(find_or_offer_adapter, console=console),
        is_strict=settings.script is not None,
        overflow=Overflow(policy=settings.overflow, ask=_asker(settings, console)),
        shows_stats=settings.stats,
    )
    if script is None and settings.resume is not None:
        _show_last(repl)
    del backend  # the chat alone holds it, so that another can have its memory
    try:
        with keyboard_for(repl, settings.keys) if script is None else nullcontext():
            repl.run()
    finally:
        if repl.keeper.session is not None:  # another one than it began with, after /open or /new
            console.notice(closing_line(repl.keeper.session))
        caches.leave(repl.backend, repl.keeper)


def _show_last(repl: Repl) -> None:
    """Show the turn that the chat goes on from."""
    from mistral_cli.ui.slash.row import show_turn

    for turn in repl.conversation.path()[-1:]:
        show_turn(repl, turn)


def _params(settings: Settings, backend: Backend) -> SamplingParams:
    params = sampling_params(settings, backend.defaults)
    return replace(params, logprobs=None, watchdog=settings.watchdog is not False)


def _asker(settings: Settings, console: Console) -> Callable[[str], bool] | None:
    """Return what asks whether turns may be left out; None where nobody can be asked."""
    from mistral_cli.ui.one_key import read_key

    if settings.script is not None or not console.can_ask:
        return None

    def ask(question: str) -> bool:
        return read_key(lambda: console.stats(question)) in ("d", "D")

    return ask
