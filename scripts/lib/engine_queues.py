"""The queues of a chaos run: what is started, when, and how each has to end."""

import itertools
import random
import threading
import time
from dataclasses import dataclass

import candles
from engine_stack import EngineStack
from local_stack import ROOT, Failure, Refused, request

SYMBOLS = (
    "BTCUSDT ETHUSDT SOLUSDT XRPUSDT DOGEUSDT AVAXUSDT LINKUSDT LTCUSDT TRXUSDT SHIBUSDT PEPEUSDT 1INCHUSDT"
).split()
INTERVAL, TYPE = "5m", "api_candles_5m"
TIME_RANGE = "2024-08-01:2024-08-03"
# Kinds of queues and how many of a hundred there are; the rest are plain dummies.
SHARES = {"fails for good": 8, "fails twice": 6, "crashes twice": 8, "chain": 12, "candles": 8}
LATE_SHARE = 0.1
STARTERS = 4
START_SECONDS_MAX = 90


@dataclass
class Planned:
    """One queue of a run."""

    key: str
    kind: str
    body: dict
    expected: str
    start_at: float = 0
    symbol: str = ""
    collection: str = ""
    queue_id: str = ""


def make_queues(chance: random.Random, prefix: str, count: int, seconds: int) -> list[Planned]:
    """`count` queues that take up to about `seconds` each; most start at once, some later."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, round(count * share / 100)))]
    kinds += ["dummy"] * (count - len(kinds))
    symbols = itertools.cycle(SYMBOLS)
    queues = []
    for number, kind in enumerate(kinds):
        queue = _planned(chance, f"{prefix}-{number}", kind, next(symbols), seconds)
        if kind != "candles" and chance.random() < LATE_SHARE:
            queue.start_at = chance.uniform(0.1, 0.5) * seconds
        queues.append(queue)
    return sorted(queues, key=lambda queue: queue.start_at)


def _planned(chance: random.Random, key: str, kind: str, symbol: str, seconds: int) -> Planned:
    def spread(least: float, most: float) -> int:
        return max(1, round(chance.uniform(least, most) * seconds))

    def dummy(step: str, after=(), **params) -> dict:
        return {"id": step, "target": "dummy-service", "after": list(after), "params": params}

    expected, collection = "finished", ""
    if kind == "fails for good":
        steps, expected = (
            [dummy("a", seconds=seconds, fail_after=spread(0.1, 0.7), fail_final=True)],
            "failed",
        )
    elif kind == "fails twice":
        steps, expected = [dummy("a", seconds=seconds, fail_after=spread(0.1, 0.3), attempts_max=2)], "failed"
    elif kind == "crashes twice":
        steps, expected = [dummy("a", seconds=seconds, exit_after=spread(0.1, 0.3), attempts_max=2)], "failed"
    elif kind == "chain":
        steps = [
            dummy("a", seconds=spread(0.1, 0.25)),
            dummy("b", ["a"], seconds=spread(0.1, 0.25)),
            dummy("c", ["b"], seconds=spread(0.1, 0.25)),
        ]
    elif kind == "candles":
        collection = key.replace("-", "_").lower()
        steps = [
            {"id": "load", "target": "loader-api-candles", "type": TYPE},
            {
                "id": "store",
                "target": "arango-connector",
                "input": "load",
                "params": {"collection_name": collection},
            },
        ]
    else:
        steps = [dummy("a", seconds=spread(0.1, 0.9), records_per_second=10)]
    body = {"symbols": [symbol], "time_range": TIME_RANGE, "steps": steps}
    return Planned(key, kind, body, expected, symbol=symbol, collection=collection)


class Starters:
    """Starts queues when they are due, from a few threads, at any replica; one tried again is one queue."""

    def __init__(self, stack: EngineStack, queues: list[Planned]):
        self.stack, self.waiting = stack, list(queues)
        self.errors: list[str] = []
        self.retries = 0
        self.lock = threading.Lock()
        self.begun = time.monotonic()
        self.is_over = False
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(STARTERS)]
        for thread in self.threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        """Raises Failure when a queue could not be started."""
        if self.errors:
            raise Failure(self.errors[0])
        return not any(thread.is_alive() for thread in self.threads)

    def end(self) -> None:
        self.is_over = True
        for thread in self.threads:
            thread.join(START_SECONDS_MAX)

    def _run(self, number: int) -> None:
        while not self.is_over:
            with self.lock:
                elapsed = time.monotonic() - self.begun
                if not self.waiting:
                    return
                queue = self.waiting.pop(0) if self.waiting[0].start_at <= elapsed else None
            if queue:
                self._start(queue, number)
            else:
                time.sleep(0.05)

    def _start(self, queue: Planned, number: int) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        for turn in itertools.count(number):
            replica = self.stack.replicas[turn % len(self.stack.replicas)]
            try:
                headers = {"Idempotency-Key": queue.key}
                answer = request("POST", f"{replica.base}/queues/start", queue.body, headers, timeout=10)
                queue.queue_id = answer["queue_id"]
                return
            except (OSError, Refused) as error:
                refused = isinstance(error, Refused) and error.status < 500
                if refused or time.monotonic() > deadline or self.is_over:
                    self.errors.append(f"{queue.key} ({queue.kind}) could not be started: {error}")
                    return
            with self.lock:
                self.retries += 1
            time.sleep(0.2)


def sources() -> dict[str, candles.Range]:
    """What the recordings hold for each symbol."""
    folder = ROOT / "data" / "sample"
    return {symbol: candles.of_source(folder, symbol, INTERVAL, TIME_RANGE) for symbol in SYMBOLS}
