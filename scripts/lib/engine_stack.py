"""A whole engine on this machine: PostgreSQL, broker, exchange, replicas, pool workers."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from candles import Store
from engine_parts import Broker, Exchange, Part, Program
from engine_postgres import Postgres
from local_stack import MARK, ROOT, Failure, marked_processes

# What the exchange knows unless more is asked for: reading all recordings takes seconds.
SYMBOLS = "BTCUSDT,ETHUSDT,SOLUSDT,LTCUSDT,PEPEUSDT"
POOL_TARGET = "dummy-service"
# Instances a pool worker runs at once: no queue of ours has to wait for another one.
POOL_SLOTS = 100
WORKERS_END_SECONDS = 15


def has_pool(programs: Path) -> bool:
    """Whether these programs can run a pool of workers."""
    shown = subprocess.run(
        [programs / "queue-manager", "--print-settings"], capture_output=True, text=True, check=False
    )
    return "POOL_TARGETS" in shown.stdout


class EngineStack:
    """All of it on free ports of 127.0.0.1, with a data folder that is removed unless something failed."""

    def __init__(
        self,
        programs: Path,
        replicas: int = 1,
        pool_workers: int = 0,
        settings: dict[str, str] | None = None,
        exchange_options: tuple[str, ...] = ("--no-limits", "--symbols", SYMBOLS),
    ):
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="streamforge-"))
        # PostgreSQL's user has to walk through.
        self.folder.chmod(0o711)
        self.keeps_folder = False
        self.id = secrets.token_hex(8)
        self.postgres = Postgres(self.folder)
        self.broker = Broker(self.folder)
        self.exchange = Exchange(self.folder, programs, exchange_options)
        self.uses_pool = pool_workers > 0
        self.settings = settings or {}
        self.topics = {
            "QUEUE_CONTROL_TOPIC": f"queue-control-{self.id}",
            "QUEUE_EVENTS_TOPIC": f"queue-events-{self.id}",
        }
        self.replicas = [self._replica(number) for number in range(replicas)]
        self.pool = [self._pool_worker(number) for number in range(pool_workers)]

    @property
    def _common(self) -> dict[str, str]:
        return {
            "POSTGRES_URL": self.postgres.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.servers,
            "KAFKA_REREAD_ABORTED": str(self.broker.kind == Broker.NOIDA_DB).lower(),
            "BINANCE_API_URL": self.exchange.url,
            MARK: self.id,
            **self.topics,
            **self.settings,
        }

    def _replica(self, number: int) -> Program:
        name = f"replica-{number}"
        variables = self._common | {
            "REPLICA_ID": f"{name}-{self.id}",
            "WORKER_LOG_DIR": str(self.folder / "workers"),
        }
        if self.uses_pool:
            variables["POOL_TARGETS"] = POOL_TARGET
        return Program(name, self.folder / f"{name}.log", [str(self.programs / "queue-manager")], variables)

    def _pool_worker(self, number: int) -> Program:
        name = f"pool-{number}"
        variables = self._common | {
            "POOL_TARGETS": POOL_TARGET,
            "POOL_SLOTS": str(POOL_SLOTS),
            "POOL_WORKER_ID": f"{name}-{self.id}",
        }
        command = [str(self.programs / "streamforge-worker"), "pool"]
        return Program(name, self.folder / f"{name}.log", command, variables)

    @property
    def parts(self) -> list[Part]:
        return [self.postgres, self.broker, self.exchange, *self.replicas, *self.pool]

    @property
    def store(self) -> Store:
        """psql on the server itself, past every proxy."""
        return Store(self.postgres.url)

    def __enter__(self):
        try:
            self.start_servers()
            for part in self.replicas + self.pool:
                part.start()
        except BaseException:
            self.stop()
            raise
        return self

    def start_servers(self) -> None:
        (self.folder / "workers").mkdir(exist_ok=True)
        for part in (self.postgres, self.broker, self.exchange):
            part.start()

    def __exit__(self, kind, error, trace):
        self.keeps_folder = error is not None and not isinstance(error, (KeyboardInterrupt, SystemExit))
        self.stop()

    def workers(self) -> dict[int, dict[str, str]]:
        """The processes that replicas launched, with their environments."""
        own = {part.pid for part in self.parts}
        return {pid: env for pid, env in marked_processes(self.id).items() if pid not in own}

    def stop(self) -> None:
        """Ends everything: who writes first, who stores last."""
        for part in self.replicas + self.pool:
            part.resume()
            part.send(signal.SIGTERM)
        for part in self.replicas + self.pool:
            part.stop(grace=30)
        self._end_workers()
        self.exchange.stop(grace=5)
        self.broker.stop(grace=20)
        self.postgres.stop(signal.SIGINT, grace=20)
        if self.keeps_folder:
            print(f"data and logs are kept in {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end_workers(self) -> None:
        """They outlive their queue-manager: that is what makes it safe to kill."""
        deadline = time.monotonic() + WORKERS_END_SECONDS
        number = signal.SIGTERM
        while workers := self.workers():
            for pid in workers:
                for sent in (number, signal.SIGCONT):
                    try:
                        os.kill(pid, sent)
                    except ProcessLookupError:
                        pass  # it has just ended
            if time.monotonic() > deadline:
                number = signal.SIGKILL
            time.sleep(0.2)

    def check(self) -> None:
        """Raises Failure when a part ended that nobody ended."""
        for part in self.parts:
            if part.process and part.process.poll() is not None:
                raise Failure(f"{part.name} ended by itself, {part.process.returncode}; see {part.log}")


def build(configuration: str, products: tuple[str, ...] = ()) -> Path:
    """Builds (everything, or only `products`) and returns the folder of the programs."""
    subprocess.run([ROOT / "scripts" / "setup"], check=True)
    choice = ["-c", configuration]
    for options in [["--product", product] for product in products] or [[]]:
        subprocess.run([ROOT / "scripts" / "build", *choice, *options], check=True, stdout=2)
    shown = subprocess.run(
        ["swift", "build", *choice, "--show-bin-path"], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return Path(shown.stdout.strip())
