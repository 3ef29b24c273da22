"""Many prompts to the engine on a tiny model, and what each is answered: for the tests of batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.contract import SamplingParams, TokenDrawn
from mistral_cli.engine.batch import TokenRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mistral_cli.contract import EngineEvent
    from mistral_cli.engine.generate import NativeEngine
    from mistral_cli.errors import MistralError

GREEDY = SamplingParams(temperature=0, max_tokens=12)


def requests(count: int, **values: object) -> list[TokenRequest]:
    """Return prompts of 1 to 60 ids, each with parameters of its own."""
    generator = torch.Generator().manual_seed(count)
    made = []
    for number in range(count):
        length = 1 + number * 7 % 60
        prompt = torch.randint(3, 97, (length,), generator=generator).tolist()
        params = SamplingParams(
            temperature=0 if number % 3 == 0 else 0.5 + number / 10,
            top_k=number % 4,
            seed=number,
            max_tokens=3 + number * 5 % 17,
            repetition_penalty=1.3 if number % 5 == 0 else 1,
            presence_penalty=0.5 if number % 7 == 0 else 0,
            logit_bias={number % 97: 2.0} if number % 4 == 0 else {},
            logprobs=2 if number % 6 == 0 else None,
        )
        made.append(TokenRequest(prompt=prompt, params=params.with_values(values)))
    return made


def alone(which: NativeEngine, request: TokenRequest) -> list[EngineEvent]:
    which._kept.forget()
    return list(which.generate(request.prompt, request.params))


def side_by_side(
    which: NativeEngine, asked: Iterable[TokenRequest | MistralError | None], rows: int = 4
) -> dict[int, list[EngineEvent | MistralError]]:
    events: dict[int, list[EngineEvent | MistralError]] = {}
    for index, event in which.generate_many(asked, rows=rows):
        events.setdefault(index, []).append(event)
    return events


def drawn(events: Sequence[object]) -> list[TokenDrawn]:
    return [event for event in events if isinstance(event, TokenDrawn)]


def ids(events: Sequence[object]) -> list[int]:
    return [event.id for event in drawn(events)]
