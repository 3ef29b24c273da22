"""What a training will take, before anything is loaded: memory, numbers that are trained, steps. Knows no torch.

Counted from the shapes of a model. The base does not learn, so of each layer only what its gradient needs is kept:
the inputs of norms, attention and activation, and those of the layers that an adapter is on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mistral_cli.errors import OutOfMemoryError
from mistral_cli.tune.count import count_adapter
from mistral_cli.tune.recipe import ALL_LINEAR, LETTERS, MOST_AT_ONCE, split_targets
from mistral_cli.weights.adapters.files import linear_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.tune.samples import Sample
    from mistral_cli.weights.adapters.files import AdapterFiles

PROGRAM = 380_000_000
"""Bytes of the interpreter and the libraries: 350 MB when they are imported, the rest when they are first used."""

_FLOAT32 = 4
_ADAM = 4 * _FLOAT32
"""Bytes of one number that is trained: itself, its gradient, and the two means that AdamW keeps of it."""

_LOGIT = 3 * _FLOAT32
"""Bytes of one logit when the loss goes back: its logarithm, and the gradients of that and of itself."""

_SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("down_proj",))
"""Layers that read the same; what ``o_proj`` reads is kept in any case, as what came out of attention."""

_BLOCK, _OUTER = 64, 256
"""Numbers that share a scale of 8 bits, and such scales that share one of 32 (bitsandbytes' double quantization)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The model that is trained on, as it lies in memory."""

    args: ModelArgs
    number_bytes: int = 2
    """Bytes of a number of its weights that is not quantized, and of what is computed."""
    is_quantized: bool = False
    """Whether its files are quantized to 4 bits already, whatever the recipe says."""
    begun: AdapterFiles | None = None
    """The adapter on it, where one is gone on from."""
    held: int | None = None
    """Bytes of its weights where they are known: those of files that are quantized already."""

    def scheme(self, recipe: Recipe) -> str:
        """Return how its weights are held."""
        return "nf4" if self.is_quantized else recipe.quantize


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the data asks of every step."""

    longest: int
    """Ids of the longest sequence."""
    learnt: int
    """Of those, where the next id is learnt by some sequence of a batch: only there the head computes."""

    @classmethod
    def of(cls, sequences: Sequence[Sequence[Sample]], recipe: Recipe) -> Load:
        """Return what sequences of one sample or several ask."""
        longest = max(sum(len(sample.ids) for sample in row) for row in sequences)
        most = max(sum(sample.trained_tokens for sample in row) for row in sequences)
        return cls(longest=longest, learnt=min(longest, recipe.batch * most))

    @classmethod
    def most(cls, recipe: Recipe) -> Load:
        """Return the most that there can be, where nothing is known of the data."""
        return cls(longest=recipe.length, learnt=recipe.length)

    def cut(self, length: int) -> Load:
        """Return what is left where no sequence is longer."""
        return Load(longest=min(self.longest, length), learnt=min(self.learnt, length))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes at the moment in which a step takes the most."""

    weights: int
    """The base's."""
    mapped: int
    """Of those, what on a CPU stays in its file, of which the system keeps in memory what it has room for."""
    adapter: int
    """Those that are trained, their gradients and what the optimizer keeps."""
    activations: int
    """What the way forward leaves for the way back."""
    logits: int
    """The scores of the whole vocabulary, and their gradients."""
    layer: int
    """One layer on the way back: its activations where they are computed again, its weights in full where quantized."""
    program: int = PROGRAM

    @property
    def widest(self) -> int:
        """What comes beside the rest at most: the logits are gone when the first layer's gradient is computed."""
        return max(self.logits, self.layer)

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.adapter + self.activations + self.widest + self.program


def plan_memory(base: Base, recipe: Recipe, load: Load) -> Memory:
    """Count what one step of a training takes."""
    args, tokens = base.args, recipe.batch * load.longest
    of_layer = tokens * _layer_bytes(base, recipe)
    inputs = tokens * args.dim * base.number_bytes
    return Memory(
        weights=base_bytes(base, base.scheme(recipe)),
        mapped=_mapped_bytes(base, base.scheme(recipe)),
        adapter=count_adapter(args, recipe, base.begun).trained * _ADAM,
        activations=args.n_layers * (inputs if recipe.checkpointing else of_layer),
        logits=recipe.batch * load.learnt * args.vocab_size * _LOGIT,
        layer=of_layer * recipe.checkpointing + tokens * _gradient_bytes(base) + _workspace(base, base.scheme(recipe)),
    )


def base_bytes(base: Base, scheme: str) -> int:
    """Return the bytes of a base's weights as transformers loads them: of ``nf4``, layers of attention and MLP alone.

    Its head stays as it is, and the experts of a Mixtral, which are no linear layers there.
    """
    total = base.number_bytes * base.args.parameters
    if base.held is not None:
        return base.held
    if scheme == "none":
        return total
    packed = [outputs * inputs for outputs, inputs in _quantized(base.args)]
    return total - sum(base.number_bytes * numbers - _four_bits(numbers) for numbers in packed)


def _mapped_bytes(base: Base, scheme: str) -> int:
    """Return the bytes of the weights that are as they are in their files: all but those that are quantized now."""
    if base.held is not None:
        return base.held
    packed = _quantized(base.args) if scheme != "none" else []
    return base.number_bytes * (base.args.parameters - sum(outputs * inputs for outputs, inputs in packed))


def _quantized(args: ModelArgs) -> list[tuple[int, int]]:
    ends = tuple(LETTERS.values())
    return [shape for name, shape in linear_shapes(args).items() if name.endswith(ends)]


def _four_bits(numbers: int) -> int:
    scales = math.ceil(numbers / _BLOCK)
    return math.ceil(numbers / 2) + scales + _FLOAT32 * math.ceil(scales / _OUTER)


def _layer_bytes(base: Base, recipe: Recipe) -> int:
    """Return what one layer keeps of one token for the way back."""
    args, each = base.args, base.number_bytes
    norms = 2 * args.dim * _FLOAT32
    repeated = args.n_heads if recipe.packing else args.n_kv_heads  # a mask wants keys and values for every head
    attention = args.head_dim * (2 * args.n_heads + 2 * repeated) * each  # with what comes out
    blocks = args.moe.num_experts_per_tok if args.moe else 1
    forward = 3 * blocks * args.hidden_dim * each  # gate, its activation, up
    sums = 2 + args.n_heads  # of each norm and each head
    return norms + attention + forward + _FLOAT32 * (sums + _adapter_numbers(base, recipe))


def _adapter_numbers(base: Base, recipe: Recipe) -> int:
    """Return how many numbers of one token are kept for the gradients of one layer's adapters: inputs of both matrices.

    Each of the first ones has a copy of its own, in 32 bits; with dropout that and its mask. Where the base computes in
    32 bits, what is there already serves all who read it.
    """
    ends = tuple(LETTERS.values()) if recipe.targets == ALL_LINEAR else split_targets(recipe.targets)
    inputs = {
        name.rpartition(".")[2]: shape[1]
        for name, shape in linear_shapes(base.args).items()
        if name.startswith("model.layers.0.") and name.endswith(ends)
    }
    between = recipe.rank * len(inputs)
    if recipe.dropout:
        return between + 2 * sum(inputs.values())
    if base.number_bytes != _FLOAT32:
        return between + sum(inputs.values())
    return between + sum(max(inputs.get(name, 0) for name in names) for names in _SAME_INPUT)


def _gradient_bytes(base: Base) -> int:
    """Return what gradients of one token take on the way back: those of the widest block and of the stream."""
    return base.number_bytes * (3 * base.args.hidden_dim + 2 * base.args.dim)


def _workspace(base: Base, scheme: str) -> int:
    """Return the bytes of the largest quantized matrix in full, which every product with it makes anew."""
    shapes = _quantized(base.args) if scheme != "none" else []
    return max((outputs * inputs for outputs, inputs in shapes), default=0) * base.number_bytes


# -- what fits ---------------------------------------------------------------------------------------------------------


def check_memory(base: Base, recipe: Recipe, load: Load, free: int) -> None:
    """Refuse what does not fit.

    Raises:
        OutOfMemoryError: the message holds both numbers, the hint the flags with which it fits.
    """
    memory = plan_memory(base, recipe, load)
    if memory.total <= free:
        return
    message = (
        f"The training needs {memory.total:,} bytes ({memory.weights:,} for the weights, {memory.adapter:,} for the "
        f"adapter, the rest for {recipe.batch:,} × {load.longest:,} tokens), but {free:,} are free."
    )
    fitting = (
        flags for flags, smaller, less in _smaller(base, recipe, load) if plan_memory(base, smaller, less).total <= free
    )
    flags = next(fitting, None)
    raise OutOfMemoryError(
        message, f"It fits with {flags}." if flags else "No setting makes it fit: take a smaller model."
    )


def _smaller(base: Base, recipe: Recipe, load: Load) -> Iterator[tuple[str, Recipe, Load]]:
    """Yield what takes less, from what changes nothing of the result to what changes the most."""
    flags: list[str] = []
    if not recipe.checkpointing:
        recipe = replace(recipe, checkpointing=True)
        flags.append("--checkpointing")
        yield " ".join(flags), recipe, load
    if recipe.batch > 1:
        at_once = min(recipe.batch * recipe.accumulate, MOST_AT_ONCE)
        recipe = replace(recipe, batch=1, accumulate=at_once)
        flags.append(f"--batch 1 --accumulate {at_once}")
        yield " ".join(flags), recipe, load
    if base.scheme(recipe) == "none":
        recipe = replace(recipe, quantize="nf4")
        flags.append("--quantize nf4")
        yield " ".join(flags), recipe, load
    length = 2 ** math.ceil(math.log2(load.longest)) // 2
    while length >= 64:
        yield " ".join([*flags, f"--length {length}"]), replace(recipe, length=length), load.cut(length)
        length //= 2
