"""What the sixteen codes of a 4-bit weight stand for. Knows no tensor and no layout."""

from __future__ import annotations

from dataclasses import dataclass

GROUP = 64
"""Inputs that share a scale."""
BLOCK = 16
"""Outputs that are interleaved; see ``csrc/products.h``."""
RUN = 256
"""Scales that share a size where they are quantized again."""
COARSE, FINE = 127, 4095
"""The greatest code of an activation, in either precision of ``csrc/products.h``."""
_FINE_UNIT = 8128
"""What fine products compute with: ``levels`` times this; 64 products with 4095 still fit into 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A way to write a group of 64 weights as 4-bit codes and one scale."""

    name: str
    levels: tuple[float, ...]
    """The 16 numbers in [-1, 1] that, times the scale, are the weights; ascending."""
    unit: float
    """Coarse products compute with ``levels * unit`` rounded to int8."""
    mirrored: bool = False
    """Whether the scale takes the sign that sends the weight of greatest magnitude to -1."""
    nested: bool = False
    """Whether the scales are quantized again, to a byte each."""

    def packed_bytes(self, outputs: int, inputs: int, *, nested: bool | None = None) -> int:
        """Return the bytes of a packed matrix of this shape (``kernels/packing.py``), what fills up blocks included.

        Args:
            outputs: rows of the weight.
            inputs: columns of the weight.
            nested: whether its scales are quantized again; None as the scheme says.
        """
        groups = inputs // GROUP
        double = self.nested if nested is None else nested
        sizes = 4 * (1 + -(-outputs * groups // RUN)) if double else 0
        return -(-outputs // BLOCK) * BLOCK * groups * (GROUP // 2 + (1 if double else 2)) + sizes

    @property
    def midpoints(self) -> tuple[float, ...]:
        """Return the 15 numbers between neighbouring levels."""
        return tuple((low + high) / 2 for low, high in zip(self.levels, self.levels[1:], strict=False))

    @property
    def integers(self) -> tuple[int, ...]:
        """Return the levels that coarse products compute with, within ±127."""
        return tuple(round(level * self.unit) for level in self.levels)

    @property
    def fine_integers(self) -> tuple[int, ...]:
        """Return the levels that fine products compute with, within ±8128."""
        return tuple(round(level * _FINE_UNIT) for level in self.levels)

    def step(self, fine: bool = False) -> float:
        """Return what takes sums of products back to numbers, the sizes of the groups apart."""
        return 1 / (FINE * _FINE_UNIT) if fine else 1 / (COARSE * self.unit)


NF4 = Scheme(
    name="nf4",
    # Dettmers et al., "QLoRA" (arXiv:2305.14314), appendix E; the digits are bitsandbytes'
    levels=(
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ),
    nested=True,
    unit=124.12,  # of all below 127.5 the one whose rounded levels are nearest: 0.47 % off for normal weights, not 0.59
)
INT4 = Scheme(name="int4", levels=tuple(code / 8 for code in range(-8, 8)), unit=8.0, mirrored=True)
SCHEMES = {scheme.name: scheme for scheme in (NF4, INT4)}
