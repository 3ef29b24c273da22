"""The model that an adapter is trained on, loaded for it, and the adapter put on by peft. Trains nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from mistral_cli.backends import hf_model
from mistral_cli.backends.hf_plan import Placement
from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.tune.recipe import ALL_LINEAR
from mistral_cli.tune.training.four_bits import is_ours, quantized_state
from mistral_cli.tune.training.own_format import plain_state, transformers_config
from mistral_cli.weights.adapters.files import find_adapter
from mistral_cli.weights.adapters.lora_config import WEIGHTS
from mistral_cli.weights.adapters.pairs import read_pairs
from mistral_cli.weights.files import HUGGINGFACE, find_files, read_tensors
from mistral_cli.weights.formats import main_dtype
from mistral_cli.weights.mapped_tensors import STORED
from mistral_cli.weights.prequantized import stated_scheme

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.tune.recipe import Recipe


def check_base(folder: Path) -> None:
    """Refuse a model that nothing is trained on, before anything is loaded.

    Raises:
        ModelNotFoundError, CheckpointError: it is not there, damaged, or quantized, but not by bitsandbytes to 4 bits.
    """
    files = find_files(folder)
    is_own = files.format != HUGGINGFACE
    done = stated_scheme(files.config) if is_own else hf_model.quantized_by(hf_model.read_config(folder))
    if done is not None and (is_own or done not in ("nf4", "fp4")):
        message = f"{folder} is quantized already ({done:.40}), and no adapter is trained on that."
        raise CheckpointError(message, "Take the model as it was published, with --quantize nf4.")


def check_begun(folder: Path) -> None:
    """Refuse an adapter that no training can go on from, before anything is loaded.

    Raises:
        ModelNotFoundError, CheckpointError: it is not there, damaged, or holds NaN or infinity.
    """
    read_pairs(find_adapter(folder), torch.float32, torch.device("cpu"))


def load_base(folder: Path, recipe: Recipe, device: torch.device) -> Any:
    """Return the model in ``folder``, frozen, on ``device``; quantized while it is read where the recipe says so.

    A folder that bitsandbytes quantized to 4 bits is taken as it is.

    Raises:
        CheckpointError: it is damaged.
        OutOfMemoryError: no room.
    """
    files = find_files(folder)
    is_own = files.format != HUGGINGFACE
    tensors = read_tensors(files) if is_own else hf_model.check_files(folder)
    config = transformers_config(files) if is_own else hf_model.read_config(folder)
    placement = Placement(device_map={"": str(device)}, max_memory=None, context=0)
    done = hf_model.quantized_by(config) is not None
    dtype = _dtype(main_dtype(tensors.values()), is_quantized=recipe.quantize != "none" or done)
    state = None
    if recipe.quantize == "nf4" and not done and device.type == "cpu" and is_ours(folder):
        state, config.quantization_config = quantized_state(folder, dtype)
    elif is_own:
        state = plain_state(files, dtype)
    model = hf_model.load_model(folder, config, dtype=dtype, placement=placement, quantize=recipe.quantize, state=state)
    model.config.use_cache = False  # with one, transformers does not look for several samples in a row
    return model


def _dtype(stored: str, *, is_quantized: bool) -> torch.dtype:
    """Return what the base computes in: as it is stored, but for float16, whose gradients overflow."""
    dtype = STORED.get(stored, torch.bfloat16)
    return torch.bfloat16 if is_quantized or dtype == torch.float16 else dtype


def put_adapter(model: Any, recipe: Recipe, base: str) -> Any:
    """Return peft's model around ``model``: adapters in float32, all that is trained.

    Raises:
        UsageError: a target that this model has no layer for.
    """
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 (6 s, and it may be absent)

    targets = recipe.target_modules
    names = [name for name, _ in model.named_modules()]
    missing = [one for one in targets if not any(name.endswith(f".{one}") for name in names)]
    if targets != ALL_LINEAR and missing:
        raise UsageError(f"--targets names {missing[0]}, which this model has no layer of.", "Take --targets q,k,v,o.")
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=int(recipe.alpha) if recipe.alpha == int(recipe.alpha) else recipe.alpha,  # peft says it is an int
        lora_dropout=recipe.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
    )
    wrapped = get_peft_model(model, config)
    # get_peft_model writes where it was loaded from instead
    wrapped.peft_config["default"].base_model_name_or_path = base
    return wrapped


def go_on_with(model: Any, folder: Path, recipe: Recipe, base: str) -> Any:
    """Return peft's model around ``model`` with the adapter in ``folder`` on it, in float32, to be trained further.

    Rank, alpha, targets and whatever else it says of itself stay; of the recipe it takes the dropout alone.

    Raises:
        ModelNotFoundError, CheckpointError: it is not there, damaged, or of a kind that is not computed here.
        UsageError: it adapts what transformers' model has no layer for.
    """
    from peft import LoraConfig, PeftModel  # noqa: PLC0415 (see above)

    names = {name for name, _ in model.named_modules()}
    strange = next((name for name in find_adapter(folder).layers if name not in names), None)
    if strange is not None:
        message = f"{folder} adapts {strange:.120}, which is no layer of its own where it would be trained."
        raise UsageError(message, "Train a new adapter, with --targets q,k,v,o.")
    config = LoraConfig.from_pretrained(str(folder))
    config.lora_dropout, config.init_lora_weights, config.inference_mode = recipe.dropout, True, False
    wrapped = PeftModel.from_pretrained(model, str(folder), is_trainable=True, config=config)
    wrapped.peft_config["default"].base_model_name_or_path = base
    return wrapped


def fill_adapter(model: Any, folder: Path) -> None:
    """Give peft's ``model`` the adapter in ``folder``, which has its shape."""
    from peft import set_peft_model_state_dict  # noqa: PLC0415 (see above)

    set_peft_model_state_dict(model, load_file(folder / WEIGHTS))


def save_memory(model: Any) -> None:
    """Let activations be computed again on the way back (Chen et al., arXiv:1604.06174) instead of kept."""
    # transformers 5.23 renamed both
    enable, options = next(
        (getattr(model, f"{kind}_enable"), f"{kind}_kwargs")
        for kind in ("activation_checkpointing", "gradient_checkpointing")
        if hasattr(model, f"{kind}_enable")
    )
    enable(**{options: {"use_reentrant": False}})
