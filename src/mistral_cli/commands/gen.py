"""``mistral gen``: one prompt from arguments, files and stdin; one answer to stdout, a file or JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands import prompt_options as asked
from mistral_cli.commands.job import Job
from mistral_cli.commands.lines import answer_lines
from mistral_cli.commands.loading import open_backend, sampling_params
from mistral_cli.commands.output import open_target
from mistral_cli.commands.prompt import Reader, build_prompt, read_inputs, read_system
from mistral_cli.commands.role import use_role
from mistral_cli.commands.start import start
from mistral_cli.commands.template import Template, use_template
from mistral_cli.contract import Backend, Prompt
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.interrupt import Interrupt
from mistral_cli.ui.stdin import Stdin

INTERRUPTED: Final = 130


def gen(
    ctx: typer.Context,
    argument: asked.PromptArgument = None,
    prompt: asked.PromptOption = None,
    file: asked.FileOption = None,
    stdin: asked.StdinOption = None,
    template: asked.TemplateOption = None,
    set: asked.SetOption = None,  # noqa: A002 (as the flag)
    role: asked.RoleOption = None,
    system: asked.SystemOption = None,
    system_file: asked.SystemFileOption = None,
    prefix: asked.PrefixOption = None,
    raw: asked.RawOption = None,
    lines: asked.LinesOption = None,
    batch: asked.BatchOption = None,
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
    json: opt.JsonOption = None,
    logprobs: opt.LogprobsOption = None,
    output: opt.OutputOption = None,
    extract: opt.ExtractOption = None,
    trim: opt.TrimOption = None,
    markdown: opt.MarkdownOption = None,
    confidence: opt.ConfidenceOption = None,
    plain: opt.PlainOption = None,
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


def run_gen(
    settings: Settings, console: Console, *, stdin: Stdin, load: Callable[[Settings, Console, Prompt | None], Backend]
) -> int:
    """Read the prompt, load the model, answer; return the exit code. Everything wrong with the flags is said first.

    Raises:
        MistralError: what could not be read, loaded, answered or written.
    """
    settings, template = use_template(use_role(settings, console), console)
    _check(settings, template)
    reader = Reader(stdin=stdin, console=console)
    system, inputs = read_system(settings, reader), read_inputs(settings, reader)
    prompt = None if settings.lines else build_prompt(inputs, settings, system, is_base=False, template=template)
    failure, cancel = None, Interrupt()
    with open_target(settings.output, console) as target:
        backend = load(settings, console, prompt)
        params = sampling_params(settings, backend.defaults)
        job = Job(
            backend=backend,
            params=params,
            settings=settings,
            system=system,
            inputs=inputs,
            template=template,
            target=target,
            console=console,
            cancel=cancel,
        )
        failure = _answer(job, reader)
        if cancel.is_set():
            target.mark_partial()
    if failure is not None and not cancel.is_set():
        raise failure
    return INTERRUPTED if cancel.is_set() else 0


def _answer(job: Job, reader: Reader) -> MistralError | None:
    info = job.backend.info
    if info.is_base and not job.settings.raw:
        job.console.notice(f"{info.name} is a base model without a chat template: it goes on from the prompt.")
    if job.settings.lines:
        return answer_lines(job, reader)
    job.answer(job.prompt(), job.choose_form())
    return None


def _check(settings: Settings, template: Template | None) -> None:
    """Refuse what cannot be, alone or together, before anything is read or loaded."""
    sampling_params(settings, {})
    as_json = settings.json or settings.lines
    takes_lines = template is None or template.places & {"stdin", "input"}
    reads_dash = "-" in (*settings.file, settings.system_file)
    flags = {
        name: settings.origins.get(name) == f"--{name}" for name in ("batch", "confidence", "markdown", "overflow")
    }
    drops = settings.overflow == "drop-oldest"
    rules = (
        (settings.logprobs is not None and not as_json, "logprobs", "needs --json: only there is a place for them"),
        (settings.markdown and settings.plain, "markdown", "and plain are both given, but only one can be"),
        (flags["confidence"] and flags["markdown"], "confidence", "and --markdown are both given, but only one can be"),
        (flags["confidence"] and as_json, "confidence", "tints text, and JSON has none to tint: see --logprobs"),
        (flags["overflow"] and drops, "overflow", "is drop-oldest, but one question has no older turns to leave out"),
        (settings.output == "", "output", "is empty, but must be the name of a file"),
        (flags["batch"] and not settings.lines, "batch", "needs --lines"),
        (settings.lines and not settings.stdin, "lines", "reads stdin, but --no-stdin leaves it alone"),
        (settings.lines and not takes_lines, "lines", "needs a template with {{stdin}} or {{input}}"),
        (settings.lines and reads_dash, "lines", "reads stdin itself, so that `-` cannot be one of the files"),
    )
    for is_wrong, name, why in rules:
        if is_wrong:
            raise UsageError(f"{settings.origins[name]} {why}.")
