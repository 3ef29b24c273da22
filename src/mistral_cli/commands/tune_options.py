"""The flags of a training: one for each field of ``tune.recipe.Recipe``, by its name. None means: not given.

A recipe checks its values itself, and says them as flags. Its defaults stand in the help; a test compares.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

TRAINING = "Training"
MEMORY = "Memory and speed"


def _flag(*names: str, panel: str = TRAINING, metavar: str = "N", text: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


QuantizeOption = Annotated[
    Literal["none", "nf4"] | None,
    typer.Option(
        "--quantize",
        help="The base's weights while it learns: as they are (LoRA), or in 4 bits (QLoRA), a quarter of the memory "
        "(default: none).",
        rich_help_panel=MEMORY,
    ),
]
AdapterOption = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        parser=str,
        metavar="PATH",
        help="An adapter to go on from, a folder or a hub id; rank, alpha and targets are its own. It stays as it is "
        "(default: a new one).",
        rich_help_panel=TRAINING,
        show_default=False,
    ),
]
RankOption = Annotated[int | None, _flag("--rank", text="Rank of the two matrices of each adapter (default: 16).")]
AlphaOption = Annotated[
    float | None, _flag("--alpha", metavar="NUMBER", text="The update is scaled by ALPHA / RANK (default: 32).")
]
DropoutOption = Annotated[
    float | None,
    _flag("--dropout", metavar="NUMBER", text="Part of an adapter's inputs that is left out by chance (default: 0)."),
]
TargetsOption = Annotated[
    str | None,
    typer.Option(
        "--targets",
        parser=str,
        metavar="LIST",
        help="Layers that get an adapter: some of q, k, v, o, gate, up, down with commas between, or all-linear "
        "(default: q,v).",
        rich_help_panel=TRAINING,
    ),
]
LrOption = Annotated[
    float | None, _flag("--lr", metavar="NUMBER", text="Learning rate at its highest (default: 2e-4).")
]
ScheduleOption = Annotated[
    Literal["cosine", "linear", "constant"] | None,
    typer.Option("--schedule", help="How the learning rate falls (default: cosine).", rich_help_panel=TRAINING),
]
WarmupOption = Annotated[
    float | None,
    _flag("--warmup", metavar="NUMBER", text="Part of the steps in which the learning rate rises (default: 0.03)."),
]
EpochsOption = Annotated[
    float | None, _flag("--epochs", metavar="NUMBER", text="How often each sample is seen (default: 3).")
]
StepsOption = Annotated[
    int | None, _flag("--steps", text="Steps of the optimizer, instead of --epochs (default: 0, as --epochs has it).")
]
BatchOption = Annotated[int | None, _flag("--batch", panel=MEMORY, text="Sequences computed at once (default: 4).")]
AccumulateOption = Annotated[
    int | None, _flag("--accumulate", panel=MEMORY, text="Batches of one step of the optimizer (default: 4).")
]
LengthOption = Annotated[
    int | None, _flag("--length", panel=MEMORY, text="Tokens of a sequence at most; more is cut (default: 1024).")
]
PackingOption = Annotated[
    bool | None,
    _flag(
        "--packing/--no-packing",
        panel=MEMORY,
        text="Fill sequences with several short samples, each of which sees only itself (default: no).",
    ),
]
CheckpointingOption = Annotated[
    bool | None,
    _flag(
        "--checkpointing/--no-checkpointing",
        panel=MEMORY,
        text="Compute activations twice instead of keeping them: less memory, a third more time (default: yes).",
    ),
]
LossOption = Annotated[
    Literal["answers", "all"] | None,
    typer.Option(
        "--loss",
        help="What is learnt: the assistant's words and their end, or every token (default: answers).",
        rich_help_panel=TRAINING,
    ),
]
SeedOption = Annotated[
    int | None, _flag("--seed", text="The same seed gives the same order, split and beginning (default: 0).")
]
EvalSplitOption = Annotated[
    float | None,
    _flag(
        "--eval-split",
        metavar="NUMBER",
        text="Part of the rows that is kept apart, and asked before and after (default: 0.1).",
    ),
]
EvalEveryOption = Annotated[
    int | None,
    _flag(
        "--eval-every",
        text="Steps from one time to the next that they are asked while it trains (default: 0, once an epoch).",
    ),
]
SaveEveryOption = Annotated[
    int | None, _flag("--save-every", text="Steps from one checkpoint to the next (default: 50).")
]
