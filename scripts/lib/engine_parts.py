"""The servers of an engine, each a child of ours that can be stopped, killed, paused and started again."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from local_stack import ROOT, Failure
from process_use import tree


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Part:
    """One server: the same command, port and folder at every start."""

    READY_SECONDS = 60

    def __init__(self, name: str, log: Path):
        self.name, self.log = name, log
        self.process: subprocess.Popen | None = None
        self.is_paused = False

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str] | None:
        return None

    def is_ready(self) -> bool:
        return True

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self.process.pid if self.process and self.process.poll() is None else None

    def launch(self) -> None:
        """Starts it without waiting. It dies with us, whatever way we die."""
        self.is_paused = False
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=ROOT,
                start_new_session=True,
            )

    def start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.READY_SECONDS
        while not self.is_ready():
            if self.pid is None:
                lines = self.log.read_text(errors="replace").strip().splitlines()
                raise Failure(f"{self.name} did not start: {lines[-1][:500] if lines else self.log}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} was not ready within {self.READY_SECONDS} s; see {self.log}")
            time.sleep(0.02)

    def send(self, number: int) -> None:
        if self.pid is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self.pid is not None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self, number: int = signal.SIGTERM, grace: float = 30) -> None:
        """Ends it in order, by force after `grace` seconds."""
        self.resume()
        self.send(number)
        try:
            if self.process:
                self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def pause(self) -> None:
        """SIGSTOP to it and to all its children."""
        if self.pid is not None:
            self._signal_tree(signal.SIGSTOP)
            self.is_paused = True

    def resume(self) -> None:
        if self.is_paused and self.pid is not None:
            self._signal_tree(signal.SIGCONT)
        self.is_paused = False

    def _signal_tree(self, number: int) -> None:
        # The parent first: it starts no other child while it stands still.
        for pid in [self.pid, *(pid for pid in tree(self.pid) if pid != self.pid)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it has just ended


class Broker(Part):
    """The broker that is found as everywhere: KAFKA_BOOTSTRAP_SERVERS, KAFKA_HOME, else noida-db."""

    EXTERNAL, KAFKA, NOIDA_DB = "external", "Apache Kafka", "noida-db"

    def __init__(self, folder: Path):
        super().__init__("broker", folder / "broker.log")
        self.folder = folder / "kafka"
        self.folder.mkdir()
        self.servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        self.home = os.environ.get("KAFKA_HOME", "")
        self.kind = self.EXTERNAL if self.servers else self.KAFKA if self.home else self.NOIDA_DB
        if self.kind != self.EXTERNAL:
            self.port = free_port()
            self.servers = f"127.0.0.1:{self.port}"
        if self.kind == self.KAFKA:
            self._format()

    def command(self) -> list[str]:
        if self.kind == self.KAFKA:
            return [f"{self.home}/bin/kafka-server-start.sh", str(self.folder / "server.properties")]
        program = os.environ.get("NOIDA_DB") or str(ROOT / ".streamforge/tools/bin/noida-db")
        return [
            program,
            "start",
            "--only",
            "kafka",
            "--host",
            "127.0.0.1",
            "--kafka-port",
            str(self.port),
            "--data-dir",
            str(self.folder / "data"),
        ]

    def environment(self) -> dict[str, str] | None:
        return os.environ | {"LOG_DIR": str(self.folder / "logs")}

    def launch(self) -> None:
        if self.kind != self.EXTERNAL:
            super().launch()

    def is_ready(self) -> bool:
        return self.kind == self.EXTERNAL or answers(self.port)

    def _format(self) -> None:
        controller = free_port()
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.servers},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.servers}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }
        file = self.folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        storage = f"{self.home}/bin/kafka-storage.sh"
        cluster = subprocess.run([storage, "random-uuid"], check=True, capture_output=True, text=True).stdout
        command = [storage, "format", "--cluster-id", cluster.strip(), "--config", str(file)]
        subprocess.run(command, check=True, capture_output=True, env=self.environment())


class Exchange(Part):
    """The replay exchange with the sample's recordings."""

    def __init__(self, folder: Path, programs: Path, options: tuple[str, ...]):
        super().__init__("exchange", folder / "exchange.log")
        self.program, self.options, self.port = programs / "streamforge", options, free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [str(self.program), "exchange", "--port", str(self.port), *self.options]

    def is_ready(self) -> bool:
        return answers(self.port)


class Program(Part):
    """One of the product's own: configured by environment, ready when /health/ready says so."""

    def __init__(self, name: str, log: Path, command: list[str], variables: dict[str, str]):
        super().__init__(name, log)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.words = command
        self.variables = variables | {"PORT": str(self.port)}

    def command(self) -> list[str]:
        return self.words

    def environment(self) -> dict[str, str]:
        # Settings of whoever runs the script must not reach it: each is read from `variables` or not at all.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        return kept | self.variables

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.settimeout(2)
                connection.sendall(
                    b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
                return b" 200 " in connection.recv(64)
        except OSError:
            return False
