"""What the hf back end loads, where it puts it, and what it refuses: no code, no pickle, no tensor made up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from foreign_checkpoint import edit_json, write_foreign
from mistral_cli.backends import hf_model
from mistral_cli.backends.hf import load_hf
from mistral_cli.backends.hf_model import read_config
from mistral_cli.contract import Message, SamplingParams
from mistral_cli.errors import CheckpointError, ModelNotFoundError, OutOfMemoryError, UsageError
from tiny_checkpoint import write_checkpoint

if TYPE_CHECKING:
    from mistral_cli.backends.hf import HfBackend

ASK = (Message(role="user", content="Hello"),)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_foreign(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(written, tmp_path / "model"))


def load(folder: Path, **options: object) -> HfBackend:
    return load_hf(folder, name="tiny", **{"device": "cpu", **options})


def ids(backend: HfBackend, count: int = 8) -> tuple[int, ...]:
    *_, done = backend.stream(ASK, SamplingParams(temperature=0, max_tokens=count))
    return done.ids


def edit_tensors(folder: Path, **changes: torch.Tensor | None) -> None:
    tensors = {**load_file(folder / "model.safetensors"), **changes}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


# -- what is loaded ---------------------------------------------------------------------------------------------------


def test_the_info_says_what_was_loaded(written: Path) -> None:
    backend = load(written)
    info = backend.info
    assert (info.backend, info.dtype, info.device, info.quantization) == ("hf", "float32", "cpu", "none")
    assert (info.context, info.tokenizer, info.is_base) == (512, "template", False)
    assert info.parameters == sum(weight.numel() for weight in backend.engine.model.parameters())


def test_dtype_and_context_can_be_asked_for(written: Path) -> None:
    backend = load(written, dtype="bfloat16", context=100)
    assert (backend.info.dtype, backend.info.context) == ("bfloat16", 100)
    assert backend.engine.model.dtype == torch.bfloat16
    assert not any(weight.requires_grad for weight in backend.engine.model.parameters())


@pytest.fixture(scope="module")
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose matrices are wide enough for bitsandbytes' kernels."""
    return write_foreign(tmp_path_factory.mktemp("wider"), hidden_size=128, intermediate_size=256, head_dim=32)


