"""``mistral quant-diff``: what a quantization (or another setting) does to a model's words, on somebody's own text."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands.loading import open_backend
from mistral_cli.commands.prompt import Reader
from mistral_cli.commands.sides import Side, read_side
from mistral_cli.commands.start import start
from mistral_cli.contract import Message
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin
from mistral_cli.ui.table import show_table

if TYPE_CHECKING:
    from mistral_cli.backends.native import NativeBackend
    from mistral_cli.measure.quant_diff import Case, Difference, Question

SHOWN = 10
"""Prompts in the table: those that differ most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the flags of this command say."""

    lines: bool
    raw: bool
    window: int
    tokens: int
    limit: int


def quant_diff(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", parser=str, help="A text; `-` is stdin.")],
    a: Annotated[
        str,
        typer.Option("--a", metavar="SIDE", parser=str, help="What is judged: nf4, int8, nf4,kv=int8, dtype=float32 …"),
    ],
    b: Annotated[str, typer.Option("--b", metavar="SIDE", parser=str, help="What it is compared with.")] = "none",
    lines: Annotated[bool, typer.Option("--lines", help="Each line is a prompt, sent as a chat.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="With --lines: send each as it is, without the template.")] = False,
    window: Annotated[
        int, typer.Option(metavar="N", min=1, help="Without --lines: cut the text into windows of N tokens.")
    ] = 256,
    tokens: Annotated[
        int, typer.Option("-n", "--max-tokens", metavar="N", min=1, help="Tokens of each answer that is compared.")
    ] = 32,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Prompts at most, from the beginning.")] = 100,
    model: opt.ModelOption = None,
    revision: opt.RevisionOption = None,
    chat_template: opt.ChatTemplateOption = None,
    adapter: opt.AdapterOption = None,
    dtype: opt.DtypeOption = None,
    kv: opt.KvOption = None,
    device: opt.DeviceOption = None,
    threads: opt.ThreadsOption = None,
    quiet: opt.QuietOption = None,
) -> None:
    """Compare two settings of one model on your own text: KL divergence, top-1 agreement, first differing token.

    B answers each prompt greedily; A is measured on that very answer (without --lines: on the text, too). A side names
    a quantization, or settings of its own: kv=int8, dtype=float32, adapter=FOLDER, with commas between. A table goes to
    stderr, one JSON object to stdout, which also says which layers computed each side. To judge bitsandbytes instead of
    our CPU kernel, run it with MISTRAL_CLI_KERNEL=none in the environment.
    """
    settings, console = start(ctx, {**locals(), "file": None, "lines": None, "raw": None})
    sides = read_side("--a", a, settings), read_side("--b", b, settings)
    text = Reader(stdin=Stdin.open(), console=console).read(file)
    run_quant_diff(text, sides, Ask(lines=lines, raw=raw, window=window, tokens=tokens, limit=limit), console)


def run_quant_diff(text: str, sides: tuple[Side, Side], ask: Ask, console: Console) -> None:
    """Load B and let it answer, then load A and compare; show and print.

    Raises:
        MistralError: as loading does; there is no prompt.
    """
    judged, reference = sides
    with tempfile.TemporaryFile() as logits:
        questions, cases, by_reference = _answered(text, reference, ask, console, logits)
        found, by_judged = _compared(cases, judged, console, logits)
    _show(found, questions, console)
    pairs = zip(questions, found, strict=True)
    rows = [{"prompt": label, **dataclasses.asdict(difference)} for label, difference in pairs]
    layers = {"a_layers": by_judged, "b_layers": by_reference}
    console.json({"a": judged.name, "b": reference.name, **layers, **_sums(found), "prompts": rows})


def _answered(
    text: str, side: Side, ask: Ask, console: Console, logits: IO[bytes]
) -> tuple[list[str], list[Case], dict[str, int]]:
    """Return the prompts' labels, and what the reference answered."""
    from mistral_cli.measure.quant_diff import answer_all

    backend = _load(side.settings, console)
    labels, questions = _questions(text, backend, ask, console)
    cases = answer_all(
        backend.engine.model,
        questions,
        eos_ids=[backend.tokenizer.eos_id],
        tokens=ask.tokens,
        logits=logits,
        notify=lambda done, total: console.status(f"{side.name}: {done:,} of {total:,} prompts answered"),
    )
    return labels, cases, _computed_by(backend)


