"""The queue-manager as a child of the chaos test."""

import os
import socket
import subprocess
import time
from pathlib import Path

from local_stack import Failure, LocalStack

LEASE_SECONDS = 6


class QueueManager:
    """The queue-manager as a child of ours, to be killed and started again on the same port."""

    def __init__(self, stack: LocalStack, pages: Path, exchange: dict[str, str]):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.program = stack.programs / "queue-manager"
        self.log = stack.data / "logs" / "queue-manager.log"
        self.environment = (
            os.environ
            | stack.addresses
            | exchange
            | {
                "PORT": str(self.port),
                "CRASH_POINTS_DIR": str(pages),
                "WORKER_LOG_DIR": str(stack.data / "logs" / "workers"),
                "LEASE_SECONDS": str(LEASE_SECONDS),
            }
        )
        self.process = None
        self.start_at = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", str(self.program)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )

    def start_when_due(self, was_killed: bool) -> None:
        """Starts it again after a kill; an end that nobody asked for is a failure."""
        if self.pid is not None or time.monotonic() < self.start_at:
            return
        if not was_killed:
            raise Failure(f"the queue-manager ended by itself, {self.process.returncode}; see {self.log}")
        self.start()

    def stop(self) -> None:
        if self.pid is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
