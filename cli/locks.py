"""Are the locks in step with pyproject.toml, with each other and with what is installed? Asks no network."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

BASE: Final = "requirements.lock"
# Each lock, and what of pyproject's optional dependencies it holds beside the dependencies themselves.
EXTRAS: Final[Mapping[str, Sequence[str]]] = {
    BASE: ("local",),
    "requirements-dev.lock": ("local", "dev"),
    "requirements-bench.lock": ("local", "bench"),
}


def faults(root: Path) -> list[str]:
    """A sentence for everything that is out of step; empty if nothing is."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    locks = {name: read_lock((root / name).read_text()) for name in EXTRAS}
    found = []
    for name, extras in EXTRAS.items():
        wanted = list(project["dependencies"])
        for extra in extras:
            wanted += project["optional-dependencies"][extra]
        found += [f"{name}: {fault}" for fault in unmet(wanted, locks[name])]
        found += [
            f"{name}: {package} is {locks[name].get(package, 'missing')}, and {pinned} in {BASE}"
            for package, pinned in locks[BASE].items()
            if locks[name].get(package) != pinned
        ]
        found += [f"{name}: {package} has no hash" for package in without_hash((root / name).read_text())]
    return found + drifted(locks[BASE])


def read_lock(text: str) -> dict[str, str]:
    """A lock's packages: name -> version."""
    entries = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, flags=re.MULTILINE)
    return {normal(name): pinned for name, pinned in entries}


def without_hash(text: str) -> list[str]:
    """The packages of a lock that would be installed whatever their content is."""
    entries = re.split(r"^(?=[\w.-]+(?:\[[^\]]*\])?==)", text, flags=re.MULTILINE)
    return [entry.partition("==")[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]


def unmet(wanted: Sequence[str], lock: Mapping[str, str]) -> list[str]:
    """What pyproject asks for and the lock does not give."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - a developer's package

    found = []
    for text in wanted:
        requirement = Requirement(text)
        pinned = lock.get(normal(requirement.name))
        if pinned is None or not requirement.specifier.contains(pinned, prereleases=True):
            found.append(f"pyproject.toml wants {text}, and here it is {pinned or 'missing'}")
    return found


def drifted(lock: Mapping[str, str]) -> list[str]:
    """Packages whose installed version is not the locked one. One that this platform has no use for may be absent."""
    found = []
    for package, pinned in lock.items():
        try:
            there = version(package)
        except PackageNotFoundError:
            continue
        if there != pinned:
            found.append(f".venv: {package} is {there}, and the lock says {pinned}; mend: rm -r .venv")
    return found


def normal(name: str) -> str:
    """A package's name as one spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
