"""The kill test and the fault test on one machine: see scripts/chaos."""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import candles
from chaos_kills import MANAGER, Coverage, Kill, Processes, is_armed_too_long, make_plan
from crash_page import POINTS
from kafka_topics import topics
from local_stack import ROOT, Failure, LocalStack, Refused, marked_processes, request, wait_for_queue

SYMBOLS = (
    "BTCUSDT ETHUSDT SOLUSDT XRPUSDT DOGEUSDT AVAXUSDT LINKUSDT LTCUSDT TRXUSDT SHIBUSDT PEPEUSDT 1INCHUSDT"
).split()
TIME_RANGE = "2024-08-01:2024-08-07"
INTERVAL = "5m"
TYPE = f"api_candles_{INTERVAL}"

CALM_SECONDS_MIN = 20
FLOWING_KILLS_MIN = 5
# Records a second and symbol: 2,016 candles take 22 s. Small pages make them flow evenly.
PACE = 90
PAGE_ROWS = 100
FAULTS = {
    "server_error_share": 0.05, "cut_body_share": 0.02, "storm_every_seconds": 12, "storm_seconds": 2,
}
LEASE_SECONDS = 6
RUN_SECONDS_MAX = 240
CLEAN_SECONDS_MAX = 60


class QueueManager:
    """The queue-manager as a child of ours, to be killed and started again on the same port."""

    def __init__(self, stack: LocalStack, pages: Path):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.program = stack.programs / "queue-manager"
        self.log = stack.data / "logs" / "queue-manager.log"
        worker = stack.folder / "worker"
        # The queue-manager passes no settings of the loader on; smaller pages are this test's own wish.
        worker.write_text(
            f'#!/bin/sh\nexport EXCHANGE_PAGE_ROWS={PAGE_ROWS}\nexec "{stack.programs}/streamforge-worker" "$@"\n'
        )
        worker.chmod(0o700)
        self.environment = os.environ | stack.addresses | {
            "PORT": str(self.port), "WORKER_PATH": str(worker), "CRASH_POINTS_DIR": str(pages),
            "WORKER_LOG_DIR": str(stack.data / "logs" / "workers"), "LEASE_SECONDS": str(LEASE_SECONDS),
        }
        self.process = None
        self.start_at = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", str(self.program)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
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


