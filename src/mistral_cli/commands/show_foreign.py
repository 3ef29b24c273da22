"""What the files of a model of another architecture tell: what ``mistral show`` says where transformers computes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mistral_cli.commands.show_facts import DTYPES, TokenizerFacts, find_license, read_tokenizer, stated_dtype
from mistral_cli.commands.sizes import size

_COUNTS: Final = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers"),
    "width": ("hidden_size", "n_embd", "d_model"),
    "vocabulary": ("vocab_size",),
}
"""What is shown -> what configs call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFacts:
    """What is known of one model."""

    name: str
    path: Path
    architecture: str
    counts: Mapping[str, int]
    """Those of ``_COUNTS`` that the config names."""
    context: int | None
    shapes: Mapping[str, tuple[int, ...]]
    """Every tensor of the files; none for a config alone."""
    dtype: str
    quantized_by: str
    """The method that the config names; empty for none."""
    weight_files: int
    weight_bytes: int
    tokenizer: TokenizerFacts
    license: str

    @property
    def parameters(self) -> int | None:
        """Numbers in the files; None where there are none, or where several of them are packed into one."""
        return None if self.quantized_by or not self.shapes else sum(map(math.prod, self.shapes.values()))


def read_foreign(name: str, path: Path, architecture: str) -> ForeignFacts:
    """Read what can be known of the model at ``path`` without its code: a folder, or a ``config.json`` alone.

    Raises:
        CheckpointError: files that are damaged.
    """
    from mistral_cli.weights.architecture import stated_positions
    from mistral_cli.weights.files import find_config, find_files, read_tensors
    from mistral_cli.weights.formats import main_dtype
    from mistral_cli.weights.json_file import read_object

    folder, config = path if path.is_dir() else path.parent, find_config(path)
    files = find_files(folder) if path.is_dir() and any(folder.glob("*.safetensors*")) else None
    tensors = read_tensors(files) if files else {}
    values, word = read_object(config), main_dtype(tensors.values()) if tensors else ""
    quantization = values.get("quantization_config")
    return ForeignFacts(
        name=name,
        path=path,
        architecture=architecture,
        counts=_counts(values),
        context=stated_positions(path),
        shapes={tensor.name: tensor.shape for tensor in tensors.values()},
        dtype=DTYPES.get(word, word) or stated_dtype(config),
        quantized_by=str(quantization.get("quant_method", "unknown"))[:40] if isinstance(quantization, dict) else "",
        weight_files=len(files.weights) if files else 0,
        weight_bytes=files.nbytes if files else 0,
        tokenizer=read_tokenizer(folder) if path.is_dir() else TokenizerFacts(problem="this is a config alone"),
        license=find_license(folder) if path.is_dir() else "",
    )


def _counts(values: Mapping[str, object]) -> dict[str, int]:
    text = values.get("text_config")
    sections = (values, text if isinstance(text, dict) else {})
    found = {
        label: next((section[key] for section in sections for key in keys if isinstance(section.get(key), int)), None)
        for label, keys in _COUNTS.items()
    }
    return {label: number for label, number in found.items() if isinstance(number, int)}


def foreign_rows(facts: ForeignFacts) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line."""
    yield "model", facts.name
    yield "path", str(facts.path)
    yield "architecture", f"{facts.architecture}, which transformers computes (--backend hf)"
    if facts.parameters is not None:
        yield "parameters", f"{facts.parameters:,}"
    for label, number in facts.counts.items():
        yield label, f"{number:,}"
    yield "context", "not stated" if facts.context is None else f"{facts.context:,} tokens"
    yield "tokenizer", str(facts.tokenizer)
    yield "licence", facts.license or "not stated"
    yield "weights", _weights(facts)
    if facts.parameters is not None:
        for label, (dtype, width) in zip(("memory", ""), (("float32", 4), ("bfloat16", 2)), strict=True):
            yield label, f"{dtype:8}  {size(facts.parameters * width):>9} of weights"


def _weights(facts: ForeignFacts) -> str:
    form = f"quantized by {facts.quantized_by}" if facts.quantized_by else facts.dtype or "unknown type"
    if not facts.weight_files:
        return f"none here (a config alone; {form})"
    files = "1 file" if facts.weight_files == 1 else f"{facts.weight_files} files"
    return f"{form}, {size(facts.weight_bytes)} in {files}"


def foreign_json(facts: ForeignFacts) -> Mapping[str, object]:
    """Return the facts as one JSON object; sizes in bytes, null for what is not known."""
    return {
        "name": facts.name,
        "path": str(facts.path),
        "architecture": facts.architecture,
        "backend": "hf",
        "parameters": facts.parameters,
        "shape": dict(facts.counts),
        "context": facts.context,
        "dtype": facts.dtype or None,
        "quantized_by": facts.quantized_by or None,
        "weight_files": facts.weight_files,
        "bytes_on_disk": facts.weight_bytes,
        "tokenizer": asdict(facts.tokenizer),
        "license": facts.license or None,
    }
