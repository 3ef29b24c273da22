"""The text tower stands without torch, and pays for mistral-common only when a conversation is encoded."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tokenizer_makers import OFFICIAL, copy_as

if TYPE_CHECKING:
    from pathlib import Path

_ENCODE = """
import sys
from pathlib import Path
from mistral_cli.contract import Message
from mistral_cli.text import messages, sanitize, stream, template, tokenizer
loaded = tokenizer.load_tokenizer(Path(sys.argv[1]))
before = sorted(name for name in ("mistral_common", "torch", "transformers") if name in sys.modules)
template.encode_chat(loaded, [Message(role="user", content="hi")])
after = sorted(name for name in ("PIL", "mistral_common", "torch", "transformers") if name in sys.modules)
print(before, after)
"""


def run(path: Path) -> str:
    result = subprocess.run([sys.executable, "-c", _ENCODE, str(path)], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return result.stdout.strip()


def test_a_sentencepiece_tokenizer_loads_without_mistral_common() -> None:
    assert run(OFFICIAL["v3"]).startswith("[] ")


def test_a_conversation_is_encoded_without_torch() -> None:
    assert "torch" not in run(OFFICIAL["v3"])


def test_a_foreign_template_is_rendered_without_torch(tmp_path: Path) -> None:
    copy_as("v1", tmp_path / "tokenizer.model")
    config = {"chat_template": "{{ messages[0].content }}", "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    seen = run(tmp_path)
    assert "transformers" in seen
    assert "torch" not in seen
