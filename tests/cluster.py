"""A SLURM of its own for the tests: munge, a controller and two nodes with fake GPUs, on loopback.

The daemons are those of the system's packages `slurm-wlm` and `munge`. They run in a private
folder, as whoever runs the tests, and touch nothing of a SLURM that is installed here.

``python -m tests.cluster FOLDER`` starts them and waits until its input is closed. It adopts every
process that a daemon leaves behind, and ends all of them when the tests end, however these end.
"""

import contextlib
import ctypes
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

NODES = ("node0", "node1")
GPUS_PER_NODE = 2
CPUS_PER_NODE = 4
MEMORY_MB = 64_000
COMMANDS = (
    *("sbatch", "srun", "squeue", "sinfo", "scancel"),
    *("scontrol", "sacct", "sacctmgr", "sshare", "sprio"),
)
_ROOT = Path(__file__).parent.parent
_CONFIGURATION = _ROOT / "tests" / "data" / "slurm.conf"
# Debian installs daemons where only root's PATH looks.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
_PR_SET_CHILD_SUBREAPER = 36

_NODE = (
    "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
    f" CPUs={CPUS_PER_NODE} RealMemory={MEMORY_MB} Gres=gpu:fake:{GPUS_PER_NODE} State=UNKNOWN"
)
# Which GPUs a job sees, and when: of the batch script, and of the step inside it.
_RECORD = """#!/bin/sh
echo "$SLURM_JOB_ID {event} $(date +%s.%N) $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES" >> {folder}/tasks
"""


@dataclass(frozen=True)
class Use:
    """The GPUs that one job saw on a node, and from when to when [s]."""

    node: str
    gpus: tuple[str, ...]
    start: float
    end: float

    def overlaps(self, other: "Use") -> bool:
        """Tell whether another job saw one of the GPUs at the same time."""
        at_once = self.start < other.end and other.start < self.end
        return self.node == other.node and at_once and bool({*self.gpus} & {*other.gpus})


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    folder: Path

    def environment(self) -> dict[str, str]:
        """Return the environment in which SLURM's commands are those of this cluster."""
        ours = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{_PATH}"
        return ours | {"PATH": path}

    def command(self, *arguments: str) -> str:
        """Run one of SLURM's commands and return what it says."""
        return subprocess.run(
            [str(self.folder / "bin" / arguments[0]), *arguments[1:]],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def jobs(self, state: str = "all") -> dict[str, dict[str, str]]:
        """Return name, rule, state and node of the jobs in a state, by their numbers."""
        keys = ("id", "name", "comment", "state", "node", "requested")
        listed = self.command("squeue", "--noheader", "--states", state, "-o", "%i|%j|%k|%T|%N|%b")
        rows = (dict(zip(keys, line.split("|"), strict=True)) for line in listed.splitlines())
        return {row["id"]: row for row in rows}

    def start_again_at_once(self, job: str) -> None:
        """Wait until a job is back in the queue; spare it the two minutes that SLURM would wait."""
        wait_until(
            lambda: self.jobs()[job]["state"] == "PENDING", 60, lambda: str(self.jobs()[job])
        )
        self.command("scontrol", "update", f"jobid={job}", "starttime=now")

    def num_tasks(self, job: str) -> int:
        """Return how many tasks a job has begun: its script is one, a step inside it one more."""
        lines = (self.folder / "tasks").read_text().splitlines()
        return sum(line.startswith(f"{job} prolog ") for line in lines)

    def gpu_uses(self) -> dict[str, Use]:
        """Return which GPUs each job that has ended saw, and when."""
        events: dict[str, list[list[str]]] = {}
        for line in (self.folder / "tasks").read_text().splitlines():
            job, *rest = line.split()
            events.setdefault(job, []).append(rest)
        uses = {}
        for job, rows in events.items():
            times = [float(row[1]) for row in rows]
            gpus = {row[3] if len(row) > 3 else "" for row in rows}
            if len(gpus) == 1:
                (seen,) = gpus
                uses[job] = Use(rows[0][2], tuple(seen.split(",")), min(times), max(times))
        return uses


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a cluster; at the end every process and file of it is gone.

    Raises
    ------
    RuntimeError
        if it does not come up; the message has the ends of the daemons' logs.
    """
    # Not pytest's own folder: the path of a socket may have 107 characters, no more.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster", str(folder)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        cluster = Cluster(folder)
        wait_until(
            lambda: supervisor.poll() is not None or _is_up(cluster), 60, lambda: _logs(folder)
        )
        if supervisor.poll() is not None:
            raise RuntimeError(f"the cluster does not start: {supervisor.communicate()[1]}")
        yield cluster
    finally:
        supervisor.communicate()


def wait_until(
    holds: Callable[[], object], seconds: float, told: Callable[[], str] = lambda: ""
) -> None:
    """Wait until a condition holds.

    Raises
    ------
    RuntimeError
        if it does not within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {told()}")
        time.sleep(0.1)


def _is_up(cluster: Cluster) -> bool:
    if not (cluster.folder / "bin" / "sinfo").exists():
        return False
    try:
        states = cluster.command("sinfo", "--noheader", "--Node", "-p", "main", "-o", "%T").split()
    except subprocess.CalledProcessError:
        return False
    return states == ["idle"] * len(NODES)


def _logs(folder: Path) -> str:
    return "\n".join(
        f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}"
        for log in sorted(folder.glob("**/*.log"))
    )


