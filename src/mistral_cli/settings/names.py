"""What people may call things that become files: chats that are exported, roles, templates. Opens no file."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 80
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def problem_of(name: str) -> str:
    """Return why nothing can be called ``name``, in a few words; empty where it can.

    It may not be empty or too long, lead to another folder, look like a flag, or be what no file can be called.
    """
    rows = (
        (not name.strip(), "it is empty"),
        (len(name) > LONGEST, f"it has {len(name)} characters, and {LONGEST} is the most"),
        (name != name.strip() or name.endswith("."), "it begins or ends with a blank, or ends with a dot"),
        (name.startswith(("-", ".")), "it begins with a dash or a dot"),
        (bool(set(name) & set('/\\<>:"|?*')), "it holds a character that file names cannot"),
        (not name.isprintable(), "it holds characters that cannot be seen"),
        (bool(_RESERVED.fullmatch(name)), "some systems keep it for a device"),
    )
    return next((reason for is_wrong, reason in rows if is_wrong), "")
