"""What came of a training: curve, losses, answers side by side, the way to use it. Trains nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.commands.sizes import counted, size
from mistral_cli.commands.tune_answers import (
    Answered,
    Question,
    answer_both,
    held_out_questions,
    show_answers,
    typed_questions,
)
from mistral_cli.commands.tune_prepare import Ask, Prepared
from mistral_cli.errors import MistralError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.curve import curve
from mistral_cli.ui.progress import time_left

if TYPE_CHECKING:
    from mistral_cli.tune.events import Evaluation, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What is shown in the end, and how."""

    prompts: tuple[str, ...]
    held_out: int
    """How many rows that were kept apart are answered."""
    as_object: bool


def report(outcome: Outcome, prepared: Prepared, losses: Sequence[float], console: Console) -> None:
    """Show the curve of the losses, what the rows kept apart say, time and memory."""
    _show_curve(losses, console)
    _show_evaluations(outcome, console)
    peak = f", {size(outcome.peak_bytes)} of memory at most" if outcome.peak_bytes else ""
    console.notice(f"{counted(outcome.steps, 'step')} in {time_left(outcome.seconds)}{peak}.")
    name, folder = shlex.quote(prepared.name), shlex.quote(str(outcome.folder))
    show_command("To use it:", f"mistral chat -m {name} --adapter {folder}", console)


def show_command(text: str, command: str, console: Console) -> None:
    """Show a command that may be typed next, in one piece: so it can be copied from however narrow a terminal."""
    console.notice(text)
    console.laid_out(f"  {console.err.safe(command)}")


def _show_curve(losses: Sequence[float], console: Console) -> None:
    err = console.err
    if not (err.is_terminal and err.can_redraw) or len(losses) < 2:
        return
    lines = curve(losses, columns=err.columns - 1)
    if lines:
        console.laid_out("\n".join([f"loss of {len(losses):,} steps", *lines]))


def _show_evaluations(outcome: Outcome, console: Console) -> None:
    before, after = outcome.before, outcome.after
    if before is None or after is None:
        console.notice("No rows were kept apart, so nobody knows what it does with others (--eval-split).")
        return
    console.stats(
        f"Rows kept apart ({after.tokens:,} tokens): loss {before.loss:.3f} before, {after.loss:.3f} after; "
        f"perplexity {before.perplexity:,.1f} before, {after.perplexity:,.1f} after."
    )
    best = outcome.best
    if best is not None and best.step < after.step:
        told = f"after step {best.step:,} of {after.step:,}" if best.step else "before the training"
        console.notice(
            f"They did best {told} (loss {best.loss:.3f}): fewer --epochs, a lower --lr or more rows may do better."
        )


def answers(
    ask: Ask, prepared: Prepared, outcome: Outcome, showing: Showing, settings: Settings, console: Console
) -> list[Answered]:
    """Let base and adapter answer, and show it; an adapter is no worse for a base that cannot be loaded again."""
    questions = _questions(ask, prepared, showing)
    if not questions:
        return []
    try:
        answered = answer_both(questions, outcome.folder, prepared, settings, console)
    except MistralError as error:
        console.warning(f"No samples were answered: {error}")
        return []
    show_answers(answered, console)
    return answered


def _questions(ask: Ask, prepared: Prepared, showing: Showing) -> list[Question]:
    if prepared.tokenizer is None:
        return []
    reading = ask.flags.reading(loss="answers", length=prepared.recipe.length)
    typed = typed_questions(showing.prompts, prepared, reading.languages)
    return [*typed, *held_out_questions(prepared.data.apart, showing.held_out, prepared.tokenizer)]


def as_json(outcome: Outcome) -> dict[str, object]:
    """Return how it ended, for a program."""
    return {
        "path": str(outcome.folder),
        "interrupted": outcome.interrupted,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 2),
        "peak_bytes": outcome.peak_bytes,
        "before": _evaluation(outcome.before),
        "after": _evaluation(outcome.after),
        "between": [{"step": one.step, "loss": one.loss, "perplexity": one.perplexity} for one in outcome.between],
        "best_step": outcome.best.step if outcome.best else None,
    }


def _evaluation(evaluation: Evaluation | None) -> dict[str, object] | None:
    if evaluation is None:
        return None
    return {"loss": evaluation.loss, "perplexity": evaluation.perplexity, "tokens": evaluation.tokens}