@pytest.mark.parametrize(("scheme", "kind"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")])
def test_bitsandbytes_quantizes_the_layers_and_leaves_the_head(wider: Path, scheme: str, kind: str) -> None:
    backend = load(wider, quantize=scheme)
    assert (backend.info.quantization, backend.info.dtype) == (scheme, "bfloat16")
    assert type(backend.engine.model.model.layers[0].mlp.up_proj).__name__ == kind
    assert type(backend.engine.model.lm_head) is torch.nn.Linear
    assert len(ids(backend)) == 8


def test_nf4_has_double_quantization_and_computes_in_bfloat16(wider: Path) -> None:
    weight = load(wider, quantize="nf4").engine.model.model.layers[0].mlp.up_proj
    assert weight.weight.quant_state.quant_type == "nf4"
    assert weight.weight.quant_state.nested
    assert weight.compute_dtype == torch.bfloat16


def test_a_checkpoint_that_is_quantized_already_is_loaded_as_it_is(wider: Path, tmp_path: Path) -> None:
    first = load(wider, quantize="nf4")
    first.engine.model.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(wider / name, tmp_path)
    again = load(tmp_path)
    assert again.info.quantization == "nf4"
    assert ids(again) == ids(first)
    for asked in ("int8", "none"):
        with pytest.raises(UsageError, match=f"{asked} cannot be used: these weights are quantized to nf4 already"):
            load(tmp_path, quantize=asked)


def test_what_has_no_room_stays_on_the_disk_and_answers_alike(written: Path, tmp_path: Path) -> None:
    config = read_config(written)
    from mistral_cli.backends.hf_plan import Placement

    room = Placement(device_map="auto", max_memory={"cpu": 60_000}, context=512)
    backend = load(written)
    wanted = ids(backend)
    backend.engine.model = hf_model.load_model(
        written, config, dtype=torch.float32, placement=room, quantize="none", offload=tmp_path
    )
    assert any(weight.is_meta for weight in backend.engine.model.parameters())
    backend.engine._kept.forget()
    assert ids(backend) == wanted


def test_auto_goes_wherever_there_is_room(written: Path) -> None:
    assert ids(load(written, device="auto")) == ids(load(written))


def test_nothing_is_said_on_the_screen(wider: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ids(load(wider, quantize="nf4"))
    assert capfd.readouterr() == ("", "")


# -- what is refused --------------------------------------------------------------------------------------------------


def test_a_missing_tensor_is_refused_by_name(folder: Path) -> None:
    edit_tensors(folder, **{"model.layers.1.mlp.up_proj.weight": None, "more": torch.zeros(10_000)})
    with pytest.raises(CheckpointError, match=r"lacks model\.layers\.1\.mlp\.up_proj\.weight"):
        load(folder)


def test_an_unexpected_tensor_is_refused_by_name(folder: Path) -> None:
    edit_tensors(folder, **{"model.layers.1.mlp.gate.weight": torch.zeros(3)})
    with pytest.raises(CheckpointError, match=r"no place for: model\.layers\.1\.mlp\.gate\.weight"):
        load(folder)


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    edit_tensors(folder, **{"model.norm.weight": torch.zeros(50)})
    with pytest.raises(CheckpointError, match=r"another shape than its config says: model\.norm\.weight"):
        load(folder)


def test_fewer_weights_than_the_config_describes_are_refused_before_they_are_read(folder: Path) -> None:
    edit_json(folder / "config.json", intermediate_size=10**7)
    with pytest.raises(CheckpointError, match=r"describes [0-9,]+ parameters, but its files hold"):
        load(folder)


def test_a_billion_layers_are_refused_at_once(folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers=10**9)
    with pytest.raises(CheckpointError, match="1,000,000,000 layers"):
        load(folder)


@pytest.mark.parametrize("auto_map", [True, False])
def test_an_architecture_that_transformers_does_not_know_is_refused(folder: Path, auto_map: bool) -> None:
    edit_json(folder / "config.json", model_type="strange", architectures=["StrangeForCausalLM"])
    if auto_map:
        edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_strange.StrangeForCausalLM"})
        (folder / "modeling_strange.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    with pytest.raises(CheckpointError, match="code of its own" if auto_map else "strange"):
        load(folder)
    assert not (folder / "ran").exists()


def test_code_beside_an_architecture_that_is_known_is_not_run(folder: Path) -> None:
    wanted = ids(load(folder))
    edit_json(
        folder / "config.json",
        auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
    )
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    assert ids(load(folder)) == wanted
    assert not (folder / "ran").exists()


def test_a_kernel_that_a_config_names_is_not_fetched(folder: Path) -> None:
    edit_json(folder / "config.json", attn_implementation="someone/evil-kernel")
    assert load(folder).engine.model.config._attn_implementation == "sdpa"


def test_a_model_of_another_task_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "t5", "architectures": ["T5Model"]}))
    with pytest.raises(CheckpointError, match="t5"):
        load(folder)


def test_a_pickle_is_never_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle"):
        load(folder)


def test_an_index_that_points_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "stolen.safetensors")
    index = {"weight_map": {"lm_head.weight": "../stolen.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="no safetensors file of its folder"):
        load(folder)


def test_an_adapter_in_the_folder_leads_nowhere(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    with pytest.raises(CheckpointError, match="adapter"):
        load(folder)


def test_a_tokenizer_larger_than_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = write_foreign(tmp_path, vocab_size=100, eos_token_id=99)
    with pytest.raises(CheckpointError, match="258 pieces, but the model has embeddings for 100"):
        load(folder)


def test_mistrals_own_format_is_left_to_us(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "consolidated.safetensors")
    with pytest.raises(CheckpointError, match="Mistral's own format"):
        load(tmp_path)


def test_a_config_without_sense_is_one_line(folder: Path) -> None:
    edit_json(folder / "config.json", num_attention_heads="many")
    with pytest.raises(CheckpointError, match="transformers cannot load") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "int4"}, "int4 cannot be used with --backend hf"),
        ({"dtype": "int3"}, "--dtype is 'int3'"),
        ({"device": "cuda:99"}, "--device cuda:99 cannot be used"),
        ({"context": 513}, "1 to 512"),
    ],
)
def test_an_option_that_cannot_be_is_refused(written: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(written, **options)


def test_nothing_at_the_path_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        load(tmp_path / "nowhere")


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral_cli.backends.hf_plan.free_memory", lambda _device: 150_000)
    with pytest.raises(OutOfMemoryError, match=r"needs [0-9,]+ bytes .* but 135,000 can be used"):
        load(written)


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(UsageError, match=r"needs no_such_package, .* pip install no_such_package"):
        hf_model.require("json", "no_such_package")
