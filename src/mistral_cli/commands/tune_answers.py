"""The same prompts, answered by the base and with its new adapter. Trains nothing; one model in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.loading import open_backend
from mistral_cli.commands.tune_prepare import Prepared
from mistral_cli.contract import Message, SamplingParams
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.side_by_side import side_by_side

if TYPE_CHECKING:
    from mistral_cli.backends.native import NativeBackend
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.tune.formats import Languages
    from mistral_cli.tune.samples import Sample

LONGEST: Final = 64
"""Tokens of an answer."""
_SHOWN: Final = 300
"""Characters of a prompt."""
_RAW: Final = {"translation", "text", "raw"}
"""Formats that no chat format touches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt, as ids."""

    text: str
    ids: tuple[int, ...]
    wanted: str = ""
    """What the data answers; empty where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A prompt and what became of it."""

    prompt: str
    wanted: str
    base: str
    adapter: str


def typed_questions(prompts: Iterable[str], prepared: Prepared, languages: Languages | None) -> Iterator[Question]:
    """Yield the prompts that somebody typed, in the form of the data: a chat, a translation, or raw text."""
    from mistral_cli.text.template import encode_prompt
    from mistral_cli.tune.formats import translation_prompt

    dataset, tokenizer = prepared.data.dataset, prepared.tokenizer
    if dataset is None or tokenizer is None:
        return
    is_raw = tokenizer.is_base or set(dataset.kinds) <= _RAW
    for prompt in dict.fromkeys(prompts):
        text = translation_prompt(prompt, languages) if languages and "translation" in dataset.kinds else prompt
        sent = text if is_raw else (Message(role="user", content=text),)
        yield Question(text=text, ids=encode_prompt(tokenizer, sent).ids)


def held_out_questions(samples: Sequence[Sample], count: int, tokenizer: Tokenizer) -> Iterator[Question]:
    """Yield the beginnings of samples, up to the last answer in it; of a raw text, its first half.

    One of each row, in the order of the rows, and none twice: rows may ask the same.
    """
    rows = {sample.number: sample for sample in reversed(samples)}
    asked: set[tuple[int, ...]] = set()
    for number in sorted(rows):
        sample = rows[number]
        begins, ends = _last_answer(sample)
        prompt, wanted = sample.ids[:begins], sample.ids[begins:ends]
        if len(asked) < count and prompt not in asked:
            asked.add(prompt)
            yield Question(text=tokenizer.decode(prompt), ids=prompt, wanted=tokenizer.decode(wanted).strip())


def _last_answer(sample: Sample) -> tuple[int, int]:
    """Return where the last run of trained ids begins and ends."""
    ends = max(at for at, trained in enumerate(sample.trained, 1) if trained)
    begins = ends
    while begins and sample.trained[begins - 1]:
        begins -= 1
    return (begins, ends) if begins > 1 else (max(ends // 2, 1), ends)


def answer_both(
    questions: Sequence[Question], adapter: Path, prepared: Prepared, settings: Settings, console: Console
) -> list[Answered]:
    """Load the base once, and answer each prompt without and with the adapter, the likeliest token each time.

    Raises:
        MistralError: as loading does.
    """
    from mistral_cli.measure.subjects import native

    room = max(len(question.ids) for question in questions) + LONGEST
    own = replace(
        settings,
        model=str(prepared.path),
        revision=None,
        adapter=(),
        backend="native",
        quantize=None if prepared.base.is_quantized else prepared.recipe.quantize,
        context=min(room, prepared.args.max_position_embeddings),
    )
    backend = native(open_backend(own, console))
    base = [_answer(backend, question, console, "base") for question in questions]
    backend.adapters.load(adapter)
    tuned = [_answer(backend, question, console, "adapter") for question in questions]
    return [
        Answered(prompt=question.text, wanted=question.wanted, base=one, adapter=other)
        for question, one, other in zip(questions, base, tuned, strict=True)
    ]


def _answer(backend: NativeBackend, question: Question, console: Console, who: str) -> str:
    from mistral_cli.contract import TokenDrawn

    ENDING.check()
    console.status(f"The {who} answers …")
    ids = question.ids[-(backend.engine.context - 1) :]
    events = backend.engine.generate(ids, SamplingParams(temperature=0, max_tokens=LONGEST))
    drawn = [event.id for event in events if isinstance(event, TokenDrawn)]
    return backend.tokenizer.decode(drawn).strip()


def show_answers(answered: Sequence[Answered], console: Console) -> None:
    """Show on stderr what both answered, side by side where there is room."""
    err = console.err
    columns = err.columns - 1 if err.is_terminal else 100
    for one in answered:
        prompt = " ".join(err.safe(one.prompt).split())
        lines = ["", f"> {prompt if len(prompt) <= _SHOWN else '… ' + prompt[-_SHOWN:]}"]
        lines += [f"= {' '.join(err.safe(one.wanted).split())}"] if one.wanted else []
        texts = err.safe(one.base) or "(nothing)", err.safe(one.adapter) or "(nothing)"
        console.laid_out("\n".join([*lines, *side_by_side(("base", "with the adapter"), texts, columns)]))
