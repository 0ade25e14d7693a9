"""The peer's side of scripts/bench-engine: Temporal's dev server and a worker with its Python SDK."""

import contextlib
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from bench_ours import most_of, run_load
from engine_parts import Part, answers, free_port
from local_stack import ROOT, Failure
from process_use import cpu, resident_megabytes


class DevServer(Part):
    """Temporal's dev server with its data in a file."""

    def __init__(self, folder: Path, program: Path):
        super().__init__("temporal", folder / "temporal.log")
        self.port, self.data, self.program = free_port(), folder / "temporal.db", program

    def command(self) -> list[str]:
        return [
            str(self.program),
            "server",
            "start-dev",
            "--db-filename",
            str(self.data),
            "--port",
            str(self.port),
            "--headless",
            "--log-level",
            "error",
        ]

    def is_ready(self) -> bool:
        return answers(self.port)


class Peer:
    """Temporal's dev server with its data in a file, and a worker with its Python SDK."""

    name = "Temporal"

    def __init__(self, with_workers: bool):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-engine-")
        tools = ROOT / ".streamforge" / "bench" / "bin"
        self.python = tools / "python"
        self.server = DevServer(Path(self.folder.name), tools / "temporal")
        self.with_workers = with_workers
        self.worker: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def __enter__(self):
        try:
            self.server.start()
            self._wait_for_namespace()
            if self.with_workers:
                self._start_worker()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        if self.worker:
            self.worker.stdin.close()
            try:
                self.worker.wait(20)
            except subprocess.TimeoutExpired:
                self.worker.kill()
                self.worker.wait()
        self.server.stop(signal.SIGTERM, grace=20)
        self.folder.cleanup()

    def _wait_for_namespace(self) -> None:
        """The port answers before the server can take workflows."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.load("starts", {}, 1, 0, 1)
                return
            except Failure:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def _start_worker(self) -> None:
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            str(self.python),
            str(ROOT / "bench" / "temporal_peer.py"),
        ]
        with open(self.server.log, "ab") as log:
            self.worker = subprocess.Popen(
                [*command, "worker", self.address],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        if self.worker.stdout.readline().strip() != "ready":
            raise Failure(f"the peer's worker did not start: {self.server.log.read_text()[-500:]}")

    def meters(self) -> dict[str, float]:
        return {
            "server": cpu(self.server.pid).all,
            "worker": cpu(self.worker.pid).all if self.worker else 0.0,
        }

    def load(self, what: str, cost: dict, count: int, warm_up: int, clients: int) -> dict:
        command = [
            self.python,
            ROOT / "bench" / "temporal_peer.py",
            what,
            self.address,
            "--clients",
            clients,
            "--count",
            count,
            "--warm-up",
            warm_up,
        ]
        return run_load(command, cost, self.meters)

    def memory(self, clients: int, count: int) -> dict[str, float]:
        self.load("open", {}, count, 0, clients)
        return most_of(
            lambda: {
                "server": resident_megabytes(self.server.pid),
            }
        )

    def durability(self) -> str:
        """What its file says; whether each commit is synced is the dev server's own default."""
        with contextlib.closing(sqlite3.connect(f"file:{self.server.data}?mode=ro", uri=True)) as database:
            mode = database.execute("PRAGMA journal_mode").fetchone()[0]
        return f"SQLite in a file, journal_mode {mode}, no pragma given"
