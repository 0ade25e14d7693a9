"""Starts `streamforge up` for a script, speaks to its parts, and ends it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MARK = "STREAMFORGE_STACK"


class Failure(Exception):
    """What went wrong, in words for the person who started the script."""


class Refused(Failure):
    """The other side answered, but not with what was asked for."""

    def __init__(self, status: int, text: str):
        super().__init__(f"answer {status}: {text[:500]}")
        self.status = status


def request(method: str, url: str, body=None, headers=None, timeout: float = 10):
    """One HTTP request; the JSON of a 2xx answer.

    Raises Refused for another answer, OSError when there was none.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = dict(headers or {}, **({"Content-Type": "application/json"} if data else {}))
    call = urllib.request.Request(url, data=data, method=method, headers=headers)
    # No proxy: everything is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(call, timeout=timeout) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise Refused(error.code, error.read().decode(errors="replace")) from None
    except ValueError as error:
        raise OSError(f"broken answer: {error}") from None


class LocalStack:
    """A stack on free ports with a data folder of its own, which is removed unless something failed."""

    START_SECONDS = 120
    STOP_SECONDS = 90

    def __init__(self, programs: Path, with_queue_manager: bool, environment=None):
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="streamforge-"))
        self.keeps_folder = False
        self.log = self.folder / "up.log"
        command = ["setpriv", "--pdeathsig", "TERM", str(programs / "streamforge"), "up", "--port", "0"]
        command += ["--data-dir", str(self.folder / "data")]
        command += [] if with_queue_manager else ["--no-queue-manager"]
        kept = {
            k: v for k, v in os.environ.items() if k not in ("POSTGRES_URL", "BINANCE_API_URL", "ARANGO_URL")
        }
        with open(self.log, "wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches the script, which ends the stack in order.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                env=kept | (environment or {}),
            )
        self.addresses: dict[str, str] = {}

    def __enter__(self):
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            self.stop()
            return
        self.keeps_folder = True
        try:
            self.stop()
        except Failure as second:
            # The first error is the one to tell; this one only adds to it.
            print(f"also: {second}", flush=True)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.START_SECONDS
        while "Ready." not in self.log.read_text():
            if self.process.poll() is not None:
                raise Failure(f"the stack did not start: {self.log.read_text().strip()}")
            if time.monotonic() > deadline:
                raise Failure(f"the stack was not ready within {self.START_SECONDS} s; see {self.log}")
            time.sleep(0.05)
        lines = (self.data / "addresses.env").read_text().splitlines()
        self.addresses = dict(line.split("=", 1) for line in lines)

    def check(self) -> None:
        """Raises Failure when a part of the stack has ended it."""
        if self.process.poll() is not None:
            raise Failure(f"the stack ended: {self.log.read_text().strip().splitlines()[-1]}")

    def stop(self) -> None:
        """Ends the stack, and raises Failure when anything of it is still there afterwards."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(self.STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failure(f"the stack did not end within {self.STOP_SECONDS} s and was killed") from None
        if self.keeps_folder:
            print(f"data and logs are kept in {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder)
        left = marked_processes(self.addresses.get(MARK, ""))
        if left:
            raise Failure(f"processes were left running: {sorted(left)}")


def marked_processes(stack_id: str) -> dict[int, dict[str, str]]:
    """The processes of a stack's queue-manager and workers, with their environments, by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or not stack_id:
            continue
        try:
            variables = entry.joinpath("environ").read_bytes().decode(errors="replace").split("\0")
            state = entry.joinpath("stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # it has just ended, or is not ours
        environment = dict(v.split("=", 1) for v in variables if "=" in v)
        if environment.get(MARK) == stack_id and state not in "ZX" and int(entry.name) != os.getpid():
            found[int(entry.name)] = environment
    return found


def wait_for_queue(base: str, queue_id: str, seconds: float, watch=lambda queue: None) -> dict:
    """Waits until a queue is final; `watch` gets it at every look. Raises Failure after `seconds`."""
    deadline = time.monotonic() + seconds
    queue = None
    while time.monotonic() < deadline:
        try:
            queue = request("GET", f"{base}/queues/{queue_id}")
        except OSError:
            pass  # the queue-manager may be down for a moment
        except Refused as error:
            if error.status < 500:
                raise
        else:
            watch(queue)
            if queue["status"] in ("finished", "failed", "stopped"):
                return queue
        time.sleep(0.1)
    raise Failure(f"{queue_id} is not final after {seconds:.0f} s: {json.dumps(queue)}")
