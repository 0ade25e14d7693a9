"""The fault test of the engine on this machine: see scripts/chaos."""

import argparse
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine_faults import SHORT, Sizes, Storm, check_hits, plan_faults, table
from engine_queues import Planned, Starters, make_queues, sources
from engine_stack import EngineStack, build, has_pool
from engine_verdicts import FINAL, Verdicts, print_diagnosis
from local_stack import Failure
from tcp_proxy import TCPProxy

REPLICAS = 3
POOL_WORKERS = 3
# Small, so that a worker can be held up beyond it within a run.
LEASE_SECONDS = 6
START_LIMIT_SECONDS = 15
QUEUE_SECONDS, QUEUE_SECONDS_SHORT = 75, 25
# A day and a half of candles take as long as the other queues.
CANDLES = 864
IN_FLIGHT_SHARE_MIN = 0.05
CALM_SECONDS_MAX = 600
LOOK_SECONDS = 0.5


def say(text: str) -> None:
    print(text, flush=True)


class ChaosEngine:
    """A calm run and a stormy one of the same queues, on one stack."""

    def __init__(self, stack: EngineStack, proxy: TCPProxy, arguments):
        self.stack, self.proxy, self.arguments = stack, proxy, arguments
        self.seconds = QUEUE_SECONDS_SHORT if arguments.short else QUEUE_SECONDS
        self.sizes = SHORT if arguments.short else Sizes()
        self.sources = sources()
        self.queues: list[Planned] = []
        self.open_count = 0

    def run(self) -> str:
        calm = self.one_run("calm", CALM_SECONDS_MAX, None)
        say(f"calm run: {len(self.queues)} queues in {calm:.1f} s; every verdict holds")
        limit = 2 * calm + 30
        chance = random.Random(f"{self.arguments.seed}-storm")
        plan = plan_faults(chance, REPLICAS, LEASE_SECONDS, self.sizes)
        storm = Storm(self.stack, self.proxy, chance, plan, say, self.count_open)
        seconds = self.one_run("storm", limit, storm)
        say(table(storm.done))
        check_hits(storm.done, max(1, round(len(self.queues) * IN_FLIGHT_SHARE_MIN)))
        return (
            f"{len(self.queues)} queues and {len(storm.done)} faults, all ended right, in {seconds:.1f} s:"
            f" calm {calm:.1f} s, limit {limit:.1f} s"
        )

    def one_run(self, name: str, limit: float, storm: Storm | None) -> float:
        """Starts the queues, waits and judges; the seconds from the first start to the last end."""
        chance = random.Random(str(self.arguments.seed))
        prefix = f"{name}-{self.stack.id}"
        self.queues = make_queues(chance, prefix, self.arguments.queues, self.seconds)
        self.open_count = len(self.queues)
        begun = time.time()
        starters = Starters(self.stack, self.queues)
        if storm:
            storm.begun = time.monotonic()
        try:
            last = self.wait_for_ends(starters, limit, storm) - begun
        finally:
            if storm:
                storm.release()
            starters.end()
        if starters.retries:
            say(f"{name} run: {starters.retries} start requests had to be sent again")
        wrong = Verdicts(self.stack, self.queues, self.sources).judge()
        if last > limit:
            wrong.append(f"the last queue ended after {last:.1f} s, the limit is {limit:.1f} s")
        if wrong:
            raise Failure(f"{name} run: " + "\n  ".join(wrong))
        return last

    def wait_for_ends(self, starters: Starters, limit: float, storm: Storm | None) -> float:
        """Until every queue is final and every fault over; the time (Unix) of the last end."""
        # Later than the limit is a failure, but is waited for: "late" and "never" are different defects.
        deadline, looked_at = time.monotonic() + limit + 60, 0.0
        while time.monotonic() < deadline:
            if storm:
                storm.step()
            else:
                self.stack.check()
            if time.monotonic() - looked_at > LOOK_SECONDS:
                looked_at = time.monotonic()
                ends = self.ends()
                if starters.is_done and len(ends) == len(self.queues) and (not storm or storm.is_over):
                    return max(ends)
            time.sleep(0.02)
        raise Failure(f"{self.open_count} queues are not final after {limit + 60:.0f} s")

    def count_open(self) -> int:
        """Queues that are not final: now, or when PostgreSQL was last there to be asked."""
        self.ends()
        return self.open_count

    def ends(self) -> list[float]:
        """When each final queue ended; empty while PostgreSQL is away."""
        if self.stack.postgres.pid is None or self.stack.postgres.is_paused:
            return []
        sql = (
            f"SELECT extract(epoch FROM finished_at) FROM streamforge.queues WHERE status IN {FINAL}"
            f" AND queue_id IN ({', '.join(repr(queue.queue_id) for queue in self.queues)})"
        )
        try:
            ends = [float(row) for row in self.stack.store.query(sql).splitlines()]
        except (RuntimeError, subprocess.TimeoutExpired):
            return []  # it has just gone down, or comes up
        self.open_count = len(self.queues) - len(ends)
        return ends


def run(arguments) -> str:
    programs = arguments.programs.resolve() if arguments.programs else build("debug")
    pool_workers = POOL_WORKERS if has_pool(programs) else 0
    seconds = QUEUE_SECONDS_SHORT if arguments.short else QUEUE_SECONDS
    say(
        f"chaos: engine, seed {arguments.seed}, {arguments.queues} queues, {REPLICAS} replicas, "
        f"{f'{pool_workers} pool workers' if pool_workers else 'no pool'}"
    )
    settings = {
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "START_LIMIT_SECONDS": str(START_LIMIT_SECONDS),
        "EXCHANGE_PAGE_ROWS": "50",
    }
    exchange = ("--no-limits", "--pace", str(max(1, CANDLES // seconds)))
    stack = EngineStack(programs, REPLICAS, pool_workers, settings, exchange)
    with TCPProxy(stack.postgres.port, REPLICAS) as proxy:
        for replica, port in zip(stack.replicas, proxy.ports):
            replica.variables["POSTGRES_URL"] = stack.postgres.url_at(port)
        with stack:
            chaos = ChaosEngine(stack, proxy, arguments)
            try:
                return chaos.run()
            except Exception:
                print_diagnosis(stack, chaos.queues, say)
                raise


def main(description: str, argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos engine",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--queues", type=int, help="default 200, 40 with --short")
    parser.add_argument(
        "--short", action="store_true", help="fewer queues and shorter faults: about 2 minutes"
    )
    parser.add_argument("--programs", type=Path, help="folder of built programs; not given: build them")
    arguments = parser.parse_args(argv)
    arguments.queues = arguments.queues or (40 if arguments.short else 200)
    if arguments.queues < 10:
        parser.error("--queues must be 10 or more")
    return guarded("engine", arguments.seed, lambda: run(arguments))


def guarded(name: str, seed: int, body) -> int:
    """Runs `body` and prints the one line that says how it ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        say(f"chaos: passed: {name}: {body()}, seed {seed}")
        return 0
    except KeyboardInterrupt:
        say("chaos: interrupted")
        return 130
    except (Failure, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        say(f"chaos: FAILED: {name}, seed {seed}: {error}")
        return 1
