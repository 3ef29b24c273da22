"""Checkpoints that bitsandbytes quantized: what their config says, which tensors make up a layer. No weights, no torch.

Their form is that of ``Linear4bit`` and ``Linear8bitLt`` (bitsandbytes, ``nn/modules.py``): beside a layer's ``weight``
stand its scales, and the numbers that belong to them as JSON in a tensor of bytes.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.weights.config_fields import ConfigFields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mistral_cli.weights.safetensors_header import TensorInfo

INT8 = "int8"
"""What the scheme of LLM.int8 is called here; the others are called as bitsandbytes does: ``nf4``, ``fp4``."""

_OTHERS = {"gptq": "GPTQ", "awq": "AWQ", "fp8": "FP8", "fbgemm_fp8": "FP8", "hqq": "HQQ", "aqlm": "AQLM"}
_INSTEAD = "Take the model as it was before, and add --quantize nf4."

_STATE = "quant_state"
_PART = re.compile(
    r"(?P<layer>.+)\.(weight\.((?P<part>absmax|quant_map|nested_absmax|nested_quant_map)"
    r"|quant_state\.bitsandbytes__(?P<kind>nf4|fp4))|(?P<eight>SCB|weight_format))"
)
_LONGEST = 2**16
"""Bytes of the JSON of a layer; it has some two hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """One layer of such a checkpoint."""

    kind: str
    """``nf4``, ``fp4`` or ``int8``."""
    parts: Mapping[str, TensorInfo]
    """``weight``; for 4 bits ``absmax``, and ``nested_absmax`` and ``nested_quant_map`` where the scales are quantized
    again; for 8 bits ``SCB``."""
    shape: tuple[int, ...] = ()
    block: int = 0
    """Weights that share a scale, in 4 bits."""
    nested_block: int = 0
    """Scales that share a scale; 0 where they are not quantized again."""
    nested_offset: float = 0.0

    def problem(self, shape: tuple[int, ...]) -> str | None:
        """Return what is wrong with a layer that should have this shape; None where nothing is."""
        if self.kind == INT8:
            sizes = {"weight": shape, "SCB": shape[:1]}
            wrong = [name for name, size in sizes.items() if self._size(name) != size]
            wrong += ["type"] * (self.parts["weight"].dtype != "I8")
        else:
            count = math.prod(shape)
            blocks = -(-count // self.block)
            numbers = {"absmax": blocks}
            if self.nested_block:
                numbers |= {"nested_absmax": -(-blocks // self.nested_block), "nested_quant_map": 256}
            wrong = [name for name, size in numbers.items() if math.prod(self._size(name)) != size]
            if self.shape != shape or self.parts["weight"].nbytes != -(-count // 2):
                wrong.append("weight")
            wrong += ["type"] * bool(self.nested_block and self.parts["absmax"].dtype != "U8")
        return f"was quantized, but its {' and '.join(wrong)} does not fit {list(shape)}" if wrong else None

    def _size(self, part: str) -> tuple[int, ...]:
        return self.parts[part].shape if part in self.parts else (0,)


def own_scheme(fields: ConfigFields) -> str | None:
    """Return what the weights of this ``config.json`` are quantized to already, ``nf4``, ``fp4`` or ``int8``, or None.

    Raises:
        CheckpointError: they are quantized by other means than bitsandbytes.
    """
    for key in ("quantization_config", "compression_config"):
        section = fields.section(key)
        if section is None:
            continue
        method = section.get("quant_method")
        if method not in (None, "bitsandbytes") or not (section.get("load_in_4bit") or section.get("load_in_8bit")):
            name = _OTHERS.get(str(method).lower(), str(method or "unknown means"))
            what = f"{fields.path} describes weights quantized with {name:.60}, which cannot be read"
            raise CheckpointError(f"{what}; only those of bitsandbytes can.", _INSTEAD)
        if section.get("load_in_8bit"):
            return INT8
        return "nf4" if section.get("bnb_4bit_quant_type") == "nf4" else "fp4"  # bitsandbytes' own default
    return None


def stated_scheme(config: Path) -> str | None:
    """Return ``own_scheme`` of this ``config.json`` or ``params.json``.

    Raises:
        CheckpointError: it is no JSON object, or the weights are quantized by other means.
    """
    return own_scheme(ConfigFields.read(config))


def check_asked(asked: str | None, own: str) -> None:
    """Refuse to make other weights of quantized ones; what is left out is as they are.

    Raises:
        UsageError: something else was asked for than the scheme that they have, ``none`` included.
    """
    if asked not in (None, own):
        reason = f"--quantize {asked} cannot be used: these weights are quantized to {own} already."
        raise UsageError(reason, "Leave it out, or take the model as it was before.")


def is_part(name: str) -> bool:
    """Tell whether a tensor of this name says how another is quantized."""
    return _PART.fullmatch(name) is not None


def take_quantized(tensors: Mapping[str, TensorInfo]) -> tuple[dict[str, TensorInfo], dict[str, Quantized]]:
    """Return the tensors without those parts, and the quantized layers by the name of their weight.

    Raises:
        CheckpointError: parts without their weight, or in a form of another version.
    """
    rest = dict(tensors)
    parts: dict[str, dict[str, TensorInfo]] = {}
    kinds: dict[str, str] = {}
    for name in tensors:
        match = _PART.fullmatch(name)
        if match is None:
            continue
        kinds[match["layer"]] = match["kind"] or kinds.get(match["layer"], INT8 if match["eight"] else "")
        parts.setdefault(match["layer"], {})[match["part"] or match["eight"] or _STATE] = rest.pop(name)
    layers = {}
    for layer, found in parts.items():
        weight = f"{layer}.weight"
        if weight not in rest:
            raise CheckpointError(f"{next(iter(found.values())).file} holds scales of {layer:.120}, but no weight.")
        layers[weight] = _layer(kinds[layer], {"weight": rest[weight]} | found)
    return rest, layers


def _layer(kind: str, parts: dict[str, TensorInfo]) -> Quantized:
    weight = parts["weight"]
    if kind == INT8:
        if "weight_format" in parts and _content(parts["weight_format"]).strip(b"\0"):
            raise _unreadable(weight, "its rows are in an order of an old version of bitsandbytes")
        return Quantized(kind=kind, parts=parts)
    if not kind:
        raise _unreadable(weight, "what its scales belong to is not said")
    try:
        state = json.loads(_content(parts[_STATE]))
        shape, block = tuple(map(int, state["shape"])), int(state["blocksize"])
        nested = int(state.get("nested_blocksize") or 0)
        offset = float(state.get("nested_offset") or 0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(weight, f"its state is none of bitsandbytes' ({error!r:.60})") from error
    if block < 1 or nested < 0 or not math.isfinite(offset):
        raise _unreadable(weight, "the numbers of its state cannot be")
    return Quantized(kind=kind, parts=parts, shape=shape, block=block, nested_block=nested, nested_offset=offset)


def _content(tensor: TensorInfo) -> bytes:
    """Return the bytes of a small tensor."""
    with tensor.file.open("rb") as file:
        file.seek(tensor.start)
        return file.read(min(tensor.nbytes, _LONGEST))


def _unreadable(weight: TensorInfo, why: str) -> CheckpointError:
    return CheckpointError(f"{weight.file}: {weight.name:.120} is quantized, but cannot be read: {why}.", _INSTEAD)
