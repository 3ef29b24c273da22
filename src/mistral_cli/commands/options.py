"""The flags for who answers and how, as typer's annotated types. None means: not given, so the settings below count.

Those for what is asked are in ``prompt_options``, those for training data in ``data_options``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mistral_cli.commands.flags import ANSWER, MODEL, SAMPLING, number, switch, text_flag

# -- which model, and how it runs --------------------------------------------------------------------------------------

ModelOption = Annotated[
    str | None,
    text_flag(
        "-m",
        "--model",
        panel=MODEL,
        metavar="MODEL",
        text="A folder, a hub id (OWNER/NAME), a short name (7b) or `builtin`.",
    ),
]
RevisionOption = Annotated[
    str | None, text_flag("--revision", panel=MODEL, metavar="NAME", text="Branch, tag or commit of a hub id.")
]
ChatTemplateOption = Annotated[
    str | None,
    text_flag(
        "--chat-template",
        panel=MODEL,
        metavar="VERSION",
        text="Chat template to use instead of the model's: v1 … v13.",
    ),
]
AdapterOption = Annotated[
    list[str] | None,
    text_flag(
        "--adapter",
        panel=MODEL,
        metavar="FOLDER[:SCALE]",
        text="A LoRA adapter on top of the model: a folder or a hub id, and how strong (1); repeatable.",
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
        "--quantize",
        help="Hold the weights in 4 or 8 bits: a quarter of the memory, or half. By default nf4 from 3 billion "
        "parameters on, else none.",
        rich_help_panel=MODEL,
    ),
]
KvOption = Annotated[
    Literal["none", "int8"] | None,
    typer.Option("--kv", help="Hold keys and values in 8 bits: half the memory of a context.", rich_help_panel=MODEL),
]
DeviceOption = Annotated[
    str | None, text_flag("--device", panel=MODEL, metavar="DEVICE", text="auto, cpu, cuda, cuda:1, mps …")
]
CompileOption = Annotated[
    bool | None,
    switch(
        "--compile/--no-compile",
        panel=MODEL,
        text="Compile the layers with torch for writing. Costs seconds before the first token, and needs a C++ "
        "compiler. On a CPU it helps models in bfloat16 and gains nothing in 4 bits; --stats tells.",
    ),
]
ContextOption = Annotated[
    int | None,
    number("--context", panel=MODEL, metavar="N", text="Tokens that fit, prompt and answer together."),
]
ThreadsOption = Annotated[
    int | None,
    number(
        "--threads",
        panel=MODEL,
        metavar="N",
        text="CPU threads; by default the cores granted to this process, one for a tiny model.",
    ),
]

# -- how the next token is drawn ---------------------------------------------------------------------------------------

TemperatureOption = Annotated[
    float | None,
    number("-t", "--temperature", panel=SAMPLING, text="0 picks the likeliest token; higher is more varied."),
]
TopPOption = Annotated[
    float | None, number("--top-p", panel=SAMPLING, text="Keep the likeliest tokens that reach this probability.")
]
TopKOption = Annotated[
    int | None, number("--top-k", panel=SAMPLING, metavar="N", text="Keep the N likeliest tokens; 0 keeps all.")
]
MinPOption = Annotated[
    float | None,
    number("--min-p", panel=SAMPLING, text="Keep tokens at least this fraction as likely as the likeliest."),
]
RepetitionPenaltyOption = Annotated[
    float | None,
    number("--repetition-penalty", panel=SAMPLING, text="Make tokens of prompt and answer less likely; 1 is off."),
]
PresencePenaltyOption = Annotated[
    float | None,
    number("--presence-penalty", panel=SAMPLING, text="Subtract once from tokens that stand in the answer."),
]
FrequencyPenaltyOption = Annotated[
    float | None,
    number("--frequency-penalty", panel=SAMPLING, text="Subtract each time a token stands in the answer."),
]
LogitBiasOption = Annotated[
    list[str] | None,
    text_flag("--logit-bias", panel=SAMPLING, metavar="ID=BIAS", text="Add BIAS to the logit of token ID; repeatable."),
]
SeedOption = Annotated[
    int | None, number("--seed", panel=SAMPLING, metavar="N", text="The same seed gives the same answer.")
]
OrderOption = Annotated[
    Literal["temperature-first", "temperature-last"] | None,
    typer.Option(
        "--order", help="Apply the temperature before (default) or after the filters.", rich_help_panel=SAMPLING
    ),
]

# -- when the answer ends, and how it is shown -------------------------------------------------------------------------

MaxTokensOption = Annotated[
    int | None, number("-n", "--max-tokens", panel=ANSWER, metavar="N", text="End the answer after N tokens.")
]
StopOption = Annotated[
    list[str] | None, text_flag("--stop", panel=ANSWER, text="End the answer before this text; repeatable.")
]
WatchdogOption = Annotated[
    bool | None,
    switch(
        "--watchdog/--no-watchdog",
        panel=ANSWER,
        text="End an answer that says the same over and over: up to 64 tokens, 8 times or more, 200 tokens or more. "
        "Tables, rulers, numbers and drawings are let be. By default on in `chat`, off in `gen`.",
    ),
]
JsonOption = Annotated[
    bool | None,
    switch("--json/--no-json", panel=ANSWER, text="One JSON object: text, tokens, reason, timings, model, parameters."),
]
LogprobsOption = Annotated[
    int | None,
    number(
        "--logprobs",
        panel=ANSWER,
        metavar="K",
        text="With --json: log-probabilities of each token and the K likeliest; 5 where no number follows.",
    ),
]
OutputOption = Annotated[
    str | None,
    text_flag(
        "-o", "--output", panel=ANSWER, metavar="FILE", text="Write the answer to FILE (FILE.partial after Ctrl-C)."
    ),
]
ExtractOption = Annotated[
    bool | None,
    switch("-x/", "--extract/--no-extract", panel=ANSWER, text="Only the first fenced code block; none is an error."),
]
TrimOption = Annotated[
    bool | None, switch("--trim/--no-trim", panel=ANSWER, text="Leave out blanks and line ends around the answer.")
]
MarkdownOption = Annotated[
    bool | None,
    switch("--markdown/--no-markdown", panel=ANSWER, text="Render Markdown on a terminal, while it comes."),
]
PlainOption = Annotated[
    bool | None,
    switch("--plain/--no-plain", panel=ANSWER, text="On a terminal: the text as it is, wrapped at words."),
]
ConfidenceOption = Annotated[
    bool | None,
    switch(
        "--confidence/--no-confidence",
        panel=ANSWER,
        text="On a terminal: tint each token by its probability; a legend follows on stderr.",
    ),
]
OverflowOption = Annotated[
    Literal["error", "drop-oldest"] | None,
    typer.Option(
        "--overflow",
        help="What to do when the context is full: refuse the question (exit 6), or leave the oldest turns out of the "
        "prompt. A chat at a keyboard asks by default; `gen` has no turns to leave out.",
        rich_help_panel=ANSWER,
    ),
]
KeysOption = Annotated[
    Literal["emacs", "vi"] | None,
    typer.Option("--keys", help="Which editor's keys edit the line that you type.", rich_help_panel=ANSWER),
]
ResumeOption = Annotated[
    str | None,
    text_flag(
        "--resume",
        panel=ANSWER,
        metavar="[CHAT|last]",
        text="Go on with a chat (without a name, the last one) and with its own model, unless -m names another.",
    ),
]
StoreOption = Annotated[
    bool | None,
    switch("--store/--no-store", panel=ANSWER, text="Keep the chat on this disk (the default), or leave no trace."),
]
KeepCacheOption = Annotated[
    bool | None,
    switch(
        "--keep-cache/--no-keep-cache",
        panel=ANSWER,
        text="Keep what was computed of the chat too, so that --resume need not read a long one again. Off by default: "
        "for a 7B model 131 kB a token (67.6 kB with --kv int8).",
    ),
]
StatsOption = Annotated[
    bool | None, switch("--stats/--no-stats", panel=ANSWER, text="Say on stderr what the answer cost.")
]
QuietOption = Annotated[
    bool | None, switch("-q", "--quiet/--no-quiet", panel=ANSWER, text="Say nothing on stderr but errors.")
]
