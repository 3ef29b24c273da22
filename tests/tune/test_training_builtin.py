"""The built-in model learns a small table of words, really: by LoRA, and by QLoRA with bitsandbytes on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from trainings import Noted, never

from mistral_cli.backends.native import load_native
from mistral_cli.contract import Done, SamplingParams
from mistral_cli.text.tokenizer import load_tokenizer
from mistral_cli.tune.dataset import Reading, make_dataset
from mistral_cli.tune.events import Job
from mistral_cli.tune.formats import TRANSLATION, Languages
from mistral_cli.tune.recipe import Recipe
from mistral_cli.tune.rows import Row
from mistral_cli.tune.train import train
from mistral_cli.weights.hub import builtin_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mistral_cli.backends.native import NativeBackend
    from mistral_cli.tune.samples import Sample

WORDS = {"house": "haus", "book": "buch", "bread": "brot", "water": "wasser", "dog": "hund", "mouse": "maus"}
FORMS = ("the {}", "a {}", "my {}", "this {}", "{}", "no {}")
HELD_OUT = tuple((form.format(word), word) for form, word in zip(FORMS, WORDS, strict=True))
"""One form of each word that is never trained."""
TAUGHT = tuple((text, word) for word in WORDS for form in FORMS if ((text := form.format(word)), word) not in HELD_OUT)
RECIPE = Recipe(
    rank=16,
    alpha=16.0,
    targets="all-linear",
    lr=0.01,
    warmup=0.0,
    batch=10,
    accumulate=1,
    steps=80,
    seed=1,
    eval_every=40,
    save_every=80,
    checkpointing=False,
)


def samples(pairs: Sequence[tuple[str, str]]) -> tuple[Sample, ...]:
    rows = [Row(number=number, columns={"en": text, "de": WORDS[word]}) for number, (text, word) in enumerate(pairs, 1)]
    reading = Reading(format="translation", languages=Languages(source="en", target="de"))
    return make_dataset(rows, load_tokenizer(builtin_path()), reading).samples


def job(folder: Path, quantize: str) -> Job:
    return Job(
        model_folder=builtin_path(),
        recipe=RECIPE.with_values({"quantize": quantize}),
        train=samples(TAUGHT),
        apart=samples(HELD_OUT),
        folder=folder,
        base="builtin",
    )


def answers(backend: NativeBackend) -> list[str]:
    greedy = SamplingParams(temperature=0, max_tokens=8)
    prompts = [TRANSLATION.format(source="English", target="German", text=text) for text, _ in HELD_OUT]
    ends = [list(backend.stream(prompt, greedy))[-1] for prompt in prompts]
    return [end.text.strip() for end in ends if isinstance(end, Done)]


@pytest.mark.parametrize("quantize", ["none", "nf4"])
def test_the_built_in_model_learns_a_table_of_words_and_forgets_it_with_the_adapter(
    quantize: str, tmp_path: Path
) -> None:
    watcher = Noted()
    outcome = train(job(tmp_path / "german", quantize), watcher, never)
    assert outcome.steps == len(watcher.steps) == 80
    assert outcome.before.perplexity > 1000
    assert outcome.after.perplexity < 2
    assert watcher.evaluations == [outcome.before, *outcome.between, outcome.after]
    assert [evaluation.step for evaluation in watcher.evaluations] == [0, 40, 80]
    backend = load_native(builtin_path(), name="builtin")
    bare = answers(backend)
    assert not set(bare) & set(WORDS.values())
    backend.adapters.load(tmp_path / "german")
    assert answers(backend) == [WORDS[word] for _, word in HELD_OUT]
    assert backend.info.adapters[0].base == "builtin"
    backend.adapters.off()
    assert answers(backend) == bare
