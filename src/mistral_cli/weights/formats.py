"""Foreign names and foreign orders: which bytes of a file fill which tensor of the model. Reads no weights, no torch.

Only here are other programs' names known. Our own are those of Hugging Face's files, so their checkpoints need no
translation but for transformers 5's fused experts; Mistral's own files have other names and another rotary order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.prequantized import is_part, take_quantized
from mistral_cli.weights.safetensors_header import DTYPE_BYTES, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.prequantized import Quantized

READABLE = ("BF16", "F16", "F32", "F64")
"""Types of weights that are read, in the words of safetensors."""

LM_HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"

_MISTRAL_NAMES = (
    ("model.embed_tokens.", "tok_embeddings."),
    ("model.layers.", "layers."),
    ("model.norm.", "norm."),
    ("lm_head.", "output."),
    (".self_attn.q_proj.", ".attention.wq."),
    (".self_attn.k_proj.", ".attention.wk."),
    (".self_attn.v_proj.", ".attention.wv."),
    (".self_attn.o_proj.", ".attention.wo."),
    (".input_layernorm.", ".attention_norm."),
    (".post_attention_layernorm.", ".ffn_norm."),
    (".mlp.gate_proj.", ".feed_forward.w1."),
    (".mlp.down_proj.", ".feed_forward.w2."),
    (".mlp.up_proj.", ".feed_forward.w3."),
    (".block_sparse_moe.", ".feed_forward."),
)
"""Our part of a name -> that of Mistral's own files (mistral-inference, ``transformer_layers.py`` and ``moe.py``)."""

_HARMLESS = re.compile(r"(^|\.)(rotary_emb\.(inv_freq|cos_cached|sin_cached)|rope\.freqs)$")
"""Tables that old programs saved with the weights and that follow from the config."""

_FUSED = re.compile(r"^(model\.layers\.\d+)\.mlp\.(experts\.gate_up_proj|experts\.down_proj|gate\.weight)$")

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one tensor of the model comes from."""

    tensor: TensorInfo
    quantized: Quantized | None = None
    """Where the layer is quantized already: all its tensors, and what they mean."""
    interleaved_heads: int = 0
    """Where not 0: so many heads' rows are in Mistral's rotary order (x0 y0 x1 y1 …), ours is x0 x1 … y0 y1 …"""


def match_tensors(tensors: Mapping[str, TensorInfo], args: ModelArgs, folder: Path) -> dict[str, Source]:
    """Return for every tensor of the model where it comes from, in our names.

    With tied embeddings ``lm_head.weight`` is among them only if the files hold it: whoever reads has to compare.

    Raises:
        CheckpointError: tensors are missing, unexpected, of another shape or of a type that is not read; the message
            names five at most.
    """
    plain, quantized = take_quantized(tensors)
    found = _split_fused_experts(plain)
    is_mistral = any(name.endswith(".attention.wq.weight") for name in found)
    shapes = dict(args.tensor_shapes())
    theirs = {name: mistral_name(name) if is_mistral else name for name in (*shapes, LM_HEAD)}
    if args.tie_word_embeddings and theirs[LM_HEAD] in found:
        shapes[LM_HEAD] = shapes[EMBEDDING]
    expected = {theirs[name]: shape for name, shape in shapes.items()}
    _check(found, expected, quantized, folder)
    heads = {"q_proj": args.n_heads, "k_proj": args.n_kv_heads} if is_mistral else {}
    return {
        name: Source(
            tensor=found[theirs[name]],
            quantized=quantized.get(theirs[name]),
            interleaved_heads=heads.get(name.split(".")[-2], 0),
        )
        for name in shapes
    }


def main_dtype(tensors: Iterable[TensorInfo]) -> str:
    """Return the type that most of the bytes have, in safetensors' word: the checkpoint's own.

    Where there are quantized layers, those beside them count.
    """
    nbytes: dict[str, int] = {}
    stored = [tensor for tensor in tensors if not is_part(tensor.name)]
    for tensor in [tensor for tensor in stored if tensor.dtype in READABLE] or stored:
        nbytes[tensor.dtype] = nbytes.get(tensor.dtype, 0) + tensor.nbytes
    return max(nbytes, key=nbytes.__getitem__)


def mistral_name(name: str) -> str:
    """Return what Mistral's own files call the tensor that we call ``name``."""
    for ours, theirs in _MISTRAL_NAMES:
        name = name.replace(ours, theirs)
    return name


def _split_fused_experts(tensors: Mapping[str, TensorInfo]) -> dict[str, TensorInfo]:
    """Cut transformers 5's fused experts into the experts' own tensors: ranges of the same bytes."""
    found: dict[str, TensorInfo] = {}
    for name, tensor in tensors.items():
        match = _FUSED.match(name)
        parts = [tensor] if match is None else _parts(f"{match[1]}.block_sparse_moe", match[2], tensor)
        found |= {part.name: part for part in parts}
    return found


def _parts(prefix: str, fused: str, tensor: TensorInfo) -> list[TensorInfo]:
    """Return the parts of one tensor, each a whole number of rows in one run of bytes.

    ``gate_up_proj`` is (experts, 2 hidden, width), w1 above w3; ``down_proj`` (experts, width, hidden) is w2.
    """
    if fused == "gate.weight":
        return [replace(tensor, name=f"{prefix}.gate.weight")]
    names = ("w1", "w3") if fused == "experts.gate_up_proj" else ("w2",)
    if len(tensor.shape) != 3 or tensor.shape[1] % len(names):
        return [tensor]
    rows, columns = tensor.shape[1] // len(names), tensor.shape[2]
    step = rows * columns * DTYPE_BYTES[tensor.dtype]
    labels = [f"{prefix}.experts.{expert}.{name}.weight" for expert in range(tensor.shape[0]) for name in names]
    starts = range(tensor.start, tensor.end, step) if step else ()
    return [
        replace(tensor, name=label, shape=(rows, columns), start=start, end=start + step)
        for label, start in zip(labels, starts, strict=False)
    ]


def _check(
    found: Mapping[str, TensorInfo],
    expected: Mapping[str, tuple[int, ...]],
    quantized: Mapping[str, Quantized],
    folder: Path,
) -> None:
    problems = [f"{name} is missing" for name in expected if name not in found]
    for name, tensor in found.items():
        shape = expected.get(name)
        if shape is None and not _HARMLESS.search(name):
            problems.append(f"{name:.120} is not part of the model")
        elif shape is not None and name in quantized:
            problem = quantized[name].problem(shape)
            problems += [f"{name} {problem}"] if problem else []
        elif shape is not None and tensor.shape != shape:
            problems.append(f"{name} has the shape {list(tensor.shape)}, not {list(shape)}")
        elif shape is not None and tensor.dtype not in READABLE:
            problems.append(f"{name} has the type {tensor.dtype}, not one of {', '.join(READABLE)}")
    if problems:
        more = f"; and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
        what = "; ".join(problems[:_SHOWN]) + more
        raise CheckpointError(f"The weights in {folder} do not fit their config: {what}.", "Fetch the model again.")