def supervise(folder: Path) -> None:
    """Run the daemons until this process's input is closed; leave no process behind."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        _write_files(folder)
        _start_daemons(folder)
        while not select.select([sys.stdin], [], [], 0.2)[0]:
            _reap()
    finally:
        # A daemon that is told to end may start a process meanwhile: until there is none.
        while children := psutil.Process().children(recursive=True):
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            _reap()
            time.sleep(0.02)
        shutil.rmtree(folder)


def _reap() -> None:
    """Reap adopted processes that have ended, so that no process waits for them."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _start_daemons(folder: Path) -> None:
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _PATH}
    munge = folder / "munge"
    files = {"key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "munged.log"}
    options = [f"--{kind}={munge / name}" for kind, name in (files | {"socket": "socket"}).items()]
    # Forced: a temporary folder may be closed to others, who need no way to the socket anyway.
    munged = ["munged", "--foreground", "--force", *options]
    nodes = [["slurmd", "-D", "-N", node] for node in NODES]
    for command in (munged, ["slurmctld", "-D", "-c", "-i"], *nodes):
        program = shutil.which(command[0], path=_PATH)
        if program is None:
            raise RuntimeError(f"{command[0]} is not installed: apt-get install slurm-wlm munge")
        with (folder / "daemons.log").open("a") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            subprocess.Popen([program, *command[1:]], env=environment, **streams)
        if command is munged:
            wait_until((munge / "socket").exists, 10)


def _write_files(folder: Path) -> None:
    for name in ("munge", "state", "dev", "bin", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(mode=0o700 if name == "munge" else 0o755)
    (folder / "munge" / "key").write_bytes(os.urandom(1024))
    (folder / "munge" / "key").chmod(0o600)
    (folder / "slurm.conf").write_text(_configuration(folder))
    files = f"{folder}/dev/nvidia[0-{GPUS_PER_NODE - 1}]"
    gres = [f"NodeName={node} Name=gpu Type=fake File={files}" for node in NODES]
    (folder / "gres.conf").write_text("\n".join(["AutoDetect=off", *gres, ""]))
    for number in range(GPUS_PER_NODE):
        (folder / "dev" / f"nvidia{number}").symlink_to("/dev/null")
    (folder / "tasks").touch()
    for event in ("prolog", "epilog"):
        _write_script(folder / f"task_{event}", _RECORD.format(event=event, folder=folder))
    for name in COMMANDS:
        # Jobs lose variables that begin with SLURM_, so these commands set it anew.
        conf = f"SLURM_CONF={folder}/slurm.conf"
        program = shutil.which(name, path=_PATH)
        _write_script(folder / "bin" / name, f'#!/bin/sh\n{conf} exec {program} "$@"\n')


def _write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _configuration(folder: Path) -> str:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(len(NODES) + 1)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        port, *ports = (each.getsockname()[1] for each in sockets)
    host = socket.gethostname().split(".")[0]
    nodes = [_NODE.format(node=n, host=host, port=p) for n, p in zip(NODES, ports, strict=True)]
    user = pwd.getpwuid(os.geteuid()).pw_name
    facts = {"host": host, "port": port, "user": user, "folder": folder}
    return _CONFIGURATION.read_text().format(**facts, nodes="\n".join(nodes))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervise(Path(sys.argv[1]))
