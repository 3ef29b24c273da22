"""``mistral gen``: one prompt from arguments, files and stdin; one answer to stdout, a file or JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands.answer import answer
from mistral_cli.commands.forms import CodeBlock, Form, Json, Plain, Rendered, describe
from mistral_cli.commands.lines import Batch
from mistral_cli.commands.loading import open_backend, sampling_params
from mistral_cli.commands.output import open_target
from mistral_cli.commands.prompt import Reader, build_prompt, read_parts, read_system
from mistral_cli.commands.start import start
from mistral_cli.contract import Backend, Prompt
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.events import stats_line
from mistral_cli.ui.interrupt import Interrupt
from mistral_cli.ui.markdown import MarkdownWriter
from mistral_cli.ui.stdin import Stdin

INTERRUPTED: Final = 130


def gen(
    ctx: typer.Context,
    argument: opt.PromptArgument = None,
    prompt: opt.PromptOption = None,
    file: opt.FileOption = None,
    stdin: opt.StdinOption = None,
    system: opt.SystemOption = None,
    system_file: opt.SystemFileOption = None,
    prefix: opt.PrefixOption = None,
    raw: opt.RawOption = None,
    lines: opt.LinesOption = None,
    model: opt.ModelOption = None,
    revision: opt.RevisionOption = None,
    template: opt.TemplateOption = None,
    dtype: opt.DtypeOption = None,
    device: opt.DeviceOption = None,
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
    json: opt.JsonOption = None,
    logprobs: opt.LogprobsOption = None,
    output: opt.OutputOption = None,
    extract: opt.ExtractOption = None,
    markdown: opt.MarkdownOption = None,
    stats: opt.StatsOption = None,
    quiet: opt.QuietOption = None,
) -> int:
    """Answer one prompt.

    The prompt is the argument (or -p), the files, and stdin, in this order, a blank line between. The answer goes to
    stdout, everything else to stderr.
    """
    flags = locals()
    if argument is not None and prompt is not None:
        raise UsageError("The prompt is given twice: as an argument and with --prompt.", "Drop one of them.")
    flags["prompt"] = argument if prompt is None else prompt
    settings, console = start(ctx, flags)
    return run_gen(settings, console, stdin=Stdin.open(), load=open_backend)


def run_gen(settings: Settings, console: Console, *, stdin: Stdin, load: Callable[[Settings, Console], Backend]) -> int:
    """Read the prompt, load the model, answer; return the exit code. Everything wrong with the flags is said first.

    Raises:
        MistralError: what could not be read, loaded, answered or written.
    """
    _check(settings)
    sampling_params(settings, {})
    reader = Reader(stdin=stdin, console=console)
    system, parts = read_system(settings, reader), read_parts(settings, reader)
    if not settings.lines:
        build_prompt(parts, settings, system, is_base=False)
    with open_target(settings.output, console) as target:
        backend = load(settings, console)
        is_base = backend.info.is_base
        if is_base and not settings.raw:
            console.notice(f"{backend.info.name} is a base model without a chat template: it goes on from the prompt.")
        params = sampling_params(settings, backend.defaults)
        job = Batch(backend=backend, params=params, settings=settings, parts=parts, system=system, target=target)
        with Interrupt() as cancel:
            if settings.lines:
                job.run(reader, cancel)
            else:
                prompt = build_prompt(parts, settings, system, is_base=is_base)
                _answer_once(job, prompt, console, cancel)
        if cancel.is_set():
            target.mark_partial()
    return INTERRUPTED if cancel.is_set() else 0


def _answer_once(job: Batch, prompt: Prompt, console: Console, cancel: Interrupt) -> None:
    form = _choose_form(job, console)
    done = answer(job.backend, prompt, job.params, form=form, console=console, cancel=cancel)
    if job.settings.stats:
        console.stats(stats_line(done))


def _choose_form(job: Batch, console: Console) -> Form:
    settings = job.settings
    if settings.json:
        extracts = settings.extract
        details = partial(describe, info=job.backend.info, params=job.params, extracts=extracts)
        return Json(target=job.target, describe=details)
    if settings.extract:
        return CodeBlock(target=job.target)
    if settings.markdown and settings.output is None and (console.out.is_terminal or console.out.color):
        return Rendered(writer=MarkdownWriter(console=console))
    return Plain(target=job.target)


def _check(settings: Settings) -> None:
    """Refuse what cannot be together, before anything is read or loaded."""
    as_json = settings.json or settings.lines
    reads_dash = "-" in (*settings.file, settings.system_file)
    rules = (
        (settings.logprobs is not None and not as_json, "logprobs", "needs --json: only there is a place for them"),
        (settings.lines and not settings.stdin, "lines", "reads stdin, but --no-stdin leaves it alone"),
        (settings.lines and reads_dash, "lines", "reads stdin itself, so that `-` cannot be one of the files"),
    )
    for is_wrong, name, why in rules:
        if is_wrong:
            raise UsageError(f"{settings.origins[name]} {why}.")