class Chaos:
    """All runs on one stack."""

    def __init__(self, stack: LocalStack, arguments):
        self.stack, self.arguments = stack, arguments
        self.pages = stack.folder / "crash-points"
        self.pages.mkdir()
        self.manager = QueueManager(stack, self.pages)
        self.store = candles.Store(stack.addresses["POSTGRES_URL"])
        self.exchange = stack.addresses["BINANCE_API_URL"]
        self.coverage = Coverage()
        self.sources = {
            symbol: candles.of_source(ROOT / "data" / "sample", symbol, INTERVAL, TIME_RANGE)
            for symbol in SYMBOLS
        }
        self.expected = sum(source.count for source in self.sources.values())
        self.queue_id = ""

    def all_runs(self) -> None:
        self.manager.start()
        seconds, _ = self.one_run(0, [])
        say(f"calm run: {seconds:.1f} s, {self.expected} records")
        if seconds < CALM_SECONDS_MIN:
            raise Failure(f"the calm run took {seconds:.1f} s: the exchange must be slower")
        kill_count = 0
        for number in range(1, self.arguments.runs + 1):
            chance = random.Random(f"{self.arguments.seed}-{number}")
            plan = make_plan(chance, self.coverage, self.arguments.runs, seconds)
            kill_count += self.one_run(number, plan, chance)[1]
        say(self.coverage.table())
        missing = self.coverage.missing()
        if missing:
            raise Failure(f"no kill fell {', '.join(missing)}: use more runs")
        say(
            f"chaos: passed: {self.arguments.runs} runs, {kill_count} kills, every store equal to its source, "
            f"seed {self.arguments.seed}{', with faults' if self.arguments.faults else ''}"
        )

    def one_run(self, number: int, plan: list[Kill], chance=None) -> tuple[float, int]:
        for symbol in SYMBOLS:
            self.store.drop_collection(candles.collection_of(symbol, TYPE, TIME_RANGE))
        self.set_faults(PACE)
        start = time.monotonic()
        self.queue_id = self.start_queue(f"chaos-{self.arguments.seed}-{number}")
        killing = Killing(self, number, plan, chance or random.Random(0))
        queue = killing.until_final()
        seconds = time.monotonic() - start
        self.check_finished(queue)
        if plan and killing.flowing_count < FLOWING_KILLS_MIN:
            raise Failure(
                f"run {number}: {killing.flowing_count} kills while records flowed, not {FLOWING_KILLS_MIN}")
        self.check_store(f"run {number}")
        self.check_second_run(number)
        self.check_nothing_left()
        self.check_manners()
        if plan:
            say(
                f"run {number}: finished in {seconds:.1f} s, {killing.count} kills ({killing.flowing_count} while "
                f"records flowed), {len(SYMBOLS)} stores agree, second run added nothing, nothing left over"
            )
        return seconds, killing.count

    def set_faults(self, pace: int) -> None:
        faults = FAULTS if self.arguments.faults else {}
        request("POST", f"{self.exchange}/_replay/faults", faults | {"pace_records_per_second": pace})

    def start_queue(self, key: str) -> str:
        body = {"symbols": SYMBOLS, "type": TYPE, "time_range": TIME_RANGE}
        deadline = time.monotonic() + 60
        while True:
            self.manager.start_when_due(was_killed=True)
            try:
                answer = request("POST", f"{self.manager.base}/queues/start", body, {"Idempotency-Key": key})
                return answer["queue_id"]
            except (OSError, Refused) as error:
                # Down, or the exchange (with its faults) could not be asked: the same key may be sent again.
                if isinstance(error, Refused) and error.status < 500 or time.monotonic() > deadline:
                    raise Failure(f"the queue could not be started: {error}") from None
            time.sleep(0.1)

    def stored_count(self) -> int:
        """Records of the present queue that the store's streams have seen."""
        sql = (
            "SELECT coalesce(sum(records_written + duplicates), 0) FROM document_store.streams"
            f" WHERE starts_with(stream, '{self.queue_id}-')"
        )
        try:
            return int(self.store.query(sql))
        except RuntimeError:
            return 0  # before the first connector has made the table

    def check_finished(self, queue: dict) -> None:
        if queue["status"] != "finished":
            raise Failure(f"{queue['queue_id']} is {queue['status']}: {queue['reason']}")

    def check_store(self, what: str) -> None:
        for symbol, source in self.sources.items():
            stored = self.store.of_collection(candles.collection_of(symbol, TYPE, TIME_RANGE))
            if stored != source:
                raise Failure(f"{what}: {symbol}: the source is {source}, the store {stored}")

    def check_second_run(self, number: int) -> None:
        self.set_faults(0)
        self.queue_id = self.start_queue(f"chaos-{self.arguments.seed}-{number}-again")
        queue = wait_for_queue(
            self.manager.base, self.queue_id, RUN_SECONDS_MAX, lambda queue: self.stack.check())
        self.check_finished(queue)
        for step in queue["steps"]:
            for instance in step["instances"] if step["input"] else []:
                count = self.sources[instance["instance"]].count
                found = [instance[name] for name in ("records_read", "records_written", "duplicates", "dead_letters")]
                if found != [count, 0, count, 0]:
                    raise Failure(
                        f"run {number} again: {instance['instance']}: read, written, duplicates, dead letters are "
                        f"{found}, not {[count, 0, count, 0]}")
        self.check_store(f"run {number} again")

    def check_nothing_left(self) -> None:
        deadline = time.monotonic() + CLEAN_SECONDS_MAX
        while left := self.left_over():
            if time.monotonic() > deadline:
                raise Failure(f"left over {CLEAN_SECONDS_MAX} s after the end: {'; '.join(left)}")
            time.sleep(0.2)

    def left_over(self) -> list[str]:
        left = []
        workers = [
            pid for pid in marked_processes(self.stack.addresses["STREAMFORGE_STACK"]) if pid != self.manager.pid
        ]
        if workers:
            left.append(f"processes {workers}")
        # No record was refused here, so no dead-letter topic has a reason to stay either.
        names = [name for name in topics(self.stack.addresses["KAFKA_BOOTSTRAP_SERVERS"]) if name.startswith("wf-")]
        if names:
            left.append(f"topics {names[:4]} of {len(names)}")
        attempts = int(self.store.query("SELECT count(*) FROM streamforge.attempts WHERE ended_at IS NULL"))
        if attempts:
            left.append(f"{attempts} attempts with a lease")
        claims = int(self.store.query("SELECT count(*) FROM streamforge.queues WHERE NOT is_cleaned"))
        if claims:
            left.append(f"{claims} queues not cleaned")
        commands = int(self.store.query("SELECT count(*) FROM streamforge.outbox"))
        if commands:
            left.append(f"{commands} commands to send")
        return left

    def check_manners(self) -> None:
        statistics = request("GET", f"{self.exchange}/_replay/stats")
        early = statistics["requests_before_retry_after"]
        if early:
            clients = {
                name: client for name, client in statistics["clients"].items()
                if client["requests_before_retry_after"]
            }
            raise Failure(f"{early} requests were made before Retry-After was over: {json.dumps(clients)}")
        if self.arguments.faults and not statistics["answers"].get("429"):
            raise Failure(f"the exchange answered no 429: {statistics['answers']}")

    def print_diagnosis(self) -> None:
        """What is known of the queue at hand, for whoever has to find out why."""
        try:
            queue = request("GET", f"{self.manager.base}/queues/{self.queue_id}")
            for step in queue.get("steps", []):
                step["instances"] = [one for one in step["instances"] if one["status"] != "finished"]
            say(f"without what is finished: {json.dumps(queue, indent=1)}")
            events, page = [], {"next_after": 0}
            while page["next_after"] is not None:
                page = request(
                    "GET", f"{self.manager.base}/queues/{self.queue_id}/events?limit=1000&after={page['next_after']}")
                events += page["events"]
            say("\n".join(json.dumps(event) for event in events[-15:]))
        except (Failure, OSError) as error:
            say(f"the queue-manager does not answer: {error}")
        logs = sorted((self.stack.data / "logs" / "workers").glob(f"{self.queue_id}-*.log"), key=os.path.getmtime)
        for log in [self.manager.log] + logs[-6:]:
            lines = log.read_text(errors="replace").splitlines()[-6:]
            say(f"--- {log.name}\n" + "\n".join(line[:500] for line in lines))


