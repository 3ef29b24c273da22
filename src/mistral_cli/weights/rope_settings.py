"""The rotary base out of a ``config.json``: transformers 4's spelling, transformers 5's, or both. Knows no torch."""

from __future__ import annotations

from mistral_cli.weights.config_fields import ConfigFields, shown

_PLAIN = frozenset({"rope_theta", "rope_type", "type", "partial_rotary_factor"})


def rope_theta(fields: ConfigFields) -> float:
    """Return the rotary base of a config with plain rotary embedding.

    transformers 4 writes ``rope_theta`` and ``rope_scaling`` (null where plain), transformers 5 one object
    ``rope_parameters``, which may hold one such object per layer type.

    Raises:
        CheckpointError: no base, two different ones, or a kind of rotary embedding that is not the plain one.
    """
    found = {} if fields.get("rope_theta") is None else {"rope_theta": fields.number("rope_theta")}
    for key in ("rope_parameters", "rope_scaling"):
        for name, settings in _objects(fields, key).items():
            _refuse_other_kinds(settings, name)
            if settings.get("rope_theta") is not None:
                found[f"{name}.rope_theta"] = settings.number("rope_theta")
    if not found:
        raise fields.missing("rope_theta")
    if len(set(found.values())) > 1:
        values = ", ".join(f"{name} is {value:g}" for name, value in found.items())
        raise fields.senseless(f"its rotary settings contradict each other: {values}")
    return next(iter(found.values()))


def _objects(fields: ConfigFields, key: str) -> dict[str, ConfigFields]:
    """Return the object under ``key``, or those in it where there is one per layer type."""
    section = fields.section(key)
    if section is None:
        return {}
    parts = {
        f"{key}.{name}": ConfigFields(fields.path, value)
        for name, value in section.values.items()
        if isinstance(value, dict)
    }
    return parts if parts and len(parts) == len(section.values) else {key: section}


def _refuse_other_kinds(settings: ConfigFields, name: str) -> None:
    kinds = {settings.word(key) for key in ("rope_type", "type")} - {None, "default"}
    if kinds:
        raise settings.refused(
            f"sets {name} to the type {shown(kinds.pop())}, but only plain rotary embedding can be computed"
        )
    others = sorted(key for key in settings.values.keys() - _PLAIN if settings.get(key) is not None)
    if settings.get("partial_rotary_factor") not in (None, 1):
        others.append("partial_rotary_factor")
    if others:
        raise settings.refused(f"sets {name}.{others[0]:.60}, but only plain rotary embedding can be computed")
