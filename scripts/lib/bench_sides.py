"""The two sides of scripts/bench-engine: what each starts, what it measures, and what that cost."""

import json
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from engine_parts import Part, answers, free_port
from engine_stack import EngineStack
from local_stack import ROOT, Failure
from process_use import cpu, proportional_megabytes, resident_megabytes

LOAD_SECONDS_MAX = 1200
SETTLE_SECONDS_MAX = 600
POOL_WORKERS = 2


def one_step(seconds: int) -> str:
    """The body of a queue of one dummy step."""
    return json.dumps({
        "symbols": ["BTCUSDT"],
        "time_range": "2024-08-01:2024-08-01",
        "steps": [{"id": "a", "target": "dummy-service", "params": {"seconds": seconds}}],
    })  # fmt: skip


def run_load(command: list, cost: dict[str, float], meters) -> dict:
    """Runs a load generator to its end; adds the CPU seconds of all parts to `cost`."""
    before = meters()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=ROOT,
                          timeout=LOAD_SECONDS_MAX)  # fmt: skip
    if done.returncode != 0:
        raise Failure(f"{Path(command[0]).name} {command[1]} failed: {(done.stderr or done.stdout).strip()[-800:]}")
    result = json.loads(done.stdout)
    after = meters()
    for name, value in after.items():
        cost[name] = cost.get(name, 0) + value - before[name]
    cost["load generator"] = cost.get("load generator", 0) + result["cpu_seconds"]
    return result


class Ours:
    """StreamForge with its PostgreSQL and broker, one queue-manager, and a pool."""

    name = "StreamForge"

    def __init__(self, programs: Path, uses_pool: bool, with_workers: bool, settings=None):
        self.programs = programs
        self.stack = EngineStack(programs, 1, POOL_WORKERS if uses_pool else 0, settings)
        self.with_workers = with_workers

    def __enter__(self):
        try:
            self.stack.start_servers()
            self.stack.replicas[0].start()
            for worker in self.stack.pool if self.with_workers else []:
                worker.start()
        except BaseException:
            self.stack.stop()
            raise
        return self

    def __exit__(self, *error):
        self.stack.__exit__(*error)

    @property
    def server(self) -> Part:
        return self.stack.replicas[0]

    def meters(self) -> dict[str, float]:
        server = cpu(self.server.pid)
        return {
            "queue-manager": server.own,
            "PostgreSQL": cpu(self.stack.postgres.pid).all,
            "broker": cpu(self.stack.broker.pid).all,
            "exchange": cpu(self.stack.exchange.pid).all,
            "workers": server.children + sum(cpu(worker.pid).all for worker in self.stack.pool),
        }

    def load(self, what: str, cost: dict, count: int, warm_up: int, clients: int, seconds: int = 0) -> dict:
        """`what`: starts or finishes."""
        command = [self.programs / "bench-engine", what, "--port", self.server.port, "--clients", clients,
                   "--count", count, "--warm-up", warm_up, "--body", one_step(seconds)]  # fmt: skip
        return run_load(command, cost, self.meters)

    def pages(self, path: str, count: int) -> dict:
        command = [self.programs / "bench-engine", "gets", "--port", self.server.port, "--clients", 1,
                   "--count", count, "--warm-up", max(1, count // 10), "--path", path]  # fmt: skip
        return run_load(command, {}, self.meters)

    def settle(self) -> None:
        """Waits until the engine has done all that it can do for the queues that are there."""
        sql = (
            "SELECT count(*) FROM streamforge.queues q JOIN streamforge.instances i USING (queue_id)"
            " WHERE i.status = 'waiting' OR (q.status IN ('finished', 'failed') AND NOT q.is_cleaned)"
        )
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while waiting := int(self.stack.store.query(sql)):
            if time.monotonic() > deadline:
                raise Failure(f"{waiting} instances still wait after {SETTLE_SECONDS_MAX} s")
            time.sleep(0.5)

    def memory(self, clients: int, count: int) -> dict[str, float]:
        """MB with `count` queues open: the server's resident, the others' proportional."""
        self.load("starts", {}, count, 0, clients, seconds=3600)
        self.settle()
        return most_of(lambda: {
            "server": resident_megabytes(self.server.pid),
            "server, PSS": proportional_megabytes(self.server.pid) if self.stack.pool else
            resident_megabytes(self.server.pid),
            "PostgreSQL, PSS": proportional_megabytes(self.stack.postgres.pid),
            "broker, PSS": proportional_megabytes(self.stack.broker.pid),
        })  # fmt: skip

    def durability(self) -> str:
        names = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")
        values = [self.stack.store.query(f"SHOW {name}").strip() for name in names]
        version = self.stack.store.query("SHOW server_version").split()[0]
        return f"PostgreSQL {version}: " + ", ".join(f"{name} {value}" for name, value in zip(names, values))


class DevServer(Part):
    """Temporal's dev server with its data in a file."""

    def __init__(self, folder: Path, program: Path):
        super().__init__("temporal", folder / "temporal.log")
        self.port, self.data, self.program = free_port(), folder / "temporal.db", program

    def command(self) -> list[str]:
        return [str(self.program), "server", "start-dev", "--db-filename", str(self.data), "--port", str(self.port),
                "--headless", "--log-level", "error"]  # fmt: skip

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
        command = ["setpriv", "--pdeathsig", "KILL", str(self.python), str(ROOT / "bench" / "temporal_peer.py")]
        with open(self.server.log, "ab") as log:
            self.worker = subprocess.Popen([*command, "worker", self.address], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, stderr=log, text=True)  # fmt: skip
        if self.worker.stdout.readline().strip() != "ready":
            raise Failure(f"the peer's worker did not start: {self.server.log.read_text()[-500:]}")

    def meters(self) -> dict[str, float]:
        return {
            "server": cpu(self.server.pid).all,
            "worker": cpu(self.worker.pid).all if self.worker else 0.0,
        }

    def load(self, what: str, cost: dict, count: int, warm_up: int, clients: int) -> dict:
        command = [self.python, ROOT / "bench" / "temporal_peer.py", what, self.address, "--clients", clients,
                   "--count", count, "--warm-up", warm_up]  # fmt: skip
        return run_load(command, cost, self.meters)

    def memory(self, clients: int, count: int) -> dict[str, float]:
        self.load("open", {}, count, 0, clients)
        return most_of(lambda: {
            "server": resident_megabytes(self.server.pid),
            "server, PSS": proportional_megabytes(self.server.pid),
        })  # fmt: skip

    def version(self) -> str:
        shown = subprocess.run([self.server.program, "--version"], capture_output=True, text=True, check=True)
        return shown.stdout.strip()


def most_of(look, seconds: float = 5) -> dict[str, float]:
    """The highest of several looks."""
    most: dict[str, float] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, value in look().items():
            most[name] = max(value, most.get(name, 0))
        time.sleep(0.5)
    return most
