"""The faults of a chaos run: a plan made from a seed, and who carries it out."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from engine_parts import Broker
from engine_stack import EngineStack
from local_stack import Failure
from tcp_proxy import TCPProxy

PG_FAST, PG_IMMEDIATE, PG_KILLED, PG_PAUSED = (
    "PostgreSQL restarted (fast)",
    "PostgreSQL restarted (immediate)",
    "PostgreSQL killed -9",
    "PostgreSQL paused",
)
BROKER, REPLICA, ALL_REPLICAS = "broker restarted", "replica killed -9", "all replicas killed -9"
WORKERS_KILLED, WORKERS_STOPPED = "workers killed -9", "workers stopped beyond their lease"
NETWORK_REFUSED, NETWORK_SILENT = "network cut, refusing", "network cut, silent"

# Nobody but their own queues waits for these: other faults fall meanwhile.
OVERLAPPING = (WORKERS_KILLED, WORKERS_STOPPED)

# How many workers a fault takes: a share of those that run, at least some.
WORKERS_SHARE, WORKERS_MIN = 0.05, 4


@dataclass
class Fault:
    """One fault, from `at` seconds after the queues' start on."""

    kind: str
    at: float
    seconds: float = 0


@dataclass(frozen=True)
class Sizes:
    """How long faults last, in seconds."""

    pause: float = 10
    cut: float = 20
    stop_beyond_lease: float = 6
    gap_most: float = 2.5


SHORT = Sizes(pause=4, cut=6, stop_beyond_lease=4, gap_most=1)


def plan_faults(chance: random.Random, replicas: int, lease: float, sizes: Sizes) -> list[Fault]:
    """Every kind at least once, in an order of the seed, one after the other but for what may overlap."""
    kinds = [PG_FAST, PG_IMMEDIATE, PG_KILLED, PG_PAUSED, BROKER, ALL_REPLICAS]
    kinds += [REPLICA] * replicas + [WORKERS_KILLED, WORKERS_KILLED, WORKERS_STOPPED]
    kinds.append(chance.choice([NETWORK_REFUSED, NETWORK_SILENT]))
    chance.shuffle(kinds)
    lengths = {
        PG_PAUSED: sizes.pause,
        NETWORK_REFUSED: sizes.cut,
        NETWORK_SILENT: sizes.cut,
        WORKERS_STOPPED: lease + sizes.stop_beyond_lease,
    }
    faults, at = [], 3.0
    for kind in kinds:
        at += chance.uniform(0.3, sizes.gap_most)
        seconds = lengths.get(kind, chance.uniform(0.3, 2.5))
        faults.append(Fault(kind, at, seconds))
        # What is down comes back before the next fault; a stopped worker does not keep anybody waiting.
        at += seconds if kind not in OVERLAPPING else 0
    return faults


@dataclass
class Done:
    """What a fault met."""

    fault: Fault
    at: float
    in_flight: int
    what: str


