"""The table of commands: names, where they live, what the help says of them. Imports none of them."""

from __future__ import annotations

from typing import Final

from mistral_cli.commands.lazy import Command

COMMANDS: Final = (
    Command(
        "gen",
        "mistral_cli.commands.gen",
        "gen",
        "Answer one prompt: for questions, pipes and scripts.",
        (
            'mistral gen "What is a KV cache?"',
            'git diff | mistral gen "Write a commit message for this"',
            'mistral gen -f notes.txt -s "Answer in one sentence" "What is open?" -o answer.txt',
        ),
    ),
    Command(
        "chat",
        "mistral_cli.commands.chat",
        "chat",
        "Hold a conversation in the terminal.",
        ("mistral chat", 'mistral chat -s "You are a patient teacher" -t 0.3'),
    ),
    Command(
        "show",
        "mistral_cli.commands.show",
        "show",
        "Tell what a model is, from its files alone.",
        ("mistral show builtin", "mistral show ./my-model --tree"),
    ),
    Command(
        "pull",
        "mistral_cli.commands.pull",
        "pull",
        "Download a model from the Hugging Face hub.",
        ("mistral pull mistralai/Mistral-7B-Instruct-v0.3",),
    ),
    Command(
        "tokens",
        "mistral_cli.commands.tokens",
        "tokens",
        "Show the tokens that would be sent to a model.",
        ('mistral tokens "Hello there"', "mistral tokens --messages conversation.json --json"),
    ),
    Command("doctor", "mistral_cli.commands.doctor", "doctor", "Check this installation and say what to mend."),
)
"""Every command, in the order of the help. A command returns its exit code, or None for 0."""
