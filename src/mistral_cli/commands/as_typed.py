"""What was typed is taken as it is where that is a value already: words, choices, switches. Knows no command.

typer checks every value, even one that nobody gave, by pydantic, whose import is a third of the time that a short
command takes. Anything that is not a value yet, a number or a wrong choice, still goes there.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args, get_origin

_PLAIN: Final = (str, bool, int, float)


class AsTyped:
    """Stands where typer keeps what converts the values of one parameter."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return ``value`` if it is one; if not, let typer convert it, and all that come after."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        kind = param.type_descriptor.annotation
        if kind == list[str] and isinstance(value, (list, tuple)):
            return list(value)
        if is_value(value, kind):
            return value
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def is_value(value: object, kind: Any) -> bool:
    """Tell whether a value is of its kind without being converted."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    return kind in _PLAIN and type(value) is kind


def take_as_typed(*params: Any) -> None:
    """Let parameters of typer take values as they are; a typer that keeps its converters elsewhere converts all."""
    for param in params:
        if getattr(param, "_runtime_param", ...) is None:
            param._runtime_param = AsTyped()
