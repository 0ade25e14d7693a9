"""Who is killed when and where: the processes of a run, the plan of its kills, and the coverage."""

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crash_page import POINTS, CrashPage
from local_stack import marked_processes, MARK

LOADERS = ("loader-api-candles", "loader-api-trades")
CONNECTOR, MANAGER = "arango-connector", "queue-manager"
# Which process passes a point.
OWNERS = {
    **dict.fromkeys(range(1, 5), LOADERS),
    **dict.fromkeys(range(5, 9), (CONNECTOR,)),
    **dict.fromkeys(range(9, 11), (*LOADERS, CONNECTOR)),
    **dict.fromkeys(range(11, 15), (MANAGER,)),
}
# Before and after each of produce, transaction commit, store write, position commit, final event.
REQUIRED = tuple(range(1, 11))
# These are passed once, at the end or after another's end: whoever waits there waits as long as it takes.
PATIENT = (9, 10, 13, 14)
# After a victim had this long to reach its point, another one is chosen.
ARMED_SECONDS = 5.0


@dataclass
class Victim:
    """One process, held by a descriptor, so that never another one of the same number is killed."""

    pid: int
    kind: str
    name: str
    descriptor: int
    page: CrashPage | None

    def is_alive(self) -> bool:
        try:
            signal.pidfd_send_signal(self.descriptor, 0)
            return True
        except ProcessLookupError:
            return False

    def kill(self) -> bool:
        try:
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
            return True
        except ProcessLookupError:
            return False

    def close(self) -> None:
        os.close(self.descriptor)
        if self.page:
            self.page.close()


@dataclass
class Kill:
    """One moment of the plan: at a point (1 to 14), or wherever the process happens to be (0)."""

    due_seconds: float
    kinds: tuple[str, ...]
    point: int = 0
    is_for_all: bool = False
    victim: Victim | None = None
    armed_at: float = 0


@dataclass
class Coverage:
    """Kills by point over all runs."""

    exact: Counter = field(default_factory=Counter)
    anywhere: Counter = field(default_factory=Counter)

    def missing(self) -> list[str]:
        return [POINTS[point] for point in REQUIRED if not self.exact[point]]

    def table(self) -> str:
        lines = ["where a kill fell             exactly there"]
        lines += [f"{POINTS[point]:<28}  {self.exact[point]:>13}" for point in POINTS]
        anywhere = ", ".join(f"{kind} {count}" for kind, count in sorted(self.anywhere.items()))
        return "\n".join(lines + [f"at random moments: {anywhere or 'none'}"])


def make_plan(chance: random.Random, coverage: Coverage, run_count: int, calm_seconds: float) -> list[Kill]:
    """At least eight moments: one of each kind, all at once, and the points that were hit least."""
    count = max(4, -(-len(POINTS) // run_count))
    wanted = sorted(POINTS, key=lambda point: (coverage.exact[point], point not in REQUIRED, chance.random()))
    moments = [(OWNERS[point], point, False) for point in wanted[:count]]
    moments += [(kinds, 0, False) for kinds in (LOADERS, (CONNECTOR,), (MANAGER,))]
    moments.append(((*LOADERS, CONNECTOR, MANAGER), 0, True))
    chance.shuffle(moments)
    # Spread over the time in which records flow; what takes longest to come is armed first.
    moments.sort(key=lambda moment: moment[1] not in PATIENT)
    step = 0.7 * calm_seconds / len(moments)
    return [
        Kill(1.5 + step * (index + chance.random()), kinds, point, is_for_all)
        for index, (kinds, point, is_for_all) in enumerate(moments)
    ]


class Processes:
    """The processes of one queue: its workers by their environment, and the queue-manager."""

    def __init__(self, stack_id: str, pages: Path):
        self.stack_id = stack_id
        self.pages = pages
        self.kills_of: Counter = Counter()

    def workers(self, queue_id: str) -> dict[int, dict[str, str]]:
        everything = marked_processes(self.stack_id)
        return {pid: env for pid, env in everything.items() if env.get("QUEUE_ID") == queue_id}

    def hold(self, pid: int, kind: str, name: str) -> Victim | None:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return None
        return Victim(pid, kind, name, descriptor, CrashPage.of(self.pages, pid))

    def hold_worker(self, pid: int, environment: dict[str, str]) -> Victim | None:
        name = (
            f"{environment.get('STEP')}[{environment.get('INSTANCE')}] attempt {environment.get('ATTEMPT')}"
        )
        victim = self.hold(pid, environment.get("TARGET", "?"), name)
        # Between the look and the hold the number may have changed hands.
        if victim and marked_environment(pid).get("QUEUE_ID") != environment.get("QUEUE_ID"):
            victim.close()
            return None
        return victim

    def choose(self, chance: random.Random, queue_id: str, kinds, manager_pid: int | None, needs_page: bool):
        """A victim of one of the kinds, killed least so far: no instance must use up its attempts."""
        candidates = []
        if MANAGER in kinds and manager_pid is not None:
            candidates.append((self.kills_of[MANAGER], chance.random(), manager_pid, None))
        for pid, environment in self.workers(queue_id).items():
            if environment.get("TARGET") in kinds:
                instance = f"{environment.get('STEP')}[{environment.get('INSTANCE')}]"
                candidates.append((self.kills_of[instance], chance.random(), pid, environment))
        for _, _, pid, environment in sorted(candidates, key=lambda c: c[:2]):
            victim = self.hold_worker(pid, environment) if environment else self.hold(pid, MANAGER, MANAGER)
            if victim and (victim.page or not needs_page):
                return victim
            if victim:
                victim.close()
        return None

    def count_kill(self, victim: Victim) -> None:
        self.kills_of[victim.name.split(" attempt")[0]] += 1


def marked_environment(pid: int) -> dict[str, str]:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    environment = dict(v.split("=", 1) for v in variables if "=" in v)
    return environment if MARK in environment else {}


def is_armed_too_long(kill: Kill) -> bool:
    return kill.point not in PATIENT and time.monotonic() - kill.armed_at > ARMED_SECONDS
