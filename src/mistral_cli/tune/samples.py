"""Examples become ids, and which of them are trained. The ids are those that chat and gen send; no tensor is made.

The mask is the template's own word on who wrote each id: what the assistant wrote, its EOS included, is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mistral_cli.errors import UsageError
from mistral_cli.text.messages import Conversation
from mistral_cli.text.template import encode_chat, encode_prompt, encode_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mistral_cli.text.prompt import EncodedPrompt
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.tune.formats import Completion, Example

Loss = Literal["answers", "all"]
"""What is trained: what the assistant wrote, or every id but the first."""

MOVING_SYSTEM = ("v2", "v3", "v3-tekken")
"""Versions whose system prompt stands in the last question: what chat sends differs with every turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sequence to train on."""

    ids: tuple[int, ...]
    trained: tuple[bool, ...]
    """As many as ``ids``: whether the model is to learn to write this one."""
    number: int = 0
    """The row that it came from."""

    @property
    def trained_tokens(self) -> int:
        """Ids that are trained."""
        return sum(self.trained)


def make_samples(tokenizer: Tokenizer, example: Example, *, loss: Loss = "answers", number: int = 0) -> list[Sample]:
    """Return what one example is trained as: one sample, or one for each answer where the system prompt moves.

    Raises:
        UsageError: the chat format cannot express it.
    """
    if not isinstance(example, Conversation):
        return [_completed(tokenizer, example, loss, number)]
    return [_sample(encoded, only_last, loss, number) for encoded, only_last in _encoded(tokenizer, example)]


def _encoded(tokenizer: Tokenizer, example: Conversation) -> Iterator[tuple[EncodedPrompt, bool]]:
    """Yield the encodings of a conversation, and whether only the last answer of each is to be trained."""
    messages = example.messages
    after = (*(message.role for message in messages[1:]), "")  # formats join answers that follow one another
    answers = [at for at, message in enumerate(messages) if message.role == "assistant" != after[at]]
    if not answers:
        raise UsageError("no message of the assistant, so nothing to learn")
    if tokenizer.version not in MOVING_SYSTEM or len(answers) == 1:
        yield encode_chat(tokenizer, messages[: answers[-1] + 1], example.tools, finished=True), False
        return
    for at in answers:
        yield encode_chat(tokenizer, messages[: at + 1], example.tools, finished=True), True


def _sample(encoded: EncodedPrompt, only_last: bool, loss: Loss, number: int) -> Sample:
    if loss == "all":
        return Sample(ids=encoded.ids, trained=_all(len(encoded.ids)), number=number)
    begins = _last_answer(encoded.authors) if only_last else 0
    trained = tuple(author == "assistant" and at >= begins for at, author in enumerate(encoded.authors))
    return Sample(ids=encoded.ids, trained=trained, number=number)


def _last_answer(authors: Sequence[str]) -> int:
    """Return where the last unbroken run of the assistant's ids begins."""
    at = len(authors)
    while at and authors[at - 1] != "assistant":
        at -= 1
    while at and authors[at - 1] == "assistant":
        at -= 1
    return at


def _completed(tokenizer: Tokenizer, example: Completion, loss: Loss, number: int) -> Sample:
    """Return a prompt's ids as ``gen --raw`` sends them, then the completion's and EOS."""
    if not example.prompt:
        ids = (*encode_prompt(tokenizer, example.completion).ids, tokenizer.eos_id)
        return Sample(ids=ids, trained=_all(len(ids)), number=number)
    prompt = encode_prompt(tokenizer, example.prompt).ids
    rest = (*encode_words(tokenizer, example.completion, begins=False), tokenizer.eos_id)
    trained = _all(len(prompt)) if loss == "all" else (False,) * len(prompt)
    return Sample(ids=(*prompt, *rest), trained=(*trained, *(True,) * len(rest)), number=number)


def _all(count: int) -> tuple[bool, ...]:
    """Every id but the first, which nothing comes before."""
    return (False, *(True,) * (count - 1))


def shortened(sample: Sample, length: int) -> Sample | None:
    """Return a sample of at most ``length`` ids, cut at its end; None where nothing that is trained is left."""
    if len(sample.ids) <= length:
        return sample if any(sample.trained) else None
    cut = Sample(ids=sample.ids[:length], trained=sample.trained[:length], number=sample.number)
    return cut if any(cut.trained) else None


def divided(sample: Sample, length: int, bos: int) -> list[Sample]:
    """Return a plain text as samples of at most ``length`` ids that follow one another, each begun as the whole is.

    No id is lost: what an answer's end is to a conversation, any place is to a text. ``bos`` is ``NO_TOKEN`` where no
    id begins a text.
    """
    if len(sample.ids) <= length:
        return [sample]
    first = (bos,) if sample.ids[0] == bos else ()
    step, rest = length - len(first), sample.ids[len(first) :]
    pieces = [(*first, *rest[at : at + step]) for at in range(0, len(rest), step)]
    return [Sample(ids=ids, trained=_all(len(ids)), number=sample.number) for ids in pieces]
