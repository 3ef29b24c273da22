"""The guide's network while it is trained: a Mistral over a compact vocabulary, and its way back to the full one.

Only the tokens of the corpus have a row of their own; every other token of the vocabulary shares one, "unknown". So an
unknown word in a question is something the model has met a thousand times. In the softmax that row counts as often as
there are tokens behind it, which makes the training loss that of the full vocabulary, at a tenth of its price.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers import MistralConfig, MistralForCausalLM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.builtin_model.encode import Sample

VOCABULARY = 32768
UNKNOWN = 0  # the compact id that all tokens without a row of their own share


def config(vocabulary: int = VOCABULARY) -> MistralConfig:
    """Return the shape of the built-in model."""
    return MistralConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=16,
        hidden_act="silu",
        max_position_embeddings=2048,
        sliding_window=512,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        attention_dropout=0.0,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=None,
        initializer_range=0.05,
        attn_implementation="sdpa",
        mistral_cli_tokenizer="v3",  # of those that mistral-common carries: the folder needs no file of its own
    )


class Compact:
    """Which tokens have a row of their own: token id <-> compact id."""

    def __init__(self, samples: Iterable[Sample], least: int, start: MistralForCausalLM | None = None) -> None:
        """Give a row to every token of an answer and to those that questions hold ``least`` times or more.

        A model to ``start`` from has rows already, every one that differs from the unknown one, and keeps them; a token
        that it did not know begins with the unknown one's.
        """
        seen: Counter[int] = Counter()
        spoken: set[int] = set()
        for sample in samples:
            seen.update(sample.ids)
            spoken.update(token for token, learnt in zip(sample.ids, sample.learnt, strict=True) if learnt)
        known = {token for token, times in seen.items() if times >= least or token in spoken}
        if start is not None:
            table = start.get_input_embeddings().weight
            shared = table.mode(dim=0).values  # most tokens are unknown
            known.update((table != shared).any(dim=1).nonzero().flatten().tolist())
        self.known = sorted(known)
        self.spoken = sorted(spoken)
        self._row = {token: row for row, token in enumerate(self.known, start=1)}

    @property
    def size(self) -> int:
        """Return the number of rows, the unknown one included."""
        return len(self.known) + 1

    def rows(self, ids: Iterable[int]) -> list[int]:
        """Return the compact ids of token ids."""
        return [self._row.get(token, UNKNOWN) for token in ids]


class Guide(nn.Module):
    """transformers' Mistral over the compact vocabulary, with dropout in training."""

    copies: Tensor
    """(rows,) logarithm of the number of tokens behind each row: 0 but for the unknown one."""
    spoken: Tensor
    """Rows that answers use, and the unknown one."""
    place: Tensor
    """(rows,) where in ``spoken`` each row stands, -1 where it does not."""

    def __init__(self, compact: Compact, dropout: float) -> None:
        """Draw the weights from torch's global generator, which the caller seeds."""
        super().__init__()
        self.lm = MistralForCausalLM(config(compact.size))
        self._dropout = nn.Dropout(dropout)
        for layer in self.lm.model.layers:
            for block in (layer.mlp, layer.self_attn.o_proj):
                block.register_forward_hook(lambda _module, _inputs, output: self._dropout(output))
        copies = torch.zeros(compact.size)
        copies[UNKNOWN] = math.log(VOCABULARY - len(compact.known))
        self.register_buffer("copies", copies)
        self.register_buffer("spoken", torch.tensor([UNKNOWN, *compact.rows(compact.spoken)]))
        place = torch.full((compact.size,), -1)
        place[self.spoken] = torch.arange(len(self.spoken))
        self.register_buffer("place", place)

    def loss(self, ids: Tensor, learnt: Tensor, weight: Tensor, *, everything: bool) -> Tensor:
        """Return the mean loss on the ids that are learnt.

        Args:
            ids: (B, T) compact ids.
            learnt: (B, T) true where the id is the guide's to say.
            weight: (B, T) how much each of them counts.
            everything: score against the whole vocabulary rather than the tokens of answers (a tenth of the time).
        """
        table = self.lm.model.embed_tokens.weight
        hidden = self.lm.model(inputs_embeds=self._dropout(self.lm.model.embed_tokens(ids[:, :-1]))).last_hidden_state
        mask = learnt[:, 1:]
        hidden, targets = hidden[mask], ids[:, 1:][mask]
        if everything:
            logits = hidden @ table.T + self.copies
        else:
            logits = hidden @ table[self.spoken].T + self.copies[self.spoken]
            targets = self.place[targets]
        weights = weight[:, 1:][mask]
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        return (losses * weights).sum() / weights.sum()


def expand(guide: Guide, compact: Compact) -> MistralForCausalLM:
    """Return the same model over the full vocabulary, its weights rounded to bfloat16."""
    full = MistralForCausalLM(config()).eval()
    state = guide.lm.state_dict()
    small = state["model.embed_tokens.weight"]
    table = small[UNKNOWN].repeat(VOCABULARY, 1)
    table[torch.tensor(compact.known)] = small[1:]
    state |= {"model.embed_tokens.weight": table, "lm_head.weight": table}
    full.load_state_dict({name: tensor.to(torch.bfloat16).float() for name, tensor in state.items()})
    full.tie_weights()
    return full


def shrink(full: MistralForCausalLM, guide: Guide, compact: Compact) -> None:
    """Load the weights of a model that ``expand`` made back into the compact one."""
    state = full.state_dict()
    table = state["model.embed_tokens.weight"]
    known = set(compact.known)
    nobody = next(token for token in range(VOCABULARY) if token not in known)
    rows = table[torch.tensor([nobody, *compact.known])]
    guide.lm.load_state_dict(state | {"model.embed_tokens.weight": rows, "lm_head.weight": rows})
