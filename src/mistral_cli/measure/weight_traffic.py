"""How many bytes one decoded token reads: the weights, and the keys and values before it. Measures no time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from mistral_cli.model.moe import SparseMoe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.model.transformer import Mistral


def weight_bytes_per_token(model: Mistral) -> int:
    """Return the bytes of weights that one decode step reads.

    All of them, but of an embedding that is not the head, too, one row; and of experts only those that compute a token.
    """
    read = sum(map(_own_bytes, model.modules()))
    embedding = model.model.embed_tokens.weight
    if model.lm_head is not None:
        read -= embedding.nbytes - embedding[0].nbytes
    return read - sum(_idle_bytes(module) for module in model.modules() if isinstance(module, SparseMoe))


def foreign_weight_bytes(model: nn.Module, embedding: nn.Module) -> int:
    """Return the bytes of weights that a decode step of somebody else's model reads, all experts among them.

    An embedding of its own is not counted; one that is the head, too, is.
    """
    tables = {buffer.data_ptr() for buffer in model.buffers()}  # of angles: no weights
    held = (weight for module in model.modules() for weight in _tensors(module))
    weights = {weight.data_ptr(): weight for weight in held if weight.data_ptr() not in tables}
    heads = [module for module in model.modules() if isinstance(module, nn.Linear)]
    shared = {weight.data_ptr() for head in heads for weight in head.parameters(recurse=False)}
    own = [weight for weight in _tensors(embedding) if weight.data_ptr() not in shared]
    return sum(weight.nbytes for weight in weights.values()) - sum(weight.nbytes for weight in own)


def _idle_bytes(moe: SparseMoe) -> int:
    """Return the bytes of the experts that a token does not see."""
    experts = sum(_own_bytes(module) for module in moe.experts.modules())
    return experts - experts * moe.per_token // len(moe.experts)


def _own_bytes(module: nn.Module) -> int:
    """Return the bytes that a module itself holds, its parts not counted."""
    return sum(tensor.nbytes for tensor in _tensors(module))


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    for weight in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        yield weight
        yield from _beside(getattr(weight, "quant_state", None))


def _beside(state: object) -> Iterator[Tensor]:
    """Yield what bitsandbytes keeps beside a weight: the scales of its blocks, and the scales of those."""
    for value in vars(state).values() if state is not None else ():
        if isinstance(value, Tensor):
            yield value
        elif type(value) is type(state):
            yield from _beside(value)
