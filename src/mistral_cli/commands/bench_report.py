"""What ``mistral bench`` found, as tables for a person. Measures nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.commands.sizes import size
from mistral_cli.ui.table import show_table

if TYPE_CHECKING:
    from mistral_cli.measure.bench import Report, Starts
    from mistral_cli.measure.figures import Figure
    from mistral_cli.measure.speed import Row
    from mistral_cli.ui.console import Console

_SPEEDS = ("", "tokens/s", "least to most", "ms", "read", "of bandwidth")
_STARTS = ("program's start to first token", "seconds", "least to most", "own memory", "files cached before")


def show_report(report: Report, console: Console) -> None:
    """Write the report to stderr."""
    show_table(console, _SPEEDS, [_speed(row, report) for row in report.rows])
    if report.starts:
        console.laid_out("")
        show_table(console, _STARTS, [_start(start) for start in report.starts])
    own, peak = size(report.memory.own), size(report.memory.peak_resident)
    console.laid_out(
        f"\nMemory is read at {size(int(report.bandwidth.most))}/s (summing 64-bit integers, all threads).\n"
        f"A token reads {size(report.weight_bytes)} of weights, and {size(report.kv_bytes)} for each token before it.\n"
        f"This process holds {own} of its own, at most {peak} with the files that it maps."
    )


def _speed(row: Row, report: Report) -> tuple[str, ...]:
    speed, milliseconds = _with_range(row.speed), f"{1000 * row.seconds.median:,.4g}"
    if row.kind == "prefill":
        return (f"prefill of {row.tokens:,} tokens", *speed, milliseconds, "", "")
    many = f"decoding {row.rows} answers" if row.kind == "batch" else "decoding"
    read, share = size(report.bytes_read(row)), f"{report.share(row):.0%}"
    return (f"{many} after {row.tokens:,} tokens", *speed, milliseconds, read, share)


def _start(start: Starts) -> tuple[str, ...]:
    return (start.label, *_with_range(start.seconds), size(start.own_memory), f"{start.cached:.0%}")


def _with_range(figure: Figure) -> tuple[str, str]:
    least, most = _digits(figure.least), _digits(figure.most)
    return _digits(figure.median), f"{least} to {most}"


def _digits(value: float) -> str:
    """Return three digits at least, all before the point, and no powers of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.3f}"
