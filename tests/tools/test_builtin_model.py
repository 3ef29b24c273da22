"""The built-in guide: how its dialogues are drawn, what its folder holds, and whether it answers."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the tools are programs of the repository, not of the package

from tools.builtin_model import evaluate, grammar, noise, train  # noqa: E402
from tools.builtin_model.corpus import FOLDER, TOPIC_FILES, Asker, Dialogue, Turn, normalised, read_toml  # noqa: E402
from tools.builtin_model.encode import END_OF_INSTRUCTION, EOS, Encoder  # noqa: E402

VOCABULARY = ["zebra", "harbour", "quince"]


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    return read_toml(FOLDER / "facts.toml")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def draw(seed: int, number: int = 200) -> list[Dialogue]:
    return list(Asker(Random(seed), VOCABULARY, *training_inputs()).dialogues(number, most_turns=4))


def training_inputs() -> tuple[dict[str, list[str]], frozenset[str]]:
    return train.split_phrasings()[0], train.forbidden()


# -- the corpus ------------------------------------------------------------------------------------------------------


def test_a_pattern_stands_for_every_choice_of_its_groups() -> None:
    rng = Random(0)
    sentences = {grammar.expand("{say|write} {a {big|small} word|@thing}", {"thing": "{x|y}"}, rng) for _ in range(300)}
    assert sentences == {
        f"{verb} {what}" for verb in ("say", "write") for what in ("a big word", "a small word", "x", "y")
    }
    assert grammar.count("{say|write} {a {big|small} word|@thing}", {"thing": "{x|y}"}) == 8


def test_a_pattern_whose_braces_do_not_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="No brace closes"):
        grammar.expand("{a|b", {}, Random(0))


def test_the_same_seed_draws_the_same_dialogues() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_every_topic_has_phrasings_and_every_phrasing_a_topic(facts: dict[str, Any]) -> None:
    tables = [read_toml(FOLDER / "phrasings" / f"{name}.toml") for name in TOPIC_FILES]
    assert {topic for table in tables for topic in table} == facts.keys() - {"fallback"}


def test_every_phrasing_expands_to_plain_words() -> None:
    words = read_toml(FOLDER / "phrasings" / "words.toml")
    rng = Random(0)
    for name in (*TOPIC_FILES, "other"):
        table = read_toml(FOLDER / "phrasings" / f"{name}.toml")
        groups = [table] if name == "other" else list(table.values())
        patterns = [pattern for group in groups for patterns in group.values() for pattern in patterns]
        sentences = [grammar.expand(pattern, words, rng) for pattern in patterns]
        assert all(sentence and not set("{}") & set(sentence) for sentence in sentences)
        left = {name for sentence in sentences for name in re.findall(r"@(\w+)", sentence)}
        assert left <= {"file", "notes"}  # as one names files in a chat


def test_an_answer_passes_for_its_own_topic_alone(facts: dict[str, Any]) -> None:
    mistaken = [
        (asked, given)
        for asked, fact in facts.items()
        for given, other in facts.items()
        if (asked == given) != evaluate.contains(fact, other["answer"])
    ]
    assert set(mistaken) == {("help", "what_can_you_do"), ("what_can_you_do", "help")}  # either is good for both


def test_no_question_of_the_evaluation_is_drawn() -> None:
    asked = train.forbidden()
    extra, _ = training_inputs()
    asker = Asker(Random(3), VOCABULARY, extra, asked)
    drawn = {normalised(asker.turn().question) for _ in range(20_000)}
    assert not drawn & asked


def test_slips_never_touch_a_flag() -> None:
    rng = Random(0)
    typed = [noise.type_as_people_do("what does --max-tokens do exactly", rng).lower() for _ in range(500)]
    assert all("--max-tokens" in question for question in typed)
    assert len(set(typed)) > 20


def test_only_the_answers_are_learnt(encoder: Encoder) -> None:
    turns = (Turn("greeting", "hi", "Hello!"), Turn("seed", "the seed?", "`--seed 42` repeats."))
    sample = encoder.sample(Dialogue(turns, "Be brief."))
    learnt = [token for token, mine in zip(sample.ids, sample.learnt, strict=True) if mine]
    assert encoder.text(learnt) == "Hello! `--seed 42` repeats."
    assert learnt.count(EOS) == 2
    assert END_OF_INSTRUCTION not in learnt


# -- the folder in the package ---------------------------------------------------------------------------------------


def test_the_package_carries_a_small_mistral_and_no_tokenizer() -> None:
    config = json.loads((evaluate.BUILTIN / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["MistralForCausalLM"]
    assert config["vocab_size"] == 32768
    assert config["num_key_value_heads"] < config["num_attention_heads"]
    assert config["sliding_window"] >= 512
    assert (evaluate.BUILTIN / "model.safetensors").stat().st_size <= 12e6
    assert not list(evaluate.BUILTIN.glob("tokenizer.model*"))


def test_the_sources_stay_small() -> None:
    files = [path for path in FOLDER.rglob("*") if path.suffix in {".py", ".toml"}]
    assert all(path.stat().st_size <= 250_000 for path in files)
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < 300 for path in files if path.suffix == ".py")


def test_the_guide_has_at_most_six_million_parameters() -> None:
    model = evaluate.load()
    assert sum(parameter.numel() for parameter in model.parameters()) <= 6_000_000


def test_the_guide_answers_the_frozen_questions(encoder: Encoder) -> None:
    asked = evaluate.questions()
    assert sum(topic != evaluate.FALLBACK for topic, _ in asked) >= 150
    assert sum(topic == evaluate.FALLBACK for topic, _ in asked) >= 40
    result = evaluate.judge(asked, evaluate.greedy(evaluate.load(), encoder, [question for _, question in asked]))
    assert result.passed, result.summary()


def test_the_judge_counts_wrong_answers() -> None:
    asked = [("seed", "a"), ("fallback", "b")]
    assert not evaluate.judge(asked, ["`--stop`", "Hello!"]).passed
    right = ["`--seed 42` makes an answer repeatable", "I cannot answer that: mistral pull"]
    assert evaluate.judge(asked, right).passed
