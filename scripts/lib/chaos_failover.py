"""The failover test on this machine: see scripts/chaos."""

import argparse
import itertools
import queue as queues
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from chaos_engine import guarded, say
from engine_stack import EngineStack, build, has_pool
from local_stack import Failure, Refused, request

DELAY_SECONDS_MAX = 5.0
CALM_SECONDS, WARM_UP_SECONDS = 20, 4
# The stream goes on this long after a kill; then the replica comes back, and the two may settle.
AFTER_KILL_SECONDS, SETTLE_SECONDS = 12, 8
RATE, RATE_ON_POOL = 4, 20
CLIENTS = 16
POOL_WORKERS = 2
BODY = {
    "symbols": ["BTCUSDT"],
    "time_range": "2024-08-01:2024-08-01",
    "steps": [{"id": "a", "target": "dummy-service", "params": {"seconds": 1}}],
}
ROLES = ("reads the events", "serves HTTP", "by chance")
START_SECONDS_MAX = 30
END_SECONDS_MAX = 60


@dataclass
class Started:
    """One queue of the stream; times are Unix seconds."""

    key: str
    phase: str
    begun: float
    queue_id: str = ""
    error: str = ""


class Stream:
    """Starts a queue every `1 / rate` seconds, whatever became of those before."""

    def __init__(self, stack: EngineStack, rate: float):
        self.stack, self.rate = stack, rate
        self.phase = "warm-up"
        # Which replica clients ask first; None: one after the other.
        self.asked: int | None = None
        self.started: list[Started] = []
        self.due: queues.SimpleQueue = queues.SimpleQueue()
        self.is_over = False
        self.threads = [threading.Thread(target=self._pace, daemon=True)]
        self.threads += [threading.Thread(target=self._client, daemon=True) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.is_over = True
        for _ in range(CLIENTS):
            self.due.put(None)
        for thread in self.threads:
            thread.join(START_SECONDS_MAX + 10)

    def _pace(self) -> None:
        begun = time.monotonic()
        for number in itertools.count():
            time.sleep(max(0.0, begun + number / self.rate - time.monotonic()))
            if self.is_over:
                return
            started = Started(f"{self.stack.id}-{number}", self.phase, time.time())
            self.started.append(started)
            self.due.put((number, started))

    def _client(self) -> None:
        while one := self.due.get():
            number, started = one
            first = number if self.asked is None else self.asked
            deadline = time.monotonic() + START_SECONDS_MAX
            for turn in itertools.count(first):
                replica = self.stack.replicas[turn % len(self.stack.replicas)]
                try:
                    headers = {"Idempotency-Key": started.key}
                    answer = request("POST", f"{replica.base}/queues/start", BODY, headers, timeout=5)
                    started.queue_id, started.error = answer["queue_id"], ""
                    break
                except (OSError, Refused) as error:
                    started.error = str(error)
                    if time.monotonic() > deadline:
                        break
                time.sleep(0.05)


class Failover:
    """One run: a calm phase, then a kill in each role."""

    def __init__(self, stack: EngineStack, rate: float, chance: random.Random):
        self.stack, self.chance = stack, chance
        self.stream = Stream(stack, rate)
        self.in_flight: dict[str, int] = {}

    def run(self) -> str:
        try:
            self.pass_time("warm-up", WARM_UP_SECONDS)
            self.pass_time("calm", CALM_SECONDS)
            for role in self.chance.sample(ROLES, len(ROLES)):
                self.kill(role)
        finally:
            self.stream.end()
        return self.judge()

    def pass_time(self, phase: str, seconds: float) -> None:
        self.stream.phase = phase
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.stack.check()
            time.sleep(0.1)

    def kill(self, role: str) -> None:
        number = self.choose(role)
        replica = self.stack.replicas[number]
        if role == "serves HTTP":
            self.stream.asked = number
        self.stream.phase = role
        # Queues that have begun before the kill are delayed by it as well.
        time.sleep(self.chance.uniform(2, 3))
        sql = "SELECT count(*) FROM streamforge.queues WHERE status NOT IN ('finished', 'failed', 'stopped')"
        self.in_flight[role] = int(self.stack.store.query(sql))
        replica.kill()
        say(f"  killed {replica.name} ({role}), {self.in_flight[role]} queues in flight")
        time.sleep(AFTER_KILL_SECONDS)
        replica.start()
        self.stream.asked = None
        self.pass_time("between", SETTLE_SECONDS)

    def choose(self, role: str) -> int:
        if role == "reads the events":
            sql = "SELECT owner, count(*) FROM streamforge.event_partitions GROUP BY 1 ORDER BY 2 DESC"
            for row in self.stack.store.query(sql).splitlines():
                for number, replica in enumerate(self.stack.replicas):
                    if replica.variables["REPLICA_ID"] in row:
                        return number
            raise Failure("no replica reads the events")
        return self.chance.randrange(len(self.stack.replicas))

    def judge(self) -> str:
        lost = [one for one in self.stream.started if not one.queue_id]
        if lost:
            raise Failure(f"{len(lost)} queues could not be started, e.g. {lost[0].error}")
        ends = self.wait_for_ends()
        spans: dict[str, list[float]] = {}
        for one in self.stream.started:
            spans.setdefault(one.phase, []).append(ends[one.queue_id] - one.begun)
        calm = sorted(spans["calm"])
        p99 = calm[min(len(calm) - 1, int(len(calm) * 0.99))]
        say(f"  calm: {len(calm)} queues, median {calm[len(calm) // 2]:.2f} s, 99th percentile {p99:.2f} s")
        worst = 0.0
        for role in ROLES:
            delay = max(spans[role]) - p99
            slowest = max(
                (one for one in self.stream.started if one.phase == role),
                key=lambda one: ends[one.queue_id] - one.begun,
            )
            late = sum(span - p99 > DELAY_SECONDS_MAX for span in spans[role])
            say(
                f"  killed who {role}: {len(spans[role])} queues, {self.in_flight[role]} in flight,"
                f" longest delay {delay:.2f} s ({slowest.queue_id}), {late} of them too late"
            )
            if self.in_flight[role] == 0:
                raise Failure("nothing was in flight at a kill: use a higher --rate")
            worst = max(worst, delay)
        worst = max(worst, max(spans.get("between", [0])) - p99)
        if worst > DELAY_SECONDS_MAX:
            raise Failure(f"a queue was delayed by {worst:.2f} s, more than {DELAY_SECONDS_MAX:.0f} s")
        return f"{len(ends)} queues, longest delay {worst:.2f} s"

    def wait_for_ends(self) -> dict[str, float]:
        """When each queue ended, Unix seconds."""
        wanted = {one.queue_id for one in self.stream.started}
        deadline = time.monotonic() + END_SECONDS_MAX
        while True:
            rows = self.stack.store.query(
                "SELECT queue_id, status, extract(epoch FROM finished_at) FROM streamforge.queues"
                " WHERE status IN ('finished', 'failed', 'stopped')"
            ).splitlines()
            found = {row.split("|")[0]: row.split("|")[1:] for row in rows}
            if wanted <= found.keys():
                break
            if time.monotonic() > deadline:
                missing = sorted(wanted - found.keys())
                raise Failure(
                    f"{len(missing)} queues are not final after {END_SECONDS_MAX} s, e.g. {missing[0]}"
                )
            time.sleep(0.3)
        wrong = [queue_id for queue_id in wanted if found[queue_id][0] != "finished"]
        if wrong:
            raise Failure(f"{len(wrong)} queues did not finish, e.g. {wrong[0]} is {found[wrong[0]][0]}")
        return {queue_id: float(found[queue_id][1]) for queue_id in wanted}


def run(arguments) -> str:
    programs = arguments.programs.resolve() if arguments.programs else build("debug")
    on_pool = has_pool(programs)
    rate = arguments.rate or (RATE_ON_POOL if on_pool else RATE)
    say(
        f"chaos: failover, seed {arguments.seed}, {arguments.runs} runs, {rate:g} queues a second, "
        f"{'pool' if on_pool else 'local processes'}"
    )
    said = []
    for number in range(arguments.runs):
        with EngineStack(programs, 2, POOL_WORKERS if on_pool else 0) as stack:
            say(f"run {number + 1}")
            said.append(Failover(stack, rate, random.Random(f"{arguments.seed}-{number}")).run())
    return f"{arguments.runs} runs, {'; '.join(said)}"


def main(description: str, argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos failover",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument(
        "--runs", type=int, default=3, help="stacks, one after the other, each with three kills"
    )
    parser.add_argument("--rate", type=float, help="queues started a second")
    parser.add_argument("--programs", type=Path, help="folder of built programs; not given: build them")
    arguments = parser.parse_args(argv)
    if arguments.runs < 1 or (arguments.rate is not None and arguments.rate <= 0):
        parser.error("--runs and --rate must be positive")
    return guarded("failover", arguments.seed, lambda: run(arguments))
