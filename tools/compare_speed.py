"""Our speed beside others', on this machine: the table of docs/performance.md, a section at a time.

Each program runs in a process of its own, in turn with the others, several rounds; a ratio is taken within a round, and
told by its median, least and most. llama.cpp takes part where its programs are on the PATH and a model is given.

    python tools/compare_speed.py MODEL --gguf MODEL.gguf --only decode,start --rounds 3

MODEL is a folder that `mistral bench --random 7b --keep MODEL` writes, or any other; --bitsandbytes names the same
model in bitsandbytes' own format (`mistral quantize MODEL --to nf4 -o FOLDER`), which transformers loads in less time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mistral_cli.measure.figures import Figure
from mistral_cli.measure.page_cache import drop_cached
from mistral_cli.measure.starts import Start, time_start
from mistral_cli.weights.files import find_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HERE = Path(__file__).parent
MISTRAL = [sys.executable, "-m", "mistral_cli"]
PROMPT = "The quick brown fox jumps over the lazy dog and runs away today"
"""16 tokens, BOS among them."""
LENGTH, DEPTH, DEEP, ROWS = 512, 100, 4000, 8
SIZES = ("--prompt-lengths", str(LENGTH), "--depths", str(DEPTH), "--batch", "1")
WITHOUT_KERNEL = {"MISTRAL_CLI_KERNEL": "none"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of the table: a ratio, or a share, and what is wanted of it."""

    what: str
    ratio: Figure
    goal: str
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Programs:
    """What is compared, and how each is run."""

    model: Path
    gguf: Path | None
    bitsandbytes: Path
    rounds: int
    threads: int
    scratch: Path | None

    def ours(self, *flags: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run `mistral bench` and return its report."""
        command = [*MISTRAL, "bench", str(self.model), "--no-starts", "--repeat", "1", "--threads", str(self.threads)]
        report = _last_json(_run("mistral bench", [*command, *flags], environ))
        _told({f"{row['kind']} {row['tokens']}": row["tokens_per_second"]["median"] for row in report["speed"]})
        return report

    def theirs(self) -> dict[str, list[float]]:
        """Run transformers with bitsandbytes and return its speeds."""
        command = [sys.executable, str(HERE / "transformers_speed.py"), str(self.bitsandbytes)]
        sizes = ["--length", str(LENGTH), "--depth", str(DEPTH), "--threads", str(self.threads)]
        return _told(_last_json(_run("transformers", [*command, *sizes])))

    def llama(self) -> dict[str, float]:
        """Run `llama-bench` and return tokens a second; nothing where it is not there."""
        if self.gguf is None or shutil.which("llama-bench") is None:
            return {}
        sizes = ["-p", str(LENGTH), "-n", "32", "-r", "1", "-t", str(self.threads), "-o", "json"]
        rows = json.loads(_run("llama-bench", ["llama-bench", "-m", str(self.gguf), *sizes]).output)
        return _told({"decode" if row["n_gen"] else "prefill": row["avg_ts"] for row in rows})

    def start_ours(self, environ: Mapping[str, str] | None = None) -> Start:
        """Run `mistral gen` to its first token."""
        flags = ["--no-stdin", "--raw", "--quiet", "-t", "0", "-n", "1", "--threads", str(self.threads)]
        return _run("mistral gen", [*MISTRAL, "gen", "-m", str(self.model), *flags, PROMPT], environ)

    def start_llama(self) -> Start | None:
        """Run `llama-completion` to its first token; None where it is not there."""
        if self.gguf is None or shutil.which("llama-completion") is None:
            return None
        flags = ["-n", "1", "-no-cnv", "--temp", "0", "-c", "512", "-t", str(self.threads), "--no-display-prompt"]
        return _run("llama-completion", ["llama-completion", "-m", str(self.gguf), *flags, "-p", PROMPT])


def _run(name: str, command: list[str], environ: Mapping[str, str] | None = None) -> Start:
    print(f"  {name} …", file=sys.stderr, flush=True)
    return time_start(command, {**os.environ, **(environ or {})})


def _last_json(start: Start) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(start.output.decode().strip().splitlines()[-1])
    return found


def _told(speeds: dict[str, Any]) -> dict[str, Any]:
    """Say what one run gave at once: a comparison that is stopped has not been for nothing."""
    print(f"    {json.dumps(speeds)}", file=sys.stderr, flush=True)
    return speeds


def _speed(report: dict[str, Any], kind: str, tokens: int) -> float:
    [row] = [row for row in report["speed"] if (row["kind"], row["tokens"]) == (kind, tokens)]
    return float(row["tokens_per_second"]["median"])


def _against(what: str, ours: list[float], name: str, theirs: list[float], goal: str = "") -> Iterator[Line]:
    """Yield the line of ``ours`` over ``theirs``, round by round; none where the other program is not there."""
    if theirs:
        ratio = Figure(tuple(one / other for one, other in zip(ours, theirs, strict=True)))
        figures = {"ours": Figure(tuple(ours)), name: Figure(tuple(theirs))}
        yield Line(what=f"{what}, against {name}", ratio=ratio, goal=goal, figures=figures)


def with_kernel(programs: Programs) -> Iterator[Line]:
    """Decode at a depth of 100 and prefill of 512, against llama.cpp."""
    rounds = [(programs.ours(*SIZES), programs.llama()) for _ in range(programs.rounds)]
    for kind, tokens, goal in (("decode", DEPTH, "≥ 1.1"), ("prefill", LENGTH, "≥ 1.6")):
        ours = [_speed(report, kind, tokens) for report, _ in rounds]
        yield from _against(kind, ours, "llama.cpp", [llama[kind] for _, llama in rounds if llama], goal)


def with_kernel_against_transformers(programs: Programs) -> Iterator[Line]:
    """Measure the same against transformers with bitsandbytes."""
    yield from _against_transformers(programs, "", {"decode": "≥ 1.6", "prefill": ""})


def without_kernel(programs: Programs) -> Iterator[Line]:
    """Measure the same with bitsandbytes computing our products."""
    yield from _against_transformers(
        programs, " without our kernel", {"decode": "≥ 1.2", "prefill": "≥ 1.0"}, WITHOUT_KERNEL
    )


def _against_transformers(
    programs: Programs, how: str, goals: Mapping[str, str], environ: Mapping[str, str] | None = None
) -> Iterator[Line]:
    rounds = [(programs.ours(*SIZES, environ=environ), programs.theirs()) for _ in range(programs.rounds)]
    for kind, tokens in (("decode", DEPTH), ("prefill", LENGTH)):
        ours = [_speed(report, kind, tokens) for report, _ in rounds]
        theirs = [speeds[kind][0] for _, speeds in rounds]
        yield from _against(f"{kind}{how}", ours, "transformers", theirs, goals[kind])


def second_start(programs: Programs) -> Iterator[Line]:
    """Seconds from the start of the program to the first token, files in the page cache."""
    programs.start_ours()  # makes what is kept, and brings everything into the cache
    programs.start_llama()
    rounds = [(programs.start_ours(), programs.start_llama()) for _ in range(programs.rounds)]
    ours, theirs = [start.seconds for start, _ in rounds], [start.seconds for _, start in rounds if start]
    yield from _against("second start, seconds", ours, "llama-completion", theirs, "≤ 1.6")
    memory = Figure(tuple(start.own_memory / 1e9 for start, _ in rounds))
    yield Line(what="second start, own memory in GB", ratio=memory, goal="")


def first_start(programs: Programs) -> Iterator[Line]:
    """Seconds of the very first start, which quantizes, the checkpoint in the page cache and not; its own memory."""
    files = find_files(programs.model).weights
    for label in ("warm", "cold"):
        with tempfile.TemporaryDirectory(dir=programs.scratch) as home:
            if label == "cold":
                drop_cached(files)
            else:
                for file in files:
                    _read(file)
            start = programs.start_ours({"MISTRAL_CLI_HOME": home})
            kept = sum(path.stat().st_size for path in Path(home).rglob("*.safetensors"))
        yield Line(what=f"first start, {label}, seconds", ratio=Figure((start.seconds,)), goal="")
        over = (start.own_memory - kept) / 1e9
        yield Line(what=f"first start, {label}, own memory above the model's, GB", ratio=Figure((over,)), goal="≤ 2.5")


def transformers_first_start(programs: Programs) -> Iterator[Line]:
    """Measure the start of transformers, which it needs every time: 20 GB, minutes."""
    for file in find_files(programs.model).weights:
        _read(file)
    command = [sys.executable, str(HERE / "transformers_speed.py"), str(programs.model), "--start-only"]
    start = _run("transformers", [*command, "--threads", str(programs.threads)])
    yield Line(what="transformers' start, seconds", ratio=Figure((start.seconds,)), goal="")
    yield Line(what="transformers' start, own memory in GB", ratio=Figure((start.own_memory / 1e9,)), goal="")


def _read(file: Path) -> None:
    with file.open("rb", buffering=0) as opened:
        while opened.read(2**24):
            pass


def depth(programs: Programs) -> Iterator[Line]:
    """Decoding with 4,000 tokens in the cache against 100, and what attention takes of the difference."""
    sizes = ("--prompt-lengths", "", "--depths", f"{DEPTH},{DEEP}", "--batch", "1", "--repeat", str(programs.rounds))
    report = programs.ours(*sizes)
    shallow, deep = (row["seconds"] for row in report["speed"])
    yield Line(
        what=f"tokens/s at {DEEP:,} against {DEPTH}",
        ratio=Figure(tuple(a / b for a, b in zip(shallow["values"], deep["values"], strict=True))),
        goal="≥ 0.75",
    )
    ideal = (DEEP - DEPTH) * report["kv_bytes_per_token"] / report["read_bandwidth"]["best"]
    taken = tuple((b - a) / ideal for a, b in zip(shallow["values"], deep["values"], strict=True))
    what = f"seconds that {DEEP - DEPTH:,} tokens more take, against reading their keys and values"
    yield Line(what=what, ratio=Figure(taken), goal="≤ 2.2")


def batch(programs: Programs) -> Iterator[Line]:
    """Tokens a second of eight answers together against those of one."""
    sizes = ("--prompt-lengths", "", "--depths", "16", "--batch", str(ROWS), "--repeat", str(programs.rounds))
    one, many = (row["tokens_per_second"]["values"] for row in programs.ours(*sizes)["speed"])
    ratio = Figure(tuple(b / a for a, b in zip(one, many, strict=True)))
    yield Line(what=f"{ROWS} answers against one, tokens/s", ratio=ratio, goal="≥ 4")


def step(programs: Programs) -> Iterator[Line]:
    """Measure the share of a decode step that is neither products nor attention (see `tools/profile_step.py`)."""
    name = "share outside products and attention"
    yield Line(what=f"decode step, {name}", ratio=_profiled(programs, name), goal="≤ 0.08")


def attention(programs: Programs) -> Iterator[Line]:
    """Measure attention at a depth of 4,000 against reading its keys and values (see `tools/profile_step.py`)."""
    name = "attention over reading keys and values"
    found = _profiled(programs, name, "--depth", str(DEEP), "--vocabulary", "2048")
    yield Line(what=f"at {DEEP:,} tokens, {name}", ratio=found, goal="≤ 2.2")


def compiled(programs: Programs) -> Iterator[Line]:
    """Measure how many times as fast a step is when torch compiles the layers, in 4 bits and in bfloat16."""
    for what, flags in (("nf4", ()), ("bfloat16", ("--dense",))):
        found = _profiled(programs, "eager over compiled", "--compile", "--vocabulary", "2048", *flags)
        yield Line(what=f"decode step of 4 layers, {what}, compiled against not", ratio=found, goal="")


def _profiled(programs: Programs, name: str, *flags: str) -> Figure:
    command = [sys.executable, str(HERE / "profile_step.py"), "--threads", str(programs.threads), *flags]
    return Figure(tuple(_last_json(_run("profile_step.py", command))[name] for _ in range(programs.rounds)))


SECTIONS: dict[str, Callable[[Programs], Iterator[Line]]] = {
    "speed": with_kernel,
    "transformers": with_kernel_against_transformers,
    "plain": without_kernel,
    "second-start": second_start,
    "first-start": first_start,
    "transformers-start": transformers_first_start,
    "depth": depth,
    "batch": batch,
    "step": step,
    "attention": attention,
    "compiled": compiled,
}
"""What `--only` names, each a piece of a few minutes at most with a 7B."""


def main() -> None:
    """Measure the sections that were asked for; print a table on stderr, one line of JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--gguf", type=Path, help="the model in llama.cpp's format, in Q4_0")
    parser.add_argument("--bitsandbytes", type=Path, help="the model in bitsandbytes' own format")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--scratch", type=Path, help="where a first start may write (as much as the quantized model)")
    options = parser.parse_args()
    programs = Programs(
        model=options.model,
        gguf=options.gguf,
        bitsandbytes=options.bitsandbytes or options.model,
        rounds=options.rounds,
        threads=options.threads,
        scratch=options.scratch,
    )
    lines = []
    for line in (line for name in options.only.split(",") for line in SECTIONS[name](programs)):
        told = ", ".join(f"{name} {figure.median:.3g}" for name, figure in line.figures.items())
        ratio = f"{line.ratio.median:8.3g} ({line.ratio.least:.3g} to {line.ratio.most:.3g})"
        print(f"{line.what:64} {ratio:28} {line.goal:7} {told}", file=sys.stderr, flush=True)
        lines.append(line)
    print(json.dumps([_as_json(line) for line in lines]))


def _as_json(line: Line) -> dict[str, object]:
    figures = {name: figure.as_json() for name, figure in line.figures.items()}
    return {"what": line.what, "ratio": line.ratio.as_json(), "goal": line.goal, "figures": figures}


if __name__ == "__main__":
    main()
