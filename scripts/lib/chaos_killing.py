"""Carries out the kills of one run while its queue is followed."""

import random
import signal
import time

from chaos_kills import MANAGER, Kill, Processes, is_armed_too_long
from crash_page import POINTS
from local_stack import Failure, Refused, request

RUN_SECONDS_MAX = 240


class Killing:
    """The kills of one run."""

    def __init__(self, chaos, number: int, plan: list[Kill], chance: random.Random):
        self.chaos, self.number, self.chance = chaos, number, chance
        self.waiting = list(plan)
        self.armed: list[Kill] = []
        self.count = self.flowing_count = 0
        self.start = time.monotonic()
        self.processes = Processes(chaos.stack.addresses["STREAMFORGE_STACK"], chaos.pages)
        self.manager_was_killed = False

    def until_final(self) -> dict:
        """Kills as planned until the queue is final. Raises Failure when that takes too long."""
        looked_at = 0.0
        try:
            while (now := time.monotonic()) - self.start < self.chaos.run_seconds_max:
                self.chaos.stack.check()
                self.chaos.manager.start_when_due(self.manager_was_killed)
                self.begin_due_kills()
                self.look_at_armed()
                if now - looked_at > 0.3:
                    looked_at = now
                    queue = self.queue()
                    if queue and queue["status"] in ("finished", "failed", "stopped"):
                        return queue
                time.sleep(0.01)
            raise Failure(
                f"run {self.number}: {self.chaos.queue_id} is not final after "
                f"{self.chaos.run_seconds_max:.0f} s"
            )
        finally:
            self.release()

    def queue(self) -> dict | None:
        try:
            return request("GET", f"{self.chaos.manager.base}/queues/{self.chaos.queue_id}", timeout=2)
        except (OSError, Refused):
            return None  # down at the moment, or just starting

    def begin_due_kills(self) -> None:
        elapsed = time.monotonic() - self.start
        for kill in [kill for kill in self.waiting if kill.due_seconds <= elapsed]:
            if kill.is_for_all:
                self.waiting.remove(kill)
                self.kill_all()
            elif victim := self.choose(kill):
                self.waiting.remove(kill)
                if kill.point:
                    self.arm(kill, victim)
                else:
                    self.strike(victim, victim.page.place if victim.page else "at its start")
                    victim.close()

    def choose(self, kill: Kill):
        held = {armed.victim.pid for armed in self.armed if armed.victim}
        manager = self.chaos.manager.pid
        victim = self.processes.choose(
            self.chance,
            self.chaos.queue_id,
            kill.kinds,
            manager if manager not in held else None,
            needs_page=kill.point > 0,
        )
        if victim and victim.pid in held:
            victim.close()
            return None
        return victim

    def arm(self, kill: Kill, victim) -> None:
        kill.victim, kill.armed_at = victim, time.monotonic()
        victim.page.arm(kill.point)
        self.armed.append(kill)

    def look_at_armed(self) -> None:
        for kill in list(self.armed):
            victim = kill.victim
            if point := victim.page.stopped:
                self.strike(victim, f"exactly {POINTS[point]} (visit {victim.page.count(point)})", point)
            elif victim.is_alive() and not is_armed_too_long(kill):
                continue
            else:
                victim.page.disarm()
                # It may have stopped in this very moment: then it is looked at again.
                if victim.page.stopped:
                    continue
                self.waiting.append(kill)
            self.armed.remove(kill)
            victim.close()
            kill.victim = None

    def kill_all(self) -> None:
        victims = []
        if self.chaos.manager.pid is not None:
            victims.append(self.processes.hold(self.chaos.manager.pid, MANAGER, MANAGER))
        for pid, environment in self.processes.workers(self.chaos.queue_id).items():
            victims.append(self.processes.hold_worker(pid, environment))
        victims = [victim for victim in victims if victim]
        places = [(victim, victim.page.place if victim.page else "at its start") for victim in victims]
        is_first = True
        for victim, place in places:
            self.strike(victim, f"{place}, with all others", counts=is_first)
            is_first = False
            victim.close()

    def strike(self, victim, place: str, point: int = 0, counts: bool = True) -> None:
        stored = self.chaos.stored_count() if counts else None
        if not victim.kill():
            return
        self.processes.count_kill(victim)
        if point:
            self.chaos.coverage.exact[point] += 1
        else:
            self.chaos.coverage.anywhere[victim.kind] += 1
        if victim.kind == MANAGER:
            self.manager_was_killed = True
            self.chaos.manager.process.wait(10)
            self.chaos.manager.start_at = time.monotonic() + self.chance.uniform(0.1, 2)
        if counts:
            self.count += 1
            self.flowing_count += 0 < stored < self.chaos.expected
        seconds = time.monotonic() - self.start
        name = victim.name if victim.kind != MANAGER else ""
        flow = "" if stored is None else f", {stored} of {self.chaos.expected} records stored"
        say(
            f"run {self.number} {seconds:5.1f} s: killed {victim.kind} {name}"
            f" (process {victim.pid}) {place}{flow}".replace("  ", " ")
        )

    def release(self) -> None:
        """Lets go of everybody who is still armed; one that stands at its point already goes on."""
        for kill in self.armed:
            kill.victim.page.disarm()
            if kill.victim.page.stopped and kill.victim.is_alive():
                signal.pidfd_send_signal(kill.victim.descriptor, signal.SIGCONT)
            kill.victim.close()
        self.armed = []


def say(text: str) -> None:
    print(text, flush=True)
