"""Our side of scripts/bench-engine: what it starts, what it measures, and what that cost."""

import json
import subprocess
import time
from pathlib import Path

from engine_parts import Part
from engine_stack import EngineStack
from local_stack import ROOT, Failure
from process_use import cpu, proportional_megabytes, resident_megabytes

LOAD_SECONDS_MAX = 1200
SETTLE_SECONDS_MAX = 600
POOL_WORKERS = 2


def one_step(seconds: int) -> str:
    """The body of a queue of one dummy step."""
    return json.dumps(
        {
            "symbols": ["BTCUSDT"],
            "time_range": "2024-08-01:2024-08-01",
            "steps": [{"id": "a", "target": "dummy-service", "params": {"seconds": seconds}}],
        }
    )


def run_load(command: list, cost: dict[str, float], meters) -> dict:
    """Runs a load generator to its end; adds the CPU seconds of all parts to `cost`."""
    before = meters()
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=LOAD_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise Failure(
            f"{Path(command[0]).name} {command[1]} failed: {(done.stderr or done.stdout).strip()[-800:]}"
        )
    result = json.loads(done.stdout)
    after = meters()
    for name, value in after.items():
        cost[name] = cost.get(name, 0) + value - before[name]
    cost["load generator"] = cost.get("load generator", 0) + result["cpu_seconds"]
    return result


def most_of(look, seconds: float = 5) -> dict[str, float]:
    """The highest of several looks."""
    most: dict[str, float] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, value in look().items():
            most[name] = max(value, most.get(name, 0))
        time.sleep(0.5)
    return most


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
        command = [
            self.programs / "bench-engine",
            what,
            "--port",
            self.server.port,
            "--clients",
            clients,
            "--count",
            count,
            "--warm-up",
            warm_up,
            "--body",
            one_step(seconds),
        ]
        return run_load(command, cost, self.meters)

    def pages(self, path: str, count: int) -> dict:
        command = [
            self.programs / "bench-engine",
            "gets",
            "--port",
            self.server.port,
            "--clients",
            1,
            "--count",
            count,
            "--warm-up",
            max(1, count // 10),
            "--path",
            path,
        ]
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
        return most_of(
            lambda: {
                "server": resident_megabytes(self.server.pid),
                "PostgreSQL, PSS": proportional_megabytes(self.stack.postgres.pid),
                "broker, PSS": proportional_megabytes(self.stack.broker.pid),
            }
        )

    def log_syncs(self) -> int:
        """How often PostgreSQL has synced its log; commits that come together share one."""
        # Sessions tell what they did once a second at most.
        time.sleep(1.2)
        return int(self.stack.store.query("SELECT wal_sync FROM pg_stat_wal"))

    def durability(self) -> str:
        names = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")
        values = [self.stack.store.query(f"SHOW {name}").strip() for name in names]
        version = self.stack.store.query("SHOW server_version").split()[0]
        return f"PostgreSQL {version}: " + ", ".join(f"{name} {value}" for name, value in zip(names, values))
