"""What the files of a model tell without loading it: shape, counts, types, sizes, licence. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.errors import MistralError

if TYPE_CHECKING:
    from mistral_cli.model.args import ModelArgs

DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
"""safetensors' words -> ours."""

USUAL_CONTEXT = 8192
"""Tokens for which the memory of the KV cache is shown."""

_LICENSE_LINE = re.compile(r"^(license(?:_name)?):[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
"""A line of a README's front matter (YAML) that names the licence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFacts:
    """What is known of a model's tokenizer."""

    version: str = ""
    """``v1`` … ``v13``, or what ``text`` calls another; empty where there is none."""
    found_by: str = ""
    """How the version was found, in words."""
    is_base: bool = False
    """True where the model has no chat format: it only continues text."""
    problem: str = ""
    """Why there is none."""

    def __str__(self) -> str:
        """Return version and origin, or the problem, as one line."""
        if not self.version:
            return f"none: {self.problem}"
        return f"{self.version} ({self.found_by})" + (", a base model without a chat format" if self.is_base else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one model."""

    name: str
    path: Path
    args: ModelArgs
    dtype: str
    """What most of the weights are; from the config where there are none; empty where nothing says it."""
    weight_files: int
    weight_bytes: int
    """Size of the weight files on the disk; 0 for a config alone."""
    tokenizer: TokenizerFacts
    license: str
    kept: tuple[str, ...] = ()
    """Where the files are quantized already: the matrices in them that are not."""

    @property
    def architecture(self) -> str:
        """Return what kind of model it is, in words."""
        moe = self.args.moe
        return f"Mixtral, {moe.num_experts_per_tok} of {moe.num_experts} experts a token" if moe else "Mistral"


def read_facts(name: str, path: Path) -> Facts:
    """Read everything about the model at ``path``: a folder, or a ``config.json`` or ``params.json`` alone.

    Raises:
        CheckpointError: files that are damaged, contradict each other or describe what cannot be computed.
    """
    from mistral_cli.weights.config import read_args
    from mistral_cli.weights.files import find_config, find_files, read_tensors
    from mistral_cli.weights.formats import main_dtype, match_tensors

    args, folder = read_args(path), path if path.is_dir() else path.parent
    files = find_files(folder) if path.is_dir() and any(folder.glob("*.safetensors*")) else None
    dtype, sources = stated_dtype(find_config(path)), {}
    if files is not None:
        sources = match_tensors(read_tensors(files), args, folder)
        word = main_dtype(source.tensor for source in sources.values())
        dtype = DTYPES.get(word, word)
    return Facts(
        name=name,
        path=path,
        args=args,
        dtype=dtype,
        weight_files=len(files.weights) if files else 0,
        weight_bytes=files.nbytes if files else 0,
        tokenizer=read_tokenizer(folder) if path.is_dir() else TokenizerFacts(problem="this is a config alone"),
        license=find_license(folder) if path.is_dir() else "",
        kept=tuple(name for name, source in sources.items() if source.quantized is None),
    )


def stated_dtype(config: Path) -> str:
    """Return the type that a config names: ``dtype`` (transformers 5, Mistral) or ``torch_dtype`` (transformers 4)."""
    from mistral_cli.weights.json_file import read_object

    values = read_object(config)
    stated = values.get("dtype") or values.get("torch_dtype") or ""
    return stated if isinstance(stated, str) else ""


def read_tokenizer(folder: Path) -> TokenizerFacts:
    """Return what is known of the tokenizer in ``folder``."""
    from mistral_cli.text.tokenizer import load_tokenizer

    try:
        tokenizer = load_tokenizer(folder)
    except MistralError as error:
        return TokenizerFacts(problem=error.message)
    return TokenizerFacts(version=tokenizer.version, found_by=tokenizer.found_by, is_base=tokenizer.is_base)


def find_license(folder: Path) -> str:
    """Return the licence that a model's README states in its front matter, else the first line of its LICENSE."""
    readme = _read_start(folder / "README.md")
    front = re.match(r"\ufeff?---\s*\n(.*?)\n---", readme, re.DOTALL)
    stated: dict[str, str] = dict(
        re.findall(r"^(license(?:_name)?):[ \t]*(\S.*?)[ \t]*$", front[1] if front else "", re.MULTILINE)
    )
    named = stated.get("license_name") if stated.get("license") == "other" else None
    if found := named or stated.get("license"):
        return found.strip("'\"")
    for file in sorted(folder.glob("LICEN[CS]E*")):
        return next((line.strip() for line in _read_start(file).splitlines() if line.strip()), "")
    return ""


def _read_start(path: Path) -> str:
    """Return the beginning of a text file; empty where there is none to read."""
    try:
        with path.open("rb") as file:
            return file.read(65536).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return ""


def memory_of(facts: Facts) -> dict[str, int]:
    """Return the bytes that the weights take in memory on a CPU: quantized already, in that form alone, else in each.

    Of a quantized config without weights the head counts as bitsandbytes leaves it, in 16 bits.
    """
    from mistral_cli.weights.quantized_sizes import quantized_size

    own = own_scheme(facts)
    if own is None:
        return memory_needed(facts.args)
    return {own: quantized_size(facts.args, own, facts.kept or ("lm_head.weight",))}


def memory_needed(args: ModelArgs) -> dict[str, int]:
    """Return the bytes that the weights take in memory on a CPU, for each type they can be held in.

    float32 and bfloat16: 4 and 2 bytes a parameter. int8 and nf4: what ``--quantize`` really allocates, the embedding,
    the norms and the routers in bfloat16. ``int4`` takes what nf4 does.
    """
    from mistral_cli.weights.quantized_sizes import SIZED, quantized_size

    quantized = {scheme: quantized_size(args, scheme) for scheme in SIZED}
    return {"float32": 4 * args.parameters, "bfloat16": 2 * args.parameters, **quantized}


def unasked_scheme(facts: Facts) -> str:
    """Return what the model is quantized to where nobody says: a scheme, or ``none``."""
    from mistral_cli.weights.default_scheme import default_scheme
    from mistral_cli.weights.files import find_config

    return default_scheme(facts.args, find_config(facts.path))


def own_scheme(facts: Facts) -> str | None:
    """Return what the files themselves are quantized to; None where they are not."""
    from mistral_cli.weights.files import find_config
    from mistral_cli.weights.prequantized import stated_scheme

    return stated_scheme(find_config(facts.path))


def not_quantized(facts: Facts) -> tuple[str, ...]:
    """Return what stays in 16 bits of a model that is quantized, by its own files or unasked; empty where none is."""
    own = own_scheme(facts)
    if own is None and unasked_scheme(facts) == "none":
        return ()
    head = own is not None and "lm_head.weight" in (facts.kept or ("lm_head.weight",))
    is_apart = head and not facts.args.tie_word_embeddings
    return ("embedding", "norms", *("routers",) * bool(facts.args.moe), *("head",) * is_apart)


def kv_cache_bytes(args: ModelArgs, tokens: int, dtype_bytes: int = 2) -> int:
    """Return the bytes of keys and values of ``tokens``; a layer with a window never needs more tokens than that."""
    per_layer = args.kv_bytes_per_token(dtype_bytes) // args.n_layers
    windows = (args.window(layer) for layer in range(args.n_layers))
    return per_layer * sum(min(tokens, window or tokens) for window in windows)


def as_json(facts: Facts) -> Mapping[str, object]:
    """Return the facts as one JSON object; sizes in bytes."""
    args = facts.args
    context = min(args.max_position_embeddings, USUAL_CONTEXT)
    return {
        "name": facts.name,
        "path": str(facts.path),
        "architecture": "mixtral" if args.moe else "mistral",
        "parameters": args.parameters,
        "shape": asdict(args),
        "context": args.max_position_embeddings,
        "sliding_window": args.sliding_window,
        "rope_theta": args.rope_theta,
        "kv_bytes_per_token": args.kv_bytes_per_token(2),
        "dtype": facts.dtype or None,
        "weight_files": facts.weight_files,
        "bytes_on_disk": facts.weight_bytes,
        "tokenizer": asdict(facts.tokenizer),
        "license": facts.license or None,
        "memory": memory_of(facts),
        "quantization": own_scheme(facts) or unasked_scheme(facts),
        "not_quantized": list(not_quantized(facts)),
        "kv_cache": {"tokens": context, "bytes": kv_cache_bytes(args, context)},
    }
