"""Dialogues become token ids, with mistral-common's own chat encoding, and a mask of what is to be learnt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mistral_common
from mistral_common.protocol.instruct.messages import AssistantMessage, SystemMessage, UserMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.builtin_model.corpus import Dialogue

TOKENIZER_FILE = "mistral_instruct_tokenizer_240323.model.v3"
END_OF_INSTRUCTION = 4
EOS = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """The ids of one dialogue; ``learnt`` is true for each id that the guide has to say."""

    ids: tuple[int, ...]
    learnt: tuple[bool, ...]


class Encoder:
    """The official v3 tokenizer, as training and evaluation use it."""

    def __init__(self) -> None:
        """Load the tokenizer file that mistral-common carries."""
        path = Path(mistral_common.__file__).parent / "data" / TOKENIZER_FILE
        self._training = MistralTokenizer.from_file(str(path), mode=ValidationMode.finetuning)
        self._asking = MistralTokenizer.from_file(str(path))

    def sample(self, dialogue: Dialogue) -> Sample:
        """Encode a whole dialogue, answers included."""
        messages: list[SystemMessage | UserMessage | AssistantMessage] = []
        if dialogue.system:
            messages.append(SystemMessage(content=dialogue.system))
        for turn in dialogue.turns:
            messages += [UserMessage(content=turn.question), AssistantMessage(content=turn.answer)]
        ids = self._training.encode_chat_completion(ChatCompletionRequest(messages=messages)).tokens
        return Sample(tuple(ids), tuple(_answer_mask(ids)))

    def prompt(self, question: str, system: str = "") -> list[int]:
        """Encode a question that waits for its answer."""
        messages: list[SystemMessage | UserMessage] = [SystemMessage(content=system)] if system else []
        messages.append(UserMessage(content=question))
        return list(self._asking.encode_chat_completion(ChatCompletionRequest(messages=messages)).tokens)

    def text(self, ids: Iterable[int]) -> str:
        """Return the text of an answer's ids."""
        return self._asking.decode([token for token in ids if token != EOS])

    def words(self) -> list[str]:
        """Return the vocabulary's pieces that are a whole word of three letters or more."""
        tokenizer = self._asking.instruct_tokenizer.tokenizer
        pieces = (tokenizer.id_to_piece(token) for token in range(tokenizer.n_words))
        return [piece[1:] for piece in pieces if piece.startswith("▁") and piece[1:].isalpha() and len(piece) > 3]


def _answer_mask(ids: Iterable[int]) -> list[bool]:
    """Mark everything after [/INST] up to and with EOS."""
    mask, speaking = [], False
    for token in ids:
        mask.append(speaking)
        speaking = token == END_OF_INSTRUCTION or (speaking and token != EOS)
    return mask
