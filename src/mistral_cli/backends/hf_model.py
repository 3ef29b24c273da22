"""A checked folder becomes one of transformers' models. Runs no code of the folder's and reads no pickle.

transformers fills a missing tensor with random numbers, follows an adapter's config to another model, and takes the
name of a kernel to fetch from a config; all of that is refused or put aside here.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from huggingface_hub.errors import StrictDataclassError

from mistral_cli.backends.hf_quiet import quiet
from mistral_cli.errors import CheckpointError, MistralError, OutOfMemoryError, UsageError
from mistral_cli.weights.allocate import is_out_of_memory
from mistral_cli.weights.files import HUGGINGFACE, find_files, read_tensors
from mistral_cli.weights.json_file import read_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    import torch

    from mistral_cli.backends.hf_plan import Placement
    from mistral_cli.weights.safetensors_header import TensorInfo

_AGAIN = "Fetch the model again."
_FAULTS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    StrictDataclassError,
)
"""What transformers raises where a config or a file is not as it wants it."""

_BITSANDBYTES = ("nf4", "fp4", "int8")
"""What bitsandbytes computes with."""


def require(*packages: str) -> None:
    """Refuse to go on without ``packages``.

    Raises:
        UsageError: naming the first that is not installed, and how to install it.
    """
    for name in packages:
        if find_spec(name) is None:
            raise UsageError(f"--backend hf needs {name}, which is not installed.", f"pip install {name}")


def check_files(folder: Path) -> dict[str, TensorInfo]:
    """Return every tensor in the files by name; nothing is read but headers.

    Raises:
        ModelNotFoundError, CheckpointError: as ``find_files`` and ``read_tensors``; or a folder of another format, with
            an adapter in it.
    """
    files = find_files(folder)
    if files.format != HUGGINGFACE or files.config.name != "config.json":
        message = f"{folder} is in Mistral's own format, but --backend hf reads Hugging Face's."
        raise CheckpointError(message, "Leave --backend out.")
    if (folder / "adapter_config.json").exists():
        message = f"{folder} holds an adapter beside a model ({folder / 'adapter_config.json'})."
        raise CheckpointError(message, "Move one of them into a folder of its own.")
    return read_tensors(files)


def read_config(folder: Path) -> Any:
    """Return transformers' config of the model in ``folder``, with nothing in it that would fetch code.

    Raises:
        CheckpointError: an architecture that transformers does not know, code of its own, or no sense.
    """
    values = read_object(folder / "config.json")
    with _translated(folder), quiet():
        from transformers import AutoConfig  # noqa: PLC0415 (4 s, and only where this back end is used)
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: PLC0415
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING  # noqa: PLC0415

        kind = values.get("model_type")
        if kind not in CONFIG_MAPPING:
            raise _unknown(folder, kind, needs_code="auto_map" in values)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
            raise _unknown(folder, kind, needs_code="auto_map" in values)
        _forget_kernels(config)
    return config


def _unknown(folder: Path, kind: object, *, needs_code: bool) -> CheckpointError:
    named = f"the architecture {kind!s:.60}"
    if needs_code:
        message = f"{folder} wants code of its own to be run (auto_map): {named} is not in transformers."
        return CheckpointError(f"{message} That is never done.", "Use a model whose architecture transformers knows.")
    message = f"{folder} describes {named}, which this version of transformers cannot generate text with."
    return CheckpointError(message, "pip install --upgrade transformers, or use another model.")


def _forget_kernels(config: Any) -> None:
    """Drop the attention that a config names: it may be a repository of compiled code."""
    for part in (config, *(getattr(config, name, None) for name in config.sub_configs)):
        for key in ("_attn_implementation_internal", "_experts_implementation_internal"):
            if hasattr(part, key):
                setattr(part, key, None)


def build_skeleton(config: Any, folder: Path, tensors: Mapping[str, TensorInfo]) -> Any:
    """Return the model without memory for its weights.

    Raises:
        CheckpointError: the config describes more than the files hold.
    """
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if layers > len(tensors):
        raise CheckpointError(f"{folder} describes {layers:,} layers, but holds {len(tensors):,} tensors.", _AGAIN)
    with _translated(folder), quiet():
        from accelerate import init_empty_weights  # noqa: PLC0415
        from transformers import AutoModelForCausalLM  # noqa: PLC0415

        with init_empty_weights(include_buffers=True):
            skeleton = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    described = sum(weight.numel() for weight in skeleton.parameters())
    held = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if described > held and quantized_by(config) is None:
        message = f"{folder} describes {described:,} parameters, but its files hold {held:,}."
        raise CheckpointError(message, "The config or the weights belong to another model: fetch both again.")
    return skeleton


def quantized_by(config: Any) -> str | None:
    """Return how the checkpoint is quantized already, as ``nf4``, ``int8`` or ``gptq``; None where it is not."""
    said = getattr(config, "quantization_config", None)
    values = said if isinstance(said, dict) else said.to_dict() if said is not None else None
    if not values:
        return None
    if values.get("load_in_4bit"):
        return str(values.get("bnb_4bit_quant_type", "fp4"))
    return "int8" if values.get("load_in_8bit") else str(values.get("quant_method", "unknown"))


def _quantization(scheme: str, dtype: torch.dtype) -> Any:
    """Return what makes transformers quantize while it loads; None for nothing."""
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    if scheme == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return BitsAndBytesConfig(load_in_8bit=True) if scheme == "int8" else None


def load_model(  # noqa: PLR0913 (all that decides what is loaded)
    folder: Path,
    config: Any,
    *,
    dtype: torch.dtype,
    placement: Placement,
    quantize: str,
    offload: Path | None = None,
    state: dict[str, torch.Tensor] | None = None,
) -> Any:
    """Return the model, in evaluation mode and without gradients.

    Args:
        folder: checked.
        config: what ``read_config`` made of the one in it.
        dtype: what the weights become that are not quantized.
        placement: where they go.
        quantize: ``none``, ``nf4`` or ``int8``; without a meaning where the checkpoint is quantized already.
        offload: a folder for weights that have to be on the disk in another form than the checkpoint's.
        state: the tensors, in the form that ``config`` says; None: those of the files in ``folder``.

    Raises:
        CheckpointError: tensors that are missing, unexpected or of another shape; whatever else transformers refuses.
        OutOfMemoryError: no room.
    """
    is_done = quantized_by(config) is not None
    if quantize in _BITSANDBYTES:
        require("bitsandbytes")
    with _translated(folder), quiet():
        from transformers import AutoModelForCausalLM  # noqa: PLC0415
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING  # noqa: PLC0415

        # without a folder the class that finds the class does not get as far
        loader = AutoModelForCausalLM if state is None else MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        model, report = loader.from_pretrained(
            folder if state is None else None,
            config=config,
            state_dict=state,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # it would fill them with random numbers: they are refused below, by name
            dtype=dtype,
            device_map=placement.device_map,
            max_memory=placement.max_memory,
            offload_folder=offload,
            quantization_config=None if is_done else _quantization(quantize, dtype),
        )
    for key, what in (("missing_keys", "lacks"), ("unexpected_keys", "holds what the model has no place for:")):
        if report[key]:
            raise CheckpointError(f"{folder} {what} {_names(report[key])}.", _AGAIN)
    if report["mismatched_keys"]:
        names = [str(entry[0] if isinstance(entry, tuple) else entry) for entry in report["mismatched_keys"]]
        raise CheckpointError(f"{folder} holds tensors of another shape than its config says: {_names(names)}.", _AGAIN)
    return model.eval().requires_grad_(requires_grad=False)


def _names(keys: Collection[str]) -> str:
    """Return up to five names in one line."""
    shown = ", ".join(f"{name:.120}" for name in sorted(keys)[:5])
    return shown + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn what transformers raises into one line of ours."""
    try:
        yield
    except MistralError:
        raise
    except ImportError as error:
        message = f"transformers needs a package for {folder} that is not installed: {_one_line(error)}."
        raise CheckpointError(message, "Install it, or use the model in its plain form.") from error
    except _FAULTS as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            message = f"The memory ran out while loading {folder}: {_one_line(error)}."
            raise OutOfMemoryError(message, "Take a smaller model, or --quantize nf4.") from error
        raise CheckpointError(f"transformers cannot load {folder}: {_one_line(error)}.", _AGAIN) from error


def _one_line(error: BaseException) -> str:
    """Return the beginning of what an error says."""
    text = " ".join(str(error).split()) or type(error).__name__
    return (text if len(text) <= 300 else text[:297] + "...").rstrip(".")
