"""The data folder: everything that lasts, who may read it, and which process has it now."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.errors import UpError

# The kernel keeps 108 bytes for a socket's path, one of them for the end.
LONGEST_SOCKET: Final = 107
LONGEST_NAME: Final = "dashboard-16.sock"
# initdb writes 40 MB, and its first WAL segments another 32.
NEEDED_AT_FIRST: Final = 200 * 1024 * 1024
NEEDED: Final = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A data folder that is there. `sockets` lies elsewhere if the folder's path is too long for them."""

    root: Path
    sockets: Path

    @property
    def secrets(self) -> Path:
        """Tokens and keys, 0700."""
        return self.root / "secrets"

    @property
    def log(self) -> Path:
        """One log for each part, 0700."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """What describes the running stack, 0700: `server.json`, nginx's configuration."""
        return self.root / "run"

    @property
    def postgres(self) -> Path:
        """The cluster, or a link to it (see `infra.local.postgres`)."""
        return self.root / "postgres"

    @property
    def server_file(self) -> Path:
        """What runs on this folder: address and process ids, as JSON, 0600; its end leaves it without `pid`."""
        return self.run / "server.json"

    def secret(self, name: str) -> str | None:
        """The content of a secret's file, None if it is not there."""
        try:
            return (self.secrets / name).read_text().strip()
        except FileNotFoundError:
            return None

    def keep_secret(self, name: str, value: str) -> None:
        """Write a secret, readable by its owner only from its first byte."""
        write_private(self.secrets / name, value + "\n")


def open_folder(root: Path) -> DataFolder:
    """Make the data folder where it is missing. UpError if it cannot be made, or its disk is full."""
    root = root.expanduser().absolute()
    try:
        if not root.exists():
            root.mkdir(parents=True, mode=0o700)
            # PostgreSQL refuses to run as root, and its user must be able to walk through to its own folder.
            root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for part in ("secrets", "log", "run"):
            (root / part).mkdir(mode=0o700, exist_ok=True)
    except PermissionError as exc:
        raise UpError("not_writable", path=exc.filename or root) from exc
    except (FileExistsError, NotADirectoryError) as exc:
        raise UpError("not_a_folder", path=exc.filename or root) from exc
    needed = NEEDED if (root / "postgres").exists() else NEEDED_AT_FIRST
    if shutil.disk_usage(root).free < needed:
        raise UpError("disk_full", path=root, needed=needed // 1024 // 1024)
    folder = DataFolder(root, socket_folder(root))
    if folder.secret("signing.key") is None:
        folder.keep_secret("signing.key", secrets.token_hex(32))
    return folder


def socket_folder(root: Path) -> Path:
    """Where the sockets go: under `root`, unless that makes their paths too long; then a short, private folder."""
    if len(os.fsencode(root / "run" / LONGEST_NAME)) <= LONGEST_SOCKET:
        return root / "run"
    parent = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    short = parent / f"aiw-{os.geteuid()}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:8]}"
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    # Under /tmp anybody may have made it first, and would then hold our sockets.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise UpError("not_private", path=short)
    return short


def take(folder: DataFolder) -> int:
    """Hold the folder until this process ends; returns the lock's descriptor. UpError("in_use") names who has it.

    A child must close the descriptor: a lock of `flock` lasts as long as any copy of it.
    """
    lock = os.open(folder.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise UpError("in_use", path=folder.root, pid=holder or "?") from exc
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, 0600: readers see the old content or the new, and nobody else sees any."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def read_server(folder: DataFolder) -> dict[str, object]:
    """What `server_file` says, {} if nothing ever ran here."""
    try:
        found: dict[str, object] = json.loads(folder.server_file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found
