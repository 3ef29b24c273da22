"""What a back end of ours answers, as text, end and events: for the tests of the native back end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.contract import Done, Message, SamplingParams, TextDelta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.backends.native import NativeBackend
    from mistral_cli.contract import Event, Prompt

ASK = (Message(role="user", content="What is a sliding window?"),)


GREEDY = SamplingParams(temperature=0, max_tokens=12)


def answer(backend: NativeBackend, prompt: Prompt = ASK, **values: object) -> tuple[str, Done, list[Event]]:
    """Return the joined deltas, the end and all events."""
    events = list(backend.stream(prompt, GREEDY.with_values(values)))
    assert isinstance(events[-1], Done)
    return shown(events), events[-1], events


def shown(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))
