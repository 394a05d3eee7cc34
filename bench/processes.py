"""CPU time and memory of a tree of processes, by part, from /proc. Times are seconds, sizes bytes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc. `cpu`: its own seconds and those of its children that have ended."""

    pid: int
    parent: int
    cpu: float


def processes() -> dict[int, Process]:
    """Everything that runs now."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # The name in brackets may hold anything, blanks and brackets too; what follows it does not.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            # It ended meanwhile.
            continue
        pid = int(entry.name)
        found[pid] = Process(pid, int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
    return found


def members(roots: Mapping[str, int]) -> dict[int, str]:
    """The part that each process of the tree belongs to: that of its nearest ancestor among `roots`."""
    everything = processes()
    names = {pid: name for name, pid in roots.items()}
    found = {}
    for pid in everything:
        at = pid
        while at not in names and at in everything:
            at = everything[at].parent
        if at in names:
            found[pid] = names[at]
    return found


def cpu_by_part(roots: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds so far of each part: PostgreSQL's helpers apart from the backends that serve clients."""
    spent: dict[str, float] = defaultdict(float)
    everything = processes()
    for pid, name in members(roots).items():
        if pid in everything:
            spent[_detail(pid, name)] += everything[pid].cpu
    return dict(spent)


def _detail(pid: int, name: str) -> str:
    if name != "postgres":
        return name
    title = _command(pid)
    return "postgres: backends" if " [local] " in title or title.endswith("[local]") else "postgres: the rest"


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def pss_by_part(roots: Mapping[str, int]) -> dict[str, int]:
    """Proportional memory of each part: what is shared is counted once, divided among those that share it."""
    sizes: dict[str, int] = defaultdict(int)
    for pid, name in members(roots).items():
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            # It ended meanwhile.
            continue
        sizes[name] += sum(int(line.split()[1]) * KIB for line in lines if line.startswith("Pss:"))
    return dict(sizes)


def spent_since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds of each part between two looks."""
    return {name: max(0.0, cpu - before.get(name, 0.0)) for name, cpu in after.items()}