class Killing:
    """The kills of one run."""

    def __init__(self, chaos: Chaos, number: int, plan: list[Kill], chance: random.Random):
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
            while (now := time.monotonic()) - self.start < RUN_SECONDS_MAX:
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
            raise Failure(f"run {self.number}: {self.chaos.queue_id} is not final after {RUN_SECONDS_MAX} s")
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
            self.chance, self.chaos.queue_id, kill.kinds, manager if manager not in held else None,
            needs_page=kill.point > 0)
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
        flow = "" if stored is None else f", {stored} of {self.chaos.expected} records stored"
        say(
            f"run {self.number} {seconds:5.1f} s: killed {victim.kind} {victim.name if victim.kind != MANAGER else ''}"
            f" (process {victim.pid}) {place}{flow}".replace("  ", " "))

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


def build() -> Path:
    subprocess.run([ROOT / "scripts" / "setup"], check=True)
    subprocess.run([ROOT / "scripts" / "build"], check=True, stdout=sys.stderr)
    shown = subprocess.run(["swift", "build", "--show-bin-path"], check=True, capture_output=True, text=True, cwd=ROOT)
    return Path(shown.stdout.strip())


def run(arguments) -> None:
    programs = arguments.programs.resolve() if arguments.programs else build()
    say(f"chaos: seed {arguments.seed}, {arguments.runs} runs{', faults' if arguments.faults else ''}")
    with LocalStack(programs, with_queue_manager=False) as stack:
        chaos = Chaos(stack, arguments)
        try:
            chaos.all_runs()
        except BaseException:
            chaos.print_diagnosis()
            raise
        finally:
            chaos.manager.stop()


def main(description: str) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", choices=["local"], help="on this machine")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--programs", type=Path, help="folder of built programs; not given: build them")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be 1 or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(arguments)
        return 0
    except KeyboardInterrupt:
        say("chaos: interrupted")
        return 130
    except (Failure, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        say(f"chaos: FAILED, seed {arguments.seed}: {error}")
        return 1
