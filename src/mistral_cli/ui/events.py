"""How the events of an answer are shown beside its text. Knows no form, no turn and no command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mistral_cli.adapting import labels
from mistral_cli.chat.turn import MARKS
from mistral_cli.contract import Done, Event, Notice, PrefillProgress, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mistral_cli.adapting import AdapterInfo
    from mistral_cli.chat.turn import Turn
    from mistral_cli.ui.console import Console


def show_beside(event: Event, console: Console) -> None:
    """Show on stderr what is not text: progress and notices."""
    if isinstance(event, PrefillProgress):
        console.wait(f"Reading the prompt: {event.done:,} of {event.total:,} tokens")
    elif isinstance(event, Notice):
        console.notice_once(event.text)


ON_THE_COMMAND_LINE: Final[Mapping[Reason, str]] = {
    "loop": "--repetition-penalty 1.3 may help, --no-watchdog lets it go on",
}


def in_a_chat(*, has_turns: bool) -> Mapping[Reason, str]:
    """Return what can be done in a chat about an answer that ended early, by the reason.

    Args:
        has_turns: whether there are turns before it.
    """
    hints: dict[Reason, str] = {"loop": "/retry repetition_penalty=1.3 answers again, /continue goes on"}
    return hints | ({"length": "/continue goes on without the oldest turns"} if has_turns else {})


def show_end(
    done: Done,
    max_tokens: int | None,
    console: Console,
    *,
    label: str = "",
    hints: Mapping[Reason, str] = ON_THE_COMMAND_LINE,
) -> None:
    """Say on stderr what a reader of the text alone would miss: nothing came, the context is full, it was stopped.

    Args:
        done: the end of the answer.
        max_tokens: what was asked for.
        console: where to say it.
        label: which answer it is, where there are several.
        hints: what can be done about it, by the reason.
    """
    hint = f"; {hints[done.reason]}" if done.reason in hints else ""
    if done.reason == "cancelled":
        console.notice(f"{label}(stopped)")
    elif not done.text:
        console.notice(f"{label}(empty answer)")
    if done.reason == "length" and done.answer_tokens != max_tokens:
        total = done.prompt_tokens + done.answer_tokens
        console.notice(f"{label}(the answer ends here: the context of {total:,} tokens is full{hint})")
    elif done.reason == "loop":
        console.notice(f"{label}({MARKS[done.reason]}{hint})")


def record_line(turn: Turn) -> str:
    """Return one line of what a kept answer cost, and how it was drawn."""
    record = turn.record
    reused = f" ({record.reused_tokens:,} reused)" if record.reused_tokens else ""
    parts = (
        f"prompt {record.prompt_tokens:,} tokens{reused}{_without(record.left_out)}",
        _answer_part(record.answer_tokens, record.begun_tokens),
        f"first after {record.seconds_to_first_token:.2f} s",
        f"{record.tokens_per_second:.1f} tokens/s",
        f"ended by {turn.reason}",
        f"seed {record.seed}",
        f"temperature {record.params.get('temperature')}",
        f"{record.model} (weights in {record.quantization})" if record.quantization != "none" else record.model,
        *([f"with {labels(record.adapters)}"] if record.adapters else ()),
    )
    return " · ".join(parts)


def _without(turns: int) -> str:
    return f" without the first {turns:,} turns" if turns > 1 else " without the first turn" if turns else ""


def _answer_part(tokens: int, begun: int) -> str:
    return f"answer {tokens:,} tokens" + (f" ({begun:,} from before, {tokens - begun:,} added)" if begun else "")


def stats_line(
    done: Done,
    quantization: str = "none",
    kv: str = "none",
    *,
    adapters: Sequence[AdapterInfo] = (),
    begun: int = 0,
) -> str:
    """Return one line of what an answer cost, with which quantization of weights and cache, and with which adapters.

    Args:
        done: its end.
        quantization: of the weights.
        kv: of the cache.
        adapters: what was on the model.
        begun: tokens at the end of the prompt that are the beginning of the answer.
    """
    prompt = done.prompt_tokens - begun
    reused = f" ({min(done.reused_tokens, prompt):,} reused)" if done.reused_tokens else ""
    parts = (
        f"prompt {prompt:,} tokens{reused}",
        _answer_part(begun + done.answer_tokens, begun),
        f"first after {done.seconds_to_first_token:.2f} s",
        f"{done.tokens_per_second:.1f} tokens/s",
        f"ended by {done.reason}",
        f"seed {done.seed}",
        f"peak memory {done.peak_memory / 2**20:,.0f} MiB",
    )
    forms = (("weights", quantization), ("cache", kv))
    told = (*parts, *(f"{what} in {form}" for what, form in forms if form != "none"))
    return " · ".join((*told, f"with {labels(adapters)}") if adapters else told)
