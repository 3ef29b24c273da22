"""Prefill, decode, stop on ids: a prompt's ids in, events with ids out. Knows no text and no file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from mistral_cli.engine.batch import NEVER, Batch, Rules
from mistral_cli.engine.captured import Steps
from mistral_cli.engine.draw import begin_answer
from mistral_cli.engine.faults import check_bias, check_prompt, memory_errors
from mistral_cli.engine.host_memory import peak_resident
from mistral_cli.engine.loop import Loop
from mistral_cli.engine.places import Places
from mistral_cli.engine.plan import CHUNK
from mistral_cli.engine.plan_rows import ROWS
from mistral_cli.engine.prefix import KeptSequence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Sequence

    from torch import Tensor

    from mistral_cli.contract import Cancel, EngineEvent, SamplingParams
    from mistral_cli.engine.answer import Answer
    from mistral_cli.engine.batch import RowEvent, TokenRequest
    from mistral_cli.errors import MistralError
    from mistral_cli.model.transformer import Mistral

    Fill = Callable[[KeptSequence, Answer], None]


class NativeEngine:
    """Token ids in, token ids out, on our own model. Keeps the cache of the last sequence for the next call.

    One answer at a time: a new one closes the one before it.

    Args:
        model: the decoder, where and in the dtype it computes.
        context: tokens that fit, prompt and answer together; by default what the model was made for.
        eos_ids: the ids that end an answer.
        control_ids: ids that no penalty touches.
        chunk: prompt tokens read in one go.
        steps: what takes steps of one token where it can; by default CUDA graphs on CUDA, and nothing elsewhere.
    """

    def __init__(
        self,
        model: Mistral,
        *,
        context: int | None = None,
        eos_ids: Collection[int],
        control_ids: Collection[int] = (),
        chunk: int = CHUNK,
        steps: Steps | None = None,
    ) -> None:
        self.model = model
        self._context = context or model.args.max_position_embeddings
        self._protected = frozenset(eos_ids).union(control_ids)
        self._prepares = steps is None and model.device.type == "cuda"
        self._steps = Steps(model) if self._prepares else steps
        self._kept = KeptSequence(model.new_cache(capacity=self._context))
        self._loop = Loop(
            eos=frozenset(eos_ids),
            chunk=chunk,
            keep=self._keep,
            step=self._step,
            next=self._next,
            forget=self._kept.forget,
            peak_memory=partial(peak_memory, model.device),
        )
        self._fill: Fill | None = None
        self._running: Generator[EngineEvent, None, None] | Generator[RowEvent, None, None] | None = None

    @property
    def context(self) -> int:
        """Tokens that fit: prompt and answer together."""
        return self._context

    @property
    def kept(self) -> KeptSequence:
        """The cache of the last sequence and its ids: what the next prompt goes on from."""
        return self._kept

    def fill_before_next(self, fill: Fill | None) -> None:
        """Let ``fill`` put something better into ``kept``, if it has it, once the next prompt is known."""
        self._fill = fill

    def model_changed(self) -> None:
        """Forget what was computed with the model as it was, after modules of it were replaced or weighed anew.

        An answer that is under way is ended.
        """
        if self._running:
            self._running.close()
        self._kept.forget()
        if self._prepares:
            self._steps = Steps(self.model)

    def generate(
        self, prompt: Sequence[int], params: SamplingParams, *, cancel: Cancel | None = None
    ) -> Generator[EngineEvent, None, None]:
        """Yield progress while reading, then each id (EOS is not yielded), then ``TokensDone``.

        Closing the iterator ends the answer there and keeps the cache of what was drawn. Log-probabilities are those of
        the model itself, the log-softmax of its logits before any bias, penalty or filter.

        Raises:
            ContextError: the prompt fills the context.
            UsageError: the prompt is empty, or a bias is for a token that the model does not have.
            MistralError: the logits are not finite; the message names the token.
        """
        events = self._loop.run(self._begin(prompt, params, cancel or NEVER))
        if self._running:
            self._running.close()
        self._running = events
        return events

    def generate_many(
        self, requests: Iterable[TokenRequest | MistralError | None], *, rows: int = ROWS
    ) -> Generator[RowEvent, None, None]:
        """Answer many prompts, up to ``rows`` of them side by side; yield the number of a request and what happened.

        The events of each request are those of ``generate``, in their order; an error takes the place of its last one
        and does not touch the others. ``rows`` decides how fast it goes, not what is answered (see ``engine.batch``).

        Args:
            requests: taken one by one, as places fall free. None: there is none yet, go on with those there are (where
                there are none, the next is asked for at once). An error instead of a request is handed on.
            rows: memory is taken for as many caches, as they fill.

        Raises:
            OutOfMemoryError: no memory for what is computed; this ends all of them.
        """
        rules = Rules(
            begin=lambda request: self._begin(request.prompt, request.params, request.cancel),
            eos=self._loop.eos,
            chunk=self._loop.chunk,
            peak_memory=self._loop.peak_memory,
        )
        others = (KeptSequence(self.model.new_cache(capacity=self._context)) for _ in range(rows - 1))
        if self._running:
            self._running.close()
        events = Batch(self.model, Places((self._kept, *others)), rules).run(requests)
        self._running = events
        return events

    def _begin(self, prompt: Sequence[int], params: SamplingParams, cancel: Cancel) -> Answer:
        check_prompt(prompt, self._context, self.model.args.max_position_embeddings)
        check_bias(params, self.model.args.vocab_size)
        return begin_answer(prompt, params, cancel, context=self._context, protected=self._protected)

    def _keep(self, answer: Answer) -> str:
        fill, self._fill = self._fill, None
        if fill is not None:
            with memory_errors():
                fill(self._kept, answer)
        answer.reused, rolled = self._kept.keep(answer.prompt)
        # a chat goes on, and it will take as long as a new one
        return "The sliding window has moved past the place to go on from: the prompt is read again." if rolled else ""

    def _next(self, token: int, answer: Answer) -> Tensor:
        """Put one id through the model, as it is prepared for if it is; return the logits ``(V,)`` after it."""
        if self._steps is not None:
            with memory_errors():
                logits = self._steps(token, self._kept.cache)
            if logits is not None:
                self._kept.add([token])
                return logits[0, -1]
        return self._step([token], answer)

    @torch.inference_mode()
    def _step(self, ids: list[int], answer: Answer) -> Tensor:
        """Put ``ids`` through the model and into the cache; return the logits ``(V,)`` after the last.

        Between any two layers a cancelled answer leaves it; the cache is then as it was.
        """
        tokens = torch.tensor([ids], device=self.model.device)  # (1, T)
        with memory_errors():
            logits, _ = self.model(tokens, self._kept.cache, last_only=True, on_layer=answer.check)
        self._kept.add(ids)
        return logits[0, -1]


def peak_memory(device: torch.device) -> int:
    """Return the peak in bytes: of the allocator on CUDA, elsewhere of the process's resident size."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_resident()
