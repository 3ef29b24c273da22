"""``mistral pull --verify``: every byte of a fetched model against its checksums; what is damaged is fetched again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.commands.sizes import size
from mistral_cli.errors import CheckpointError, ModelNotFoundError, NetworkError
from mistral_cli.ui.console import Console
from mistral_cli.ui.progress import ByteBar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mistral_cli.weights.hub_plan import Plan
    from mistral_cli.weights.hub_verify import FileCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found out about a model's files."""

    checks: Sequence[FileCheck]
    plan: Plan | None
    """What the hub has; None where it could not be asked."""
    named: str
    """The model and its revision, as ``mistral pull`` takes them."""

    @property
    def damaged(self) -> list[FileCheck]:
        """The files that are not as they should be."""
        return [check for check in self.checks if check.problem]


def verify(model: str, revision: str | None, snapshot: Path, console: Console) -> Verification:
    """Read every file of a snapshot and compare it with what the hub says; without the hub, with what the cache says.

    Raises:
        OSError: a file cannot be read.
    """
    from mistral_cli.weights.hub_plan import download_plan
    from mistral_cli.weights.hub_verify import planned_checks, run_checks

    plan = None
    console.status(f"Asking the hub for the checksums of {model} …")
    try:
        plan = download_plan(model, snapshot.name)
    except (NetworkError, ModelNotFoundError) as error:
        console.warning(f"{error.message} So the files are checked against the names that the cache gave them.")
    bar = ByteBar(console=console, label=f"Checking {model}")
    checks = run_checks(planned_checks(snapshot, plan.listed if plan else ()), bar.update)
    console.clear_status()
    unknown = [check.name for check in checks if not (check.etag or check.problem)]
    if unknown:
        console.warning(f"Nothing here says what these should hold, so they were not checked: {', '.join(unknown)}.")
    named = model + (f" --revision {revision}" if revision else "")
    return Verification(checks=checks, plan=plan, named=named)


def as_json(found: Verification) -> dict[str, object]:
    """Return what a program wants to know: what was checked against what, and what was damaged."""
    return {
        "verified": "hub" if found.plan else "cache",
        "files": len(found.checks),
        "damaged": [{"file": check.name, "problem": check.problem} for check in found.damaged],
    }


def settle(
    model: str, found: Verification, console: Console, *, yes: bool, fetch: Callable[[Plan, Console], Path]
) -> None:
    """Say what was found; fetch what is damaged again where that is wanted.

    Raises:
        CheckpointError: there is damage, and it stays.
        NetworkError, MistralError: as ``fetch``.
    """
    from mistral_cli.weights.hub_verify import discard

    if not found.damaged:
        whose = "as the hub has them" if found.plan else "as the cache's names say"
        total = sum(check.path.stat().st_size for check in found.checks)
        console.notice(f"{model}: {len(found.checks)} files, {size(total)}, all {whose}.")
        return
    for check in found.damaged:
        console.warning(f"{check.name}: {check.problem}.")
    if found.plan is None or not (yes or _wants(found, console)):
        raise damage(model, found)
    discard(model, found.damaged)
    fetch(found.plan, console)
    console.notice(f"{_count(found.damaged)} fetched again.")


def damage(model: str, found: Verification) -> CheckpointError:
    """Return the error for files that are damaged: the first of them, and what to do."""
    first, *others = found.damaged
    more = f" and {len(others)} more" if others else ""
    when = "Fetch again what is damaged" if found.plan else "When the hub can be reached"
    message = f"{model} is damaged: {first.name} ({first.problem}){more}, in {first.path.parent}."
    return CheckpointError(message, f"{when}: mistral pull --verify --yes {found.named}")


def _wants(found: Verification, console: Console) -> bool:
    nbytes = sum(check.expected or 0 for check in found.damaged)
    return console.can_ask and console.ask(f"Fetch {_count(found.damaged)} again ({size(nbytes)})?")


def _count(checks: Sequence[FileCheck]) -> str:
    return "1 file" if len(checks) == 1 else f"{len(checks)} files"
