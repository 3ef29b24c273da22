"""What is trained: exactly the assistant's ids and their EOS, in what chat sends, for every version."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from random_conversations import Conversations
from talk import said, system, user
from test_authors import assistants_ids
from tokenizer_makers import VERSIONS

from mistral_cli.errors import UsageError
from mistral_cli.text.messages import Conversation, build_conversation
from mistral_cli.text.template import encode_chat, encode_prompt
from mistral_cli.tune.formats import Completion
from mistral_cli.tune.samples import MOVING_SYSTEM, Sample, make_samples, shortened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mistral_cli.text.tokenizer import Tokenizer

TALK = (system("Be brief."), user("One?"), said("Yes."), user("Two?"), said("No, never."))


def runs(sample: Sample) -> list[list[int]]:
    """Return the unbroken runs of trained ids."""
    found: list[list[int]] = []
    for at, (token, trained) in enumerate(zip(sample.ids, sample.trained, strict=True)):
        if trained and (at == 0 or not sample.trained[at - 1]):
            found.append([])
        if trained:
            found[-1].append(token)
    return found


def ends(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a conversation up to each answer; what a format says of an answer may depend on where it stands."""
    messages = data["messages"]
    roles = [message["role"] for message in messages] + [""]
    answers = [at for at in range(len(messages)) if roles[at] == "assistant" != roles[at + 1]]
    return [{**data, "messages": messages[: at + 1]} for at in answers]


@pytest.mark.parametrize("version", VERSIONS)
def test_exactly_the_answers_and_their_eos_are_trained(
    version: str, load: Callable[[str], Tokenizer], tokenizer_file: Callable[[str], Path]
) -> None:
    """On random conversations, against mistral-common's encoding of each answer by itself."""
    official: MistralTokenizer[Any, Any, Any, Any, Any]
    official = MistralTokenizer.from_file(tokenizer_file(version), mode=ValidationMode.finetuning)
    drawn, checked = Conversations(Random(f"training {version}"), version), 0
    while checked < 100:
        data, _ = drawn.draw()
        data["messages"].append({"role": "assistant", "content": "The end."})
        each = [assistants_ids(official, cut) for cut in (ends(data) if version in MOVING_SYSTEM else [data])]
        if None in each:
            continue
        expected = [ids[-1] for ids in each if ids] if version in MOVING_SYSTEM else each[0] or []
        try:
            samples = make_samples(load(version), build_conversation(data))
        except UsageError:
            continue
        assert [run for sample in samples for run in runs(sample)] == [ids for ids in expected if ids], data
        checked += 1


def test_each_answer_is_trained_after_what_chat_sends_before_it(tokenizer: Tokenizer) -> None:
    samples = make_samples(tokenizer, Conversation(messages=TALK))
    if tokenizer.version not in MOVING_SYSTEM:
        assert len(samples) == 1
    for sample, turn in zip(samples[::-1], (4, 2), strict=False):
        sent = encode_chat(tokenizer, TALK[:turn]).ids
        assert sample.ids[: len(sent)] == sent
        assert not any(sample.trained[len(sent) - 1 : len(sent)])
        assert all(sample.trained[len(sent) :])


@pytest.mark.parametrize("version", MOVING_SYSTEM)
def test_where_the_system_prompt_moves_each_answer_is_a_sample_of_its_own(
    version: str, load: Callable[[str], Tokenizer]
) -> None:
    samples = make_samples(load(version), Conversation(messages=TALK), number=7)
    assert [len(runs(sample)) for sample in samples] == [1, 1]
    assert [sample.number for sample in samples] == [7, 7]


def test_all_ids_but_the_first_are_trained_if_wanted(tokenizer: Tokenizer) -> None:
    for sample in make_samples(tokenizer, Conversation(messages=TALK), loss="all"):
        assert sample.trained == (False, *(True,) * (len(sample.ids) - 1))


def test_a_raw_completion_goes_on_from_the_ids_that_gen_sends(tokenizer: Tokenizer) -> None:
    prompt = "Translate: English → French\nEnglish: Good day\nFrench:"
    (sample,) = make_samples(tokenizer, Completion(prompt=prompt, completion=" Bonjour\n"))
    sent = encode_prompt(tokenizer, prompt).ids
    assert sample.ids[: len(sent)] == sent
    assert sample.trained == (False,) * len(sent) + (True,) * (len(sample.ids) - len(sent))
    assert tokenizer.decode(sample.ids[len(sent) : -1]).strip(" ") == "Bonjour\n"
    assert sample.ids[-1] == tokenizer.eos_id


def test_plain_text_is_trained_whole(tokenizer: Tokenizer) -> None:
    (sample,) = make_samples(tokenizer, Completion(prompt="", completion="Once upon a time"))
    assert sample.ids == (*encode_prompt(tokenizer, "Once upon a time").ids, tokenizer.eos_id)
    assert sample.trained_tokens == len(sample.ids) - 1


def test_a_sample_is_cut_at_its_end_and_dropped_where_nothing_is_left_to_learn(tokenizer: Tokenizer) -> None:
    (sample,) = make_samples(tokenizer, Conversation(messages=TALK[1:3]))
    assert shortened(sample, len(sample.ids)) is sample
    cut = shortened(sample, len(sample.ids) - 1)
    assert cut is not None
    assert (cut.ids, cut.trained_tokens) == (sample.ids[:-1], sample.trained_tokens - 1)
    assert shortened(sample, sample.trained.index(True)) is None


def test_a_conversation_without_an_answer_teaches_nothing(tokenizer: Tokenizer) -> None:
    with pytest.raises(UsageError, match="nothing to learn"):
        make_samples(tokenizer, Conversation(messages=(user("Anyone?"),)))
