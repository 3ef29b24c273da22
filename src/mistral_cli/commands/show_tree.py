"""Draws a model's module tree with shapes and counts, from its tensor names alone. Layers that are alike stand once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Node:
    """A module: what is below it, or the shape of its weight."""

    children: dict[str, Node] = field(default_factory=dict)
    shape: Shape | None = None

    @property
    def parameters(self) -> int:
        """Numbers in this module and all below."""
        own = math.prod(self.shape) if self.shape else 0
        return own + sum(child.parameters for child in self.children.values())


def build_tree(shapes: Mapping[str, Shape]) -> Node:
    """Return the tree of modules that hold the tensors called ``a.b.c.weight``."""
    root = Node()
    for name, shape in shapes.items():
        node = root
        for part in name.removesuffix(".weight").split("."):
            node = node.children.setdefault(part, Node())
        node.shape = shape
    return root


def draw(name: str, root: Node) -> list[str]:
    """Return the tree as lines: branches, shape, parameters (of each, where several are alike)."""
    rows = [(name, "", f"{root.parameters:,}"), *_rows(root, "")]
    label_width = max(len(label) for label, _, _ in rows)
    shape_width = max(len(shape) for _, shape, _ in rows)
    count_width = max(len(count) for _, _, count in rows)
    return [f"{label:{label_width}}  {shape:{shape_width}}  {count:>{count_width}}" for label, shape, count in rows]


def _rows(node: Node, indent: str) -> Iterator[tuple[str, str, str]]:
    groups = list(_alike(node))
    for number, (label, child, times) in enumerate(groups):
        is_last = number == len(groups) - 1
        shape = " × ".join(str(size) for size in child.shape or ())
        count = f"{times} × {child.parameters:,}" if times > 1 else f"{child.parameters:,}"
        yield f"{indent}{'└─ ' if is_last else '├─ '}{label}", shape, count
        yield from _rows(child, indent + ("   " if is_last else "│  "))


def _alike(node: Node) -> Iterator[tuple[str, Node, int]]:
    """Yield label, child and how often it comes: numbered neighbours of one build become one ``0 … 31 (32 alike)``."""
    names = list(node.children)
    while names:
        first = node.children[names[0]]
        count = 1
        while names[0].isdecimal() and count < len(names) and node.children[names[count]] == first:
            count += 1
        label = names[0] if count == 1 else f"{names[0]} … {names[count - 1]} ({count} alike)"
        yield label, first, count
        names = names[count:]
