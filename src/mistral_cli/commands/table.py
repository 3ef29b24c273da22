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
        implied={"--logprobs": "5"},
    ),
    Command(
        "chat",
        "mistral_cli.commands.chat",
        "chat",
        "Hold a conversation in the terminal.",
        ("mistral chat", 'mistral chat -s "You are a patient teacher" -t 0.3', "mistral chat --resume"),
        implied={"--resume": "last"},
    ),
    Command(
        "history",
        "mistral_cli.commands.history",
        "history",
        "Look through the chats that are kept.",
        ("mistral history list", "mistral history search KV cache", "mistral history export last -o chat.md"),
    ),
    Command(
        "roles",
        "mistral_cli.commands.roles",
        "roles",
        "Show the roles that --role knows.",
        ("mistral roles", "mistral roles show reviewer", "git diff | mistral gen --role reviewer"),
    ),
    Command(
        "templates",
        "mistral_cli.commands.templates",
        "templates",
        "Show the prompt templates that gen --template knows.",
        (
            "mistral templates show translate",
            "git diff --staged | mistral gen --template commit",
            "cat letter.txt | mistral gen --template translate --set from=English --set to=French",
        ),
    ),
    Command(
        "show",
        "mistral_cli.commands.show",
        "show",
        "Tell what a model is, from its files alone.",
        ("mistral show builtin", "mistral show ./my-model --tree"),
    ),
    Command(
        "list",
        "mistral_cli.commands.list",
        "list_models",
        "Show the models on this disk, and the short names of others.",
        ("mistral list", "mistral list --aliases", "mistral list --json"),
    ),
    Command(
        "pull",
        "mistral_cli.commands.pull",
        "pull",
        "Download a model from the Hugging Face hub.",
        ("mistral pull 7b", "mistral pull mistralai/Mistral-7B-Instruct-v0.3", "mistral pull 7b --verify"),
    ),
    Command(
        "remove",
        "mistral_cli.commands.remove",
        "remove",
        "Remove a model from this disk.",
        ("mistral remove mixtral", "mistral remove mistralai/Mistral-7B-Instruct-v0.2 --yes"),
    ),
    Command(
        "use",
        "mistral_cli.commands.use",
        "use",
        "Set the model that answers where none is named.",
        ("mistral use nemo", "mistral use ./my-model", "mistral use"),
    ),
    Command(
        "tokens",
        "mistral_cli.commands.tokens",
        "tokens",
        "Show the tokens that would be sent to a model.",
        ('mistral tokens "Hello there"', "mistral tokens --messages conversation.json --json"),
    ),
    Command(
        "bench",
        "mistral_cli.commands.bench",
        "bench",
        "Measure how fast a model runs here.",
        ("mistral bench builtin --quick", "mistral bench --random 7b --quantize nf4"),
    ),
    Command(
        "perplexity",
        "mistral_cli.commands.perplexity",
        "perplexity",
        "Measure how well a model foretells a text.",
        ("mistral perplexity notes.txt", "mistral perplexity notes.txt --quantize nf4 --window 1024"),
    ),
    Command(
        "quant-diff",
        "mistral_cli.commands.quant_diff",
        "quant_diff",
        "Compare a model's words in two quantizations, on your own text.",
        (
            "mistral quant-diff notes.txt --a nf4 --b none",
            "mistral quant-diff prompts.txt --lines --a nf4,kv=int8 --b nf4",
        ),
    ),
    Command(
        "quantize",
        "mistral_cli.commands.quantize",
        "quantize",
        "Hold a model's weights in fewer bits, ahead of time.",
        ("mistral quantize ./my-model", "mistral quantize ./my-model --to int8 -o ./my-model-int8"),
    ),
    Command(
        "merge",
        "mistral_cli.commands.merge",
        "merge",
        "Put LoRA adapters into a model's weights for good.",
        ("mistral merge ./my-model ./my-adapter -o ./merged", "mistral merge 7b ./my-adapter:0.5 -o ./merged"),
    ),
    Command(
        "tune",
        "mistral_cli.commands.tune",
        "tune",
        "Train a LoRA adapter on your own data.",
        (
            "mistral tune 7b --data chats.jsonl -o my-adapter --quantize nf4",
            "mistral tune 7b --data table.csv --map prompt=question --dry-run",
            "mistral tune 7b --data pairs.csv --source en --target fr -o en-fr",
        ),
    ),
    Command(
        "data",
        "mistral_cli.commands.data",
        "data",
        "Check training data, or make it of kept chats.",
        (
            "mistral data check chats.jsonl",
            "mistral data check faq.csv --map prompt=question,completion=answer",
            "mistral data check opus_books --subset en-fr --source en --target fr",
            "mistral data from-history -o chats.jsonl",
        ),
    ),
    Command(
        "cache",
        "mistral_cli.commands.cache",
        "cache",
        "Show or free quantized copies of models and kept caches.",
        ("mistral cache list", "mistral cache remove Mistral-7B-Instruct-v0.3", "mistral cache clear"),
    ),
    Command(
        "config",
        "mistral_cli.commands.config",
        "config",
        "Show the settings and who set them, or change them.",
        ("mistral config list", "mistral config set temperature 0.3", "mistral config get model"),
        takes_dashes=True,
    ),
    Command(
        "completions",
        "mistral_cli.commands.completions",
        "completions",
        "Print what makes a shell complete commands at TAB.",
        ("mistral completions bash", "mistral completions zsh", "mistral completions fish"),
    ),
    Command("doctor", "mistral_cli.commands.doctor", "doctor", "Check this installation and say what to mend."),
)
"""Every command, in the order of the help. A command returns its exit code, or None for 0."""
