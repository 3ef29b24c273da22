"""The flags that commands share, as typer's annotated types. None means: not given, so the settings below count.

``parser=str`` leaves it to the settings to read a value: they replace or keep what is not UTF-8, and say what a number
must be in the same words wherever it was set.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from mistral_cli.limits import LIMITS

PROMPT = "Prompt"
MODEL = "Model"
SAMPLING = "Sampling"
ANSWER = "Answer"


def _text(*names: str, panel: str, text: str, metavar: str = "TEXT") -> Any:
    return typer.Option(*names, parser=str, metavar=metavar, help=text, rich_help_panel=panel)


def _switch(*names: str, panel: str, text: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel)


def _number(*names: str, panel: str, text: str, metavar: str = "NUMBER") -> Any:
    limit = LIMITS.get(names[-1].removeprefix("--").replace("-", "_"))
    shown = f"{text} ({limit})" if limit else text
    return typer.Option(*names, parser=str, metavar=metavar, help=shown, rich_help_panel=panel)


# -- what is asked -----------------------------------------------------------------------------------------------------

PromptArgument = Annotated[
    str | None,
    typer.Argument(metavar="PROMPT", parser=str, show_default=False, help="The prompt. Files and stdin follow it."),
]
PromptOption = Annotated[str | None, _text("-p", "--prompt", panel=PROMPT, text="The prompt, instead of PROMPT.")]
FileOption = Annotated[
    list[str] | None,
    _text("-f", "--file", panel=PROMPT, metavar="FILE", text="Add a file to the prompt; repeatable. `-` is stdin."),
]
StdinOption = Annotated[
    bool | None,
    _switch(
        "--stdin/--no-stdin", panel=PROMPT, text="Read stdin where it is not a terminal, and add it last (the default)."
    ),
]
TemplateOption = Annotated[
    str | None,
    _text(
        "--template",
        panel=PROMPT,
        metavar="TEMPLATE",
        text="Put prompt, files and stdin where this template has places for them: a name (`mistral templates`) or a "
        "file.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    _text("--set", panel=PROMPT, metavar="FIELD=TEXT", text="With --template: what stands for {{FIELD}}; repeatable."),
]
RoleOption = Annotated[
    str | None,
    _text(
        "--role",
        panel=PROMPT,
        metavar="ROLE",
        text="Answer as this role does: its system prompt and parameters (`mistral roles`); `none` for no role.",
    ),
]
SystemOption = Annotated[str | None, _text("-s", "--system", panel=PROMPT, text="The system prompt.")]
SystemFileOption = Annotated[
    str | None, _text("--system-file", panel=PROMPT, metavar="FILE", text="Read the system prompt from a file.")
]
PrefixOption = Annotated[
    str | None, _text("--prefix", panel=PROMPT, text="Start the answer with these words; the model goes on from them.")
]
ScriptOption = Annotated[
    str | None,
    _text(
        "--script",
        panel=PROMPT,
        metavar="FILE",
        text="Take questions and commands from a file, a line each, instead of a keyboard. `-` is stdin.",
    ),
]
RawOption = Annotated[
    bool | None, _switch("--raw/--no-raw", panel=PROMPT, text="Send the prompt as it is, without the chat template.")
]
LinesOption = Annotated[
    bool | None,
    _switch(
        "--lines/--no-lines",
        panel=PROMPT,
        text="Each line of stdin is a prompt; one JSON object a line comes out, in the same order. Blank lines are "
        "skipped.",
    ),
]
BatchOption = Annotated[
    int | None,
    _number(
        "--batch",
        panel=PROMPT,
        metavar="N",
        text="With --lines: answer N lines side by side, each with a cache of its own; by default 8, or as many as "
        "fit. 1 answers one after the other. The answers are the same (without --quantize, nearly always).",
    ),
]

# -- which model, and how it runs --------------------------------------------------------------------------------------

ModelOption = Annotated[
    str | None,
    _text("-m", "--model", panel=MODEL, metavar="MODEL", text="A folder, a hub id (OWNER/NAME), a short name (7b) or `builtin`."),
]
RevisionOption = Annotated[
    str | None, _text("--revision", panel=MODEL, metavar="NAME", text="Branch, tag or commit of a hub id.")
]
ChatTemplateOption = Annotated[
    str | None,
    _text(
        "--chat-template",
        panel=MODEL,
        metavar="VERSION",
        text="Chat template to use instead of the model's: v1 … v13.",
    ),
]
BackendOption = Annotated[
    Literal["native", "hf"] | None,
    typer.Option(
        "--backend",
        help="Who computes: our own engine (Mistral, Mixtral) or transformers (any other architecture, several GPUs).",
        rich_help_panel=MODEL,
    ),
]
DtypeOption = Annotated[
    Literal["bfloat16", "float16", "float32", "float64"] | None,
    typer.Option("--dtype", help="Number format of the weights.", rich_help_panel=MODEL),
]
QuantizeOption = Annotated[
    Literal["none", "nf4", "int8", "int4"] | None,
    typer.Option(
        "--quantize", help="Hold the weights in 4 or 8 bits: a quarter of the memory, or half.", rich_help_panel=MODEL
    ),
]
KvOption = Annotated[
    Literal["none", "int8"] | None,
    typer.Option("--kv", help="Hold keys and values in 8 bits: half the memory of a context.", rich_help_panel=MODEL),
]
DeviceOption = Annotated[
    str | None, _text("--device", panel=MODEL, metavar="NAME", text="auto, cpu, cuda, cuda:1, mps …")
]
CompileOption = Annotated[
    bool | None,
    _switch(
        "--compile/--no-compile",
        panel=MODEL,
        text="Compile the layers with torch for writing. Costs seconds before the first token, and needs a C++ "
        "compiler. On the CPU where it was tried it gained nothing, and quantized models lost speed.",
    ),
]
ContextOption = Annotated[
    int | None,
    _number("--context", panel=MODEL, metavar="N", text="Tokens that fit, prompt and answer together."),
]
ThreadsOption = Annotated[
    int | None,
    _number(
        "--threads",
        panel=MODEL,
        metavar="N",
        text="CPU threads; by default the cores granted to this process, one for a tiny model.",
    ),
]

# -- how the next token is drawn ---------------------------------------------------------------------------------------

TemperatureOption = Annotated[
    float | None,
    _number("-t", "--temperature", panel=SAMPLING, text="0 picks the likeliest token; higher is more varied."),
]
TopPOption = Annotated[
    float | None, _number("--top-p", panel=SAMPLING, text="Keep the likeliest tokens that reach this probability.")
]
TopKOption = Annotated[
    int | None, _number("--top-k", panel=SAMPLING, metavar="N", text="Keep the N likeliest tokens; 0 keeps all.")
]
MinPOption = Annotated[
    float | None,
    _number("--min-p", panel=SAMPLING, text="Keep tokens at least this fraction as likely as the likeliest."),
]
RepetitionPenaltyOption = Annotated[
    float | None,
    _number("--repetition-penalty", panel=SAMPLING, text="Make tokens of prompt and answer less likely; 1 is off."),
]
PresencePenaltyOption = Annotated[
    float | None,
    _number("--presence-penalty", panel=SAMPLING, text="Subtract once from tokens that stand in the answer."),
]
FrequencyPenaltyOption = Annotated[
    float | None,
    _number("--frequency-penalty", panel=SAMPLING, text="Subtract each time a token stands in the answer."),
]
LogitBiasOption = Annotated[
    list[str] | None,
    _text("--logit-bias", panel=SAMPLING, metavar="ID=BIAS", text="Add BIAS to the logit of token ID; repeatable."),
]
SeedOption = Annotated[
    int | None, _number("--seed", panel=SAMPLING, metavar="N", text="The same seed gives the same answer.")
]
OrderOption = Annotated[
    Literal["temperature-first", "temperature-last"] | None,
    typer.Option(
        "--order", help="Apply the temperature before (default) or after the filters.", rich_help_panel=SAMPLING
    ),
]

# -- when the answer ends, and how it is shown -------------------------------------------------------------------------

MaxTokensOption = Annotated[
    int | None, _number("-n", "--max-tokens", panel=ANSWER, metavar="N", text="End the answer after N tokens.")
]
StopOption = Annotated[
    list[str] | None, _text("--stop", panel=ANSWER, text="End the answer before this text; repeatable.")
]
WatchdogOption = Annotated[
    bool | None,
    _switch(
        "--watchdog/--no-watchdog",
        panel=ANSWER,
        text="End an answer that says the same over and over: up to 64 tokens, 8 times or more, 200 tokens or more. "
        "Tables, rulers, numbers and drawings are let be. By default on in `chat`, off in `gen`.",
    ),
]
JsonOption = Annotated[
    bool | None,
    _switch(
        "--json/--no-json", panel=ANSWER, text="One JSON object: text, tokens, reason, timings, model, parameters."
    ),
]
LogprobsOption = Annotated[
    int | None,
    _number(
        "--logprobs",
        panel=ANSWER,
        metavar="K",
        text="With --json: log-probabilities of each token and the K likeliest.",
    ),
]
OutputOption = Annotated[
    str | None,
    _text("-o", "--output", panel=ANSWER, metavar="FILE", text="Write the answer to FILE (FILE.partial after Ctrl-C)."),
]
ExtractOption = Annotated[
    bool | None,
    _switch("-x/", "--extract/--no-extract", panel=ANSWER, text="Only the first fenced code block; none is an error."),
]
TrimOption = Annotated[
    bool | None, _switch("--trim/--no-trim", panel=ANSWER, text="Leave out blanks and line ends around the answer.")
]
MarkdownOption = Annotated[
    bool | None,
    _switch("--markdown/--no-markdown", panel=ANSWER, text="Render Markdown on a terminal, while it comes."),
]
PlainOption = Annotated[
    bool | None,
    _switch("--plain/--no-plain", panel=ANSWER, text="On a terminal: the text as it is, wrapped at words."),
]
ResumeOption = Annotated[
    str | None,
    _text("--resume", panel=ANSWER, metavar="[NAME|last]", text="Go on with a chat; without a name, the last one."),
]
StoreOption = Annotated[
    bool | None,
    _switch("--store/--no-store", panel=ANSWER, text="Keep the chat on this disk (the default), or leave no trace."),
]
StatsOption = Annotated[
    bool | None, _switch("--stats/--no-stats", panel=ANSWER, text="Say on stderr what the answer cost.")
]
QuietOption = Annotated[
    bool | None, _switch("-q", "--quiet/--no-quiet", panel=ANSWER, text="Say nothing on stderr but errors.")
]
