"""The fields of one config file, each checked as it is asked for. Knows no format's names and no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.json_file import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MEND = "Fetch the model again, or mend its config."
_OTHER = "Use a checkpoint of Mistral or Mixtral in its plain form, or try --backend hf."


class ConfigFields:
    """A config file's key -> value, and the errors that name the file and the key."""

    def __init__(self, path: Path, values: Mapping[str, object]) -> None:
        self.path = path
        self.values = values

    @classmethod
    def read(cls, path: Path) -> ConfigFields:
        """Read the JSON object in ``path``; raises ``CheckpointError`` where there is none."""
        return cls(path, read_object(path))

    def get(self, key: str) -> object:
        """Return the value, None where the key is absent or null."""
        return self.values.get(key)

    def section(self, key: str) -> ConfigFields | None:
        """Return the object under ``key`` with errors that name it, None where there is none."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return ConfigFields(self.path, value)

    def whole(self, key: str) -> int:
        """Return a whole number of 1 or more; absent, null and anything else is refused."""
        value = self._given(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.wrong(key, "a whole number of 1 or more")
        return value

    def number(self, key: str) -> float:
        """Return a number; absent, null and anything else is refused."""
        value = self._given(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e300:
            raise self.wrong(key, "a number")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return true or false; absent and null are false."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value is True

    def word(self, key: str) -> str | None:
        """Return a string, None where the key is absent or null."""
        value = self.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def wrong(self, key: str, wanted: str) -> CheckpointError:
        """Build the error for a value of the wrong kind."""
        return self.senseless(f"{key} is {shown(self.get(key))}, but must be {wanted}")

    def senseless(self, what: str) -> CheckpointError:
        """Build the error for a config that no model can have."""
        return CheckpointError(f"{self.path} makes no sense: {what}.", _MEND)

    def missing(self, key: str, why: str = "") -> CheckpointError:
        """Build the error for a key that is absent."""
        return CheckpointError(f"{self.path} has no {key}{why}.", _MEND)

    def refused(self, what: str) -> CheckpointError:
        """Build the error for a sound config of something that is not ours to compute."""
        return CheckpointError(f"{self.path} {what}.", _OTHER)

    def _given(self, key: str) -> object:
        value = self.get(key)
        if value is None:
            raise self.missing(key)
        return value


def shown(value: object) -> str:
    """Return any value of a config as one short line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
