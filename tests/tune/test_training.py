"""What a training computes and leaves: the loss over a whole step, rows that are packed, files that peft reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file
from trainings import RECIPE, Noted, make_job, make_rows, never, write_small_model

from mistral_cli.backends.hf_quiet import quiet
from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.model.args import MoeArgs
from mistral_cli.tune.samples import Sample
from mistral_cli.tune.steps import count_steps, make_sequences
from mistral_cli.tune.train import train
from mistral_cli.tune.training.base import load_base, put_adapter, save_memory
from mistral_cli.tune.training.collate import collate
from mistral_cli.tune.training.evaluation import evaluate
from mistral_cli.weights.adapters.files import find_adapter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("models") / "small")


def adapted(model: Path, *, checkpointing: bool = False) -> Any:
    """Return the model in float64 with an adapter that already does something."""
    with quiet():
        wrapped = put_adapter(load_base(model, RECIPE, CPU), RECIPE, "small")
        if checkpointing:
            save_memory(wrapped)
    generator = torch.Generator().manual_seed(2)
    for name, weight in wrapped.named_parameters():
        if "lora" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.1
    return wrapped.double()


def gradients(model: Any, rows: Sequence[Sequence[Sample]]) -> tuple[float, list[torch.Tensor]]:
    """Return the summed loss of ``rows`` and its gradients."""
    inputs = collate(rows)
    del inputs["tokens"]
    model.zero_grad()
    loss = model(**inputs, num_items_in_batch=1).loss
    loss.backward()
    return loss.item(), [weight.grad for weight in model.parameters() if weight.requires_grad]


def assert_same(ours: tuple[float, list[torch.Tensor]], theirs: tuple[float, list[torch.Tensor]]) -> None:
    # the loss itself is computed in float32, whatever the model computes in
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    for mine, other in zip(ours[1], theirs[1], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_rows_that_share_a_sequence_are_learnt_as_if_each_had_its_own(model: Path) -> None:
    wrapped, rows = adapted(model), make_rows(6)
    alone = gradients(wrapped, [(row,) for row in rows])
    assert_same(gradients(wrapped, [rows[:4], rows[4:]]), alone)
    assert_same(gradients(wrapped, [rows]), alone)


def test_computing_activations_again_changes_no_gradient(model: Path) -> None:
    rows = [make_rows(3), make_rows(2, seed=1)]
    assert_same(gradients(adapted(model, checkpointing=True), rows), gradients(adapted(model), rows))


def test_the_loss_is_that_of_the_trained_ids_alone(model: Path) -> None:
    wrapped, rows = adapted(model), make_rows(3)
    expected = 0.0
    for row in rows:
        scores = wrapped(input_ids=torch.tensor([row.ids])).logits[0].float().log_softmax(-1)
        expected -= sum(scores[at - 1, row.ids[at]].item() for at in range(1, len(row.ids)) if row.trained[at])
    evaluation = evaluate(wrapped, [(row,) for row in rows], batch=2, step=0)
    assert evaluation.tokens == sum(row.trained_tokens for row in rows)
    assert evaluation.loss * evaluation.tokens == pytest.approx(expected, rel=1e-5)


def test_an_id_at_the_beginning_of_a_sample_is_never_learnt() -> None:
    eager = Sample(ids=(5, 6, 7), trained=(True, True, True))
    batch = collate([(eager, eager)])
    assert batch["labels"].tolist() == [[-100, 6, 7, -100, 6, 7]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2]]
    assert batch["logits_to_keep"].tolist() == [0, 1, 3, 4]


def test_a_step_is_the_same_however_its_batches_are_cut(model: Path, tmp_path: Path) -> None:
    """The loss is a mean over the trained ids of all batches, which differ in how many they have."""
    seen = []
    for batch, accumulate in ((4, 1), (1, 4)):
        watcher = Noted()
        train(make_job(model, tmp_path / f"{batch}", batch=batch, accumulate=accumulate, steps=3), watcher, never)
        seen.append([(step.loss, step.gradient_norm, step.tokens) for step in watcher.steps])
    assert [values for step in seen[0] for values in step] == pytest.approx(
        [values for step in seen[1] for values in step], rel=1e-4
    )


def test_packed_or_not_the_model_is_taught_and_told_of(model: Path, tmp_path: Path) -> None:
    watcher = Noted()
    job = make_job(model, tmp_path / "packed", apart=4, packing=True, epochs=3.0, steps=0)
    outcome = train(job, watcher, never)
    rows = make_sequences(job.train, job.recipe)
    assert len(rows) < len(job.train)
    assert [step.step for step in watcher.steps] == list(range(1, count_steps(len(rows), job.recipe) + 1))
    assert {step.steps for step in watcher.steps} == {outcome.steps}
    assert outcome.after.loss != outcome.before.loss
    assert outcome.after.tokens == sum(sample.trained_tokens for sample in job.apart)
    assert outcome.peak_bytes > 0


def test_what_was_trained_is_read_by_peft_and_answers_as_it_did(model: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    job = make_job(model, tmp_path / "adapter", apart=4)
    outcome = train(job, Noted(), never)
    with quiet():
        loaded = PeftModel.from_pretrained(load_base(model, job.recipe, CPU), job.folder)
    rows = [(sample,) for sample in job.apart]
    assert evaluate(loaded, rows, batch=2, step=6).loss == pytest.approx(outcome.after.loss, rel=1e-6)
    files = find_adapter(job.folder)
    assert (files.config.rank, files.config.targets, files.config.base) == (4, ("q_proj", "v_proj"), str(model))
    assert {path.name for path in job.folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}


def test_nothing_is_printed(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(make_job(model, tmp_path / "adapter", apart=2, steps=1), Noted(), never)
    assert capfd.readouterr() == ("", "")


def test_an_adapter_that_is_there_is_not_written_over(model: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds an adapter already"):
        train(make_job(model, tmp_path), Noted(), never)


def test_a_target_that_the_model_lacks_is_named(model: Path, tmp_path: Path) -> None:
    with quiet(), pytest.raises(UsageError, match="--targets names gate_proj"):
        put_adapter(
            load_base(model, RECIPE, CPU).model.layers[0].self_attn, RECIPE.with_values({"targets": "gate"}), ""
        )


MOE = MoeArgs(num_experts=4, num_experts_per_tok=2)


@pytest.mark.parametrize(("quantize", "moe"), [("none", None), ("nf4", None), ("none", MOE)])
def test_a_model_in_mistrals_own_format_learns_as_in_hugging_faces(
    tmp_path: Path, quantize: str, moe: MoeArgs | None
) -> None:
    own, theirs = Noted(), Noted()
    for watcher, layout in ((own, "mistral"), (theirs, "huggingface")):
        base = write_small_model(tmp_path / f"{layout}-base", layout=layout, moe=moe)
        train(make_job(base, tmp_path / layout, quantize=quantize, apart=2, steps=3, targets="q,k,v,o"), watcher, never)
    assert own.losses == pytest.approx(theirs.losses, rel=1e-6)
    assert [step.gradient_norm for step in own.steps] == pytest.approx(
        [step.gradient_norm for step in theirs.steps], rel=1e-5
    )
    mine, other = (load_file(tmp_path / layout / "adapter_model.safetensors") for layout in ("mistral", "huggingface"))
    torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_a_model_in_mistrals_own_format_that_is_quantized_is_refused(tmp_path: Path) -> None:
    base = write_small_model(tmp_path / "base", layout="mistral")
    params = json.loads((base / "params.json").read_text())
    (base / "params.json").write_text(json.dumps(params | {"quantization_config": {"load_in_4bit": True}}))
    with pytest.raises(CheckpointError, match="quantized"):
        train(make_job(base, tmp_path / "adapter"), Noted(), never)
