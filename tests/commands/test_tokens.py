"""``mistral tokens`` shows what would be sent: ids, pieces, who wrote them, and how the version was found."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import mistral_common
import pytest
from command_line import Outcome, mistral
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

DATA = Path(mistral_common.__file__).parent / "data"
V1, V3 = DATA / "tokenizer.model.v1", DATA / "mistral_instruct_tokenizer_240323.model.v3"
TALK = {
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi 🦙"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "abcdefghi", "type": "function", "function": {"name": "get", "arguments": '{"a": 1}'}}
        ]},
        {"role": "tool", "content": "21", "tool_call_id": "abcdefghi", "name": "get"},
        {"role": "assistant", "content": "So", "prefix": True},
    ],
    "tools": [{"type": "function", "function": {"name": "get", "description": "", "parameters": {"type": "object"}}}],
}  # fmt: skip


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts bytes on stdin."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.fixture
def tokens(capfd: pytest.CaptureFixture[str], type_in):
    """Return a function that runs the command with the v3 tokenizer and an empty stdin."""

    def run(*arguments: str, tokenizer: Path = V3, data: bytes = b"") -> Outcome:
        type_in(data)
        return mistral(capfd, "tokens", "--tokenizer", str(tokenizer), *arguments)

    return run


def test_json_is_version_ids_and_pieces_and_nothing_else(tokens) -> None:
    outcome = tokens("Hello", "--json")
    assert outcome == (0, outcome.out, "")
    assert json.loads(outcome.out) == {
        "version": "v3",
        "ids": [1, 3, 23325, 4],
        "pieces": ["<s>", "[INST]", "▁Hello", "[/INST]"],
    }
    assert outcome.out.endswith("}\n")


def test_a_conversation_has_the_ids_of_mistral_common(tokens, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text(json.dumps(TALK), encoding="utf-8")
    expected = MistralTokenizer.from_file(V3).encode_chat_completion(ChatCompletionRequest.model_validate(TALK)).tokens
    for arguments, data in (([str(path)], b"left alone"), (["-"], path.read_bytes())):
        outcome = tokens("--messages", *arguments, "--json", data=data)
        assert outcome.err == ""
        assert json.loads(outcome.out)["ids"] == expected


def test_a_list_of_messages_is_a_conversation_too(tokens) -> None:
    data = json.dumps([{"role": "user", "content": "Hello"}]).encode()
    assert json.loads(tokens("--messages", "-", "--json", data=data).out)["ids"] == [1, 3, 23325, 4]


def test_a_person_sees_a_line_a_token_with_control_tokens_marked(tokens) -> None:
    outcome = tokens("Hello", "--system", "Be kind")
    assert outcome.out.splitlines() == [
        "v3 (32,768 pieces, [INST] is a control piece, [SYSTEM_PROMPT] is not)",
        "8 tokens, 3 of them control tokens (*)",
        "",
        "     1 * control    \"<s>\"",
        "     3 * control    \"[INST]\"",
        "  2507   system     \"▁Be\"",
        "  2880   system     \"▁kind\"",
        "   781   system     \"<0x0A>\"",
        "   781   system     \"<0x0A>\"",
        " 16998   user       \"Hello\"",
        "     4 * control    \"[/INST]\"",
    ]  # fmt: skip


def test_the_prompt_files_and_stdin_are_joined_by_blank_lines(tokens, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("file\n")
    joined = tokens("text", "-f", str(path), "--json", data=b"stdin\n").out
    assert joined == tokens("text\n\nfile\n\nstdin", "--json").out


def test_no_stdin_leaves_stdin_alone(tokens) -> None:
    assert tokens("text", "--no-stdin", "--json", data=b"stdin").out == tokens("text", "--json").out


def test_a_prefix_starts_the_answer(tokens) -> None:
    assert json.loads(tokens("Hello", "--prefix", "Hello", "--json").out)["ids"] == [1, 3, 23325, 4, 23325]


def test_raw_text_has_no_template(tokens) -> None:
    assert json.loads(tokens("Hello", "--raw", "--json").out)["ids"] == [1, 23325]


def test_a_prompts_template_and_a_role_are_seen_in_the_tokens(tokens) -> None:
    translated = ("Hello", "--template", "translate", "--set", "from=English", "--set", "to=French", "--json")
    written = "Translate: English → French\nEnglish: Hello\nFrench:"
    assert json.loads(tokens(*translated).out) == json.loads(tokens(written, "--raw", "--json").out)
    asked = json.loads(tokens("Hello", "--role", "reviewer", "--json").out)
    assert len(asked["ids"]) > 50


@pytest.mark.parametrize("flag", [("--template", "commit"), ("--role", "reviewer"), ("--set", "a=b")])
def test_a_whole_conversation_has_no_place_for_a_template_or_a_role(flag: tuple[str, str], tokens) -> None:
    outcome = tokens("--messages", "-", *flag, data=b'[{"role": "user", "content": "Hi"}]')
    assert outcome.code == 2
    assert f"{flag[0]} and --messages are both given" in outcome.err


def test_another_template_can_be_asked_for(tokens) -> None:
    outcome = tokens("Hello", "--chat-template", "v2")
    assert outcome.out.startswith("v2 (--chat-template v2)\n")


def test_a_base_models_tokenizer_sends_the_text_as_it_is_and_says_so(tokens, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(V1.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text("{}")
    outcome = tokens("Hello", "--json", tokenizer=tmp_path)
    assert json.loads(outcome.out) == {"version": "v1", "ids": [1, 22557], "pieces": ["<s>", "▁Hello"]}
    assert "base model" in outcome.err


def test_a_model_is_named_as_everywhere(capfd: pytest.CaptureFixture[str], type_in, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"mistral_cli_tokenizer": "v3"}))
    type_in(b"")
    outcome = mistral(capfd, "tokens", "Hello", "--json", "-m", str(tmp_path))
    assert json.loads(outcome.out)["ids"] == [1, 3, 23325, 4]


@pytest.mark.parametrize(
    ("arguments", "data", "code", "says"),
    [
        ((), b"", 2, "The prompt is empty"),
        (("--messages", "-"), b"{", 2, "not valid JSON"),
        (("--messages", "-"), b"[]", 2, "refuses this conversation"),
        (("--messages", "-"), b'[{"role": "user", "content": "a", "x": 1}]', 2, "'x'"),
        (("--messages", "-", "--no-stdin"), b"[]", 2, "--no-stdin"),
        (("--messages", "/nowhere/talk.json"), b"", 2, "/nowhere/talk.json"),
        (("--messages", "-", "text"), b"[]", 2, "TEXT and --messages"),
        (("--messages", "-", "-s", "x"), b"[]", 2, "--system and --messages"),
        (("text", "--model", "builtin"), b"", 2, "--tokenizer is given, and a model too"),
        (("text", "--chat-template", "v99"), b"", 2, "v99"),
        (("text", "--raw", "-s", "x"), b"", 2, "system prompt"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tokens, arguments, data, code, says) -> None:
    outcome = tokens(*arguments, data=data)
    assert (outcome.code, outcome.out) == (code, "")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_tokenizer_that_is_not_there_is_3_and_one_that_is_broken_4(tokens, tmp_path: Path) -> None:
    assert tokens("x", tokenizer=tmp_path / "gone.model").code == 3
    assert tokens("x", tokenizer=tmp_path).code == 4
    (tmp_path / "tokenizer.model.v3").write_bytes(V1.read_bytes())
    outcome = tokens("x", tokenizer=tmp_path)
    assert outcome.code == 4
    assert "is named v3, but its content is v1" in outcome.err


def test_awkward_characters_are_kept_and_surrogates_replaced(tokens) -> None:
    outcome = tokens("--json", data="\ufeffa\x00b\r\nc".encode())
    assert "".join(json.loads(outcome.out)["pieces"][2:-1]) == "▁a<0x00>b\r<0x0A>c"
    assert json.loads(tokens("a\udcff", "--json").out)["pieces"][3] == "\ufffd"


def test_pieces_are_made_safe_on_a_line(tokens) -> None:
    """A newline in a piece of tekken's stays within its line."""
    outcome = tokens("a\n\nb", "--raw", tokenizer=DATA / "tekken_240718.json")
    assert '"\\n\\n"' in outcome.out
    assert len(outcome.out.splitlines()) == 3 + 4


def test_torch_is_never_imported() -> None:
    code = (
        "import sys; from functools import partial; from mistral_cli.cli import guarded, run; "
        f"guarded(partial(run, ['tokens', 'x', '--no-stdin', '--tokenizer', {str(V3)!r}])); "
        "sys.exit('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
