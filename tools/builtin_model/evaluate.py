"""Asks the built-in guide questions and counts the right answers. Knows nothing of how it was trained.

    python -m tools.builtin_model.evaluate            the built-in model, through the program itself
    python -m tools.builtin_model.evaluate FOLDER     another folder, through transformers (the reference)

Every question of eval_questions.toml is asked greedily and its answer judged by the strings that facts.toml says it
must and must not contain. Exit code 1 where less than 85 % of the questions on the guide's topics, or less than 95 % of
those on anything else, are answered right.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tools.builtin_model.corpus import FOLDER, read_toml
from tools.builtin_model.encode import EOS, Encoder
from transformers import GenerationConfig, MistralForCausalLM

import mistral_cli

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_KNOWN, LEAST_OTHER = 0.85, 0.95
FALLBACK = "fallback"
LONGEST_ANSWER = 120
BUILTIN = FOLDER.parents[1] / "src" / "mistral_cli" / "builtin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How many questions were answered right, and what went wrong."""

    known: float
    """Share of the questions on the guide's topics."""
    other: float
    """Share of the questions on anything else."""
    failed: tuple[str, ...]

    def summary(self) -> str:
        """Return both shares in words."""
        return f"{self.known:.1%} on its topics, {self.other:.1%} on anything else"

    @property
    def passed(self) -> bool:
        """Tell whether both shares suffice."""
        return self.known >= LEAST_KNOWN and self.other >= LEAST_OTHER


def questions(path: Path = FOLDER / "eval_questions.toml") -> list[tuple[str, str]]:
    """Return (topic, question) of the frozen list."""
    return [(row["topic"], row["text"]) for row in read_toml(path)["question"]]


@torch.inference_mode()
def greedy(
    model: MistralForCausalLM, encoder: Encoder, asked: Sequence[str], longest: int = LONGEST_ANSWER
) -> list[str]:
    """Answer every question, fifty at a time, prompts padded on the left."""
    answers: list[str] = []
    settings = GenerationConfig(do_sample=False, max_new_tokens=longest, eos_token_id=EOS, pad_token_id=EOS)
    for begin in range(0, len(asked), 50):
        prompts = [encoder.prompt(question) for question in asked[begin : begin + 50]]
        width = max(map(len, prompts))
        ids = torch.tensor([[EOS] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        out = model.generate(ids, attention_mask=mask, generation_config=settings)[:, width:].tolist()
        answers += [encoder.text(row[: row.index(EOS)] if EOS in row else row) for row in out]
    return answers


def judge(asked: Sequence[tuple[str, str]], answers: Sequence[str]) -> Result:
    """Check answers by what they contain."""
    facts = read_toml(FOLDER / "facts.toml")
    return _count(
        asked, answers, [contains(facts[topic], answer) for (topic, _), answer in zip(asked, answers, strict=True)]
    )


def judge_beginnings(asked: Sequence[tuple[str, str]], answers: Sequence[str]) -> Result:
    """Check cut answers: each has to be the beginning of its topic's answer."""
    facts = read_toml(FOLDER / "facts.toml")
    right = [facts[topic]["answer"].startswith(answer) for (topic, _), answer in zip(asked, answers, strict=True)]
    return _count(asked, answers, right)


def contains(fact: dict[str, object], answer: str) -> bool:
    """Tell whether ``answer`` holds what ``fact`` says it must, and nothing that it must not."""
    lowered = answer.lower()
    must, must_not = fact["must"], fact.get("must_not", [])
    assert isinstance(must, list)
    assert isinstance(must_not, list)
    return all(text.lower() in lowered for text in must) and not any(text.lower() in lowered for text in must_not)


def _count(asked: Sequence[tuple[str, str]], answers: Sequence[str], right: Sequence[bool]) -> Result:
    shares = []
    for wants_other in (False, True):
        group = [good for (topic, _), good in zip(asked, right, strict=True) if (topic == FALLBACK) == wants_other]
        shares.append(sum(group) / len(group) if group else 1.0)
    failed = tuple(
        f"[{topic}] {question!r} -> {answer[:40]!r}"
        for (topic, question), answer, good in zip(asked, answers, right, strict=True)
        if not good
    )
    return Result(known=shares[0], other=shares[1], failed=failed)


def write(model: MistralForCausalLM, folder: Path) -> None:
    """Write the folder of the package: config, generation defaults, weights in bfloat16."""
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.1, top_p=0.95, bos_token_id=1, eos_token_id=EOS
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # the package is everybody's to read


def load(folder: Path = BUILTIN) -> MistralForCausalLM:
    """Read the folder with transformers, the reference."""
    return MistralForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def program(asked: Sequence[str]) -> list[str]:
    """Answer every question as ``mistral gen --temperature 0`` does."""
    torch.set_num_threads(1)  # on matrices this small threads only wait for each other
    return mistral_cli.load("builtin").generate(list(asked), temperature=0, max_tokens=LONGEST_ANSWER)


def main() -> int:
    """Print both shares and the failed questions."""
    asked = questions()
    texts = [question for _, question in asked]
    answers = greedy(load(Path(sys.argv[1])), Encoder(), texts) if len(sys.argv) > 1 else program(texts)
    result = judge(asked, answers)
    sys.stdout.write(f"{len(asked)} questions: {result.summary()}\n")
    for line in result.failed:
        sys.stdout.write(f"  {line}\n")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