@dataclass
class Storm:
    """Carries out a plan: called again and again by whoever watches the queues, it never waits long."""

    stack: EngineStack
    proxy: TCPProxy
    chance: random.Random
    waiting: list[Fault]
    tell: Callable[[str], None]
    in_flight: Callable[[], int]
    begun: float = field(default_factory=time.monotonic)
    done: list[Done] = field(default_factory=list)
    ends: list[tuple[float, Fault, Callable[[], None]]] = field(default_factory=list)
    next_replica: int = 0

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.begun

    @property
    def is_over(self) -> bool:
        return not self.waiting and not self.ends

    def step(self) -> None:
        """What is due: ends of faults first."""
        for due in [one for one in self.ends if one[0] <= self.elapsed]:
            self.ends.remove(due)
            due[2]()
        # A fault that began late lasts as long as planned all the same: the next one waits for it.
        is_free = all(fault.kind in OVERLAPPING for _, fault, _ in self.ends)
        if is_free and self.waiting and self.waiting[0].at <= self.elapsed:
            self._begin(self.waiting.pop(0))

    def release(self) -> None:
        """Undoes what still lasts."""
        for _, _, end in self.ends:
            end()
        self.ends = []

    def _begin(self, fault: Fault) -> None:
        in_flight = self.in_flight()
        what, end = self._actions[fault.kind](self, fault)
        if end:
            self.ends.append((self.elapsed + fault.seconds, fault, end))
        self.done.append(Done(fault, self.elapsed, in_flight, what))
        self.tell(f"{self.elapsed:6.1f} s: {fault.kind}{': ' + what if what else ''}, {in_flight} in flight")

    def _stop_postgres(self, fault: Fault):
        postgres = self.stack.postgres
        number = {PG_FAST: signal.SIGINT, PG_IMMEDIATE: signal.SIGQUIT, PG_KILLED: signal.SIGKILL}[fault.kind]
        postgres.send(number)
        postgres.process.wait(60)
        return f"down for {fault.seconds:.1f} s", postgres.start

    def _pause_postgres(self, fault: Fault):
        self.stack.postgres.pause()
        return f"for {fault.seconds:.0f} s", self.stack.postgres.resume

    def _restart_broker(self, fault: Fault):
        broker = self.stack.broker
        if broker.kind == Broker.EXTERNAL:
            return "not ours, left alone", None
        if broker.kind == Broker.KAFKA:
            broker.kill()
        else:
            # It keeps what it was told only when it may say good-bye.
            broker.stop()
        return f"{broker.kind}, down for {fault.seconds:.1f} s", broker.start

    def _kill_replica(self, fault: Fault):
        replica = self.stack.replicas[self.next_replica % len(self.stack.replicas)]
        self.next_replica += 1
        replica.kill()
        return f"{replica.name}, down for {fault.seconds:.1f} s", replica.launch

    def _kill_replicas(self, fault: Fault):
        for replica in self.stack.replicas:
            replica.kill()

        def launch():
            for replica in self.stack.replicas:
                replica.launch()

        return f"down for {fault.seconds:.1f} s", launch

    def _some_workers(self) -> list[int]:
        """Processes that replicas launched."""
        found = sorted(self.stack.workers())
        return self.chance.sample(found, min(len(found), max(WORKERS_MIN, round(len(found) * WORKERS_SHARE))))

    def _kill_workers(self, fault: Fault):
        victims = self._some_workers()
        for pid in victims:
            _send(pid, signal.SIGKILL)
        words = [f"{len(victims)} processes"]
        for worker in self.stack.pool[:1]:
            worker = self.chance.choice(self.stack.pool)
            worker.kill()
            words.append(worker.name)

        def launch():
            for worker in self.stack.pool:
                if worker.pid is None:
                    worker.launch()

        return ", ".join(words), launch if self.stack.pool else None

    def _stop_workers(self, fault: Fault):
        victims = self._some_workers()
        for pid in victims:
            _send(pid, signal.SIGSTOP)
        worker = self.chance.choice(self.stack.pool) if self.stack.pool else None
        if worker:
            worker.pause()

        def resume():
            for pid in victims:
                _send(pid, signal.SIGCONT)
            if worker:
                worker.resume()

        pool = f", {worker.name}" if worker else ""
        return f"{len(victims)} processes{pool} for {fault.seconds:.0f} s", resume

    def _cut_network(self, fault: Fault):
        state = TCPProxy.REFUSED if fault.kind == NETWORK_REFUSED else TCPProxy.SILENT
        numbers = range(len(self.proxy.links))
        for number in numbers:
            self.proxy.set_state(number, state)

        def restore():
            for number in numbers:
                self.proxy.set_state(number, TCPProxy.OPEN)

        return f"for {fault.seconds:.0f} s", restore

    _actions = {
        PG_FAST: _stop_postgres,
        PG_IMMEDIATE: _stop_postgres,
        PG_KILLED: _stop_postgres,
        PG_PAUSED: _pause_postgres,
        BROKER: _restart_broker,
        REPLICA: _kill_replica,
        ALL_REPLICAS: _kill_replicas,
        WORKERS_KILLED: _kill_workers,
        WORKERS_STOPPED: _stop_workers,
        NETWORK_REFUSED: _cut_network,
        NETWORK_SILENT: _cut_network,
    }


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended by itself


def table(done: list[Done]) -> str:
    """How often each kind fell, and how many queues were in flight at the least."""
    lines = [f"{'fault':<38}{'times':>6}{'in flight':>12}"]
    for kind in sorted({one.fault.kind for one in done}):
        met = [one.in_flight for one in done if one.fault.kind == kind]
        cell = f"{min(met)}..{max(met)}" if len(met) > 1 else str(met[0])
        lines.append(f"{kind:<38}{len(met):>6}{cell:>12}")
    return "\n".join(lines)


def check_hits(done: list[Done], least: int) -> None:
    """Raises Failure when a fault fell on an engine that had next to nothing to do."""
    for one in done:
        if one.in_flight < least:
            raise Failure(
                f"{one.fault.kind} at {one.at:.1f} s met {one.in_flight} queues in flight, not {least}: "
                "the queues must take longer"
            )