def _compared(
    cases: Sequence[Case], side: Side, console: Console, logits: IO[bytes]
) -> tuple[list[Difference], dict[str, int]]:
    from mistral_cli.measure.quant_diff import compare_all

    gc.collect()  # the reference goes before this one comes: memory need not hold both
    found: list[Difference] = []
    backend = _load(side.settings, console)
    for difference in compare_all(backend.engine.model, cases, logits):
        found.append(difference)
        console.status(f"{side.name}: {len(found):,} of {len(cases):,} prompts compared")
    return found, _computed_by(backend)


def _computed_by(backend: NativeBackend) -> dict[str, int]:
    """Return the kinds of linear layers, seen in the model itself, and how many: a setting that did nothing shows."""
    kinds = [type(module).__name__ for module in backend.engine.model.modules() if hasattr(module, "in_features")]
    return dict(Counter(kinds))


def _load(settings: Settings, console: Console) -> NativeBackend:
    backend = open_backend(settings, console)
    from mistral_cli.measure.subjects import native

    return native(backend)


def _questions(text: str, backend: NativeBackend, ask: Ask, console: Console) -> tuple[list[str], list[Question]]:
    """Return what is asked, and under which label: the line itself, or the window's number."""
    from mistral_cli.measure.quant_diff import Question

    if ask.lines:
        labels = [line.strip() for line in text.splitlines() if line.strip()]
        plain = ask.raw or backend.info.is_base
        prompts = [label if plain else (Message(role="user", content=label),) for label in labels[: ask.limit]]
        questions = [Question(ids=backend.encode(prompt), whole=False) for prompt in prompts]
    else:
        ids, bos = backend.tokenizer.encode(text), backend.tokenizer.bos_id
        starts = range(0, len(ids), ask.window)
        labels = [f"tokens {first:,} to {min(first + ask.window, len(ids)):,}" for first in starts]
        pieces = [ids[first : first + ask.window] for first in starts]
        questions = [Question(ids=(bos, *piece), whole=True) for piece in pieces[: ask.limit]]
    if not questions:
        raise UsageError("There is no prompt.", "Give a text that is not empty.")
    if len(labels) > ask.limit:
        console.notice(f"The first {ask.limit:,} of {len(labels):,} prompts are compared (--limit).")
    return labels[: ask.limit], questions


def _sums(found: Sequence[Difference]) -> dict[str, object]:
    """Return the means over all positions, the worst prompt, and how many answers are the same."""
    total = sum(one.positions for one in found)
    differing = [one.first_difference for one in found if one.first_difference is not None]
    return {
        "positions": total,
        "mean_kl": sum(one.kl * one.positions for one in found) / total,
        "worst_prompt_kl": max(one.kl for one in found),
        "worst_kl": max(one.worst_kl for one in found),
        "agreement": sum(one.agreement * one.positions for one in found) / total,
        "worst_prompt_agreement": min(one.agreement for one in found),
        "answers": len(found),
        "same_answers": len(found) - len(differing),
        "median_first_difference": statistics.median(differing) if differing else None,
    }


def _show(found: Sequence[Difference], labels: Sequence[str], console: Console) -> None:
    sums = _sums(found)
    ranked = sorted(zip(found, labels, strict=True), key=lambda pair: -pair[0].kl)[:SHOWN]
    rows = [
        (
            label[:40],
            f"{one.kl:.2e}",
            f"{one.worst_kl:.2e}",
            f"{one.agreement:.1%}",
            str(one.first_difference or "none"),
        )
        for one, label in ranked
    ]
    mean = (f"{sums['mean_kl']:.2e}", f"{sums['worst_kl']:.2e}", f"{sums['agreement']:.1%}")
    same = f"{sums['same_answers']} of {sums['answers']} the same"
    header = ("prompts that differ most", "mean KL", "worst KL", "top-1 agrees", "first differing token")
    show_table(console, header, [*rows, ("all", *mean, same)])
