"""The kill test and the fault test on one machine: see scripts/chaos."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import candles
from chaos_killing import RUN_SECONDS_MAX, Killing, say
from chaos_kills import Coverage, Kill, make_plan
from chaos_manager import QueueManager
from chaos_work import WORK
from kafka_topics import topics
from local_stack import ROOT, Failure, LocalStack, Refused, marked_processes, request, wait_for_queue

CALM_SECONDS_MIN = 20
# A file's records come at once, so fewer kills fall between the first and the last.
FLOWING_KILLS_MIN = {"rest": 5, "auto": 3, "archive": 1}
# With auto, so many requests for files are answered as if there were none yet: attempts mix both sources.
ARCHIVE_MISSING_SHARE = 0.5
# More than any run uses in a minute: with small pages the weight would be the slowest part.
WEIGHT_MAX = "1000000"
FAULTS = {
    "server_error_share": 0.05,
    "cut_body_share": 0.02,
    "storm_every_seconds": 12,
    "storm_seconds": 2,
    "archive_damage_share": 0.05,
}
CLEAN_SECONDS_MAX = 60


class Chaos:
    """All runs on one stack."""

    def __init__(self, stack: LocalStack, arguments):
        self.stack, self.arguments = stack, arguments
        self.pages = stack.folder / "crash-points"
        self.pages.mkdir()
        self.work = WORK[arguments.records](ROOT / "data" / "sample")
        self.manager = QueueManager(
            stack,
            self.pages,
            {
                "EXCHANGE_PAGE_ROWS": str(arguments.page_rows or self.work.page_rows),
                "EXCHANGE_WEIGHT_MAX": WEIGHT_MAX,
                "EXCHANGE_SOURCE": arguments.source,
            },
        )
        self.store = candles.Store(stack.addresses["POSTGRES_URL"])
        self.exchange = stack.addresses["BINANCE_API_URL"]
        self.coverage = Coverage()
        self.expected = sum(source.count for source in self.work.sources.values())
        self.queue_id = ""
        self.run_seconds_max = float(RUN_SECONDS_MAX)

    def all_runs(self) -> None:
        self.manager.start()
        seconds, _ = self.one_run(0, [])
        say(f"calm run: {seconds:.1f} s, {self.expected} records")
        if seconds < CALM_SECONDS_MIN:
            raise Failure(f"the calm run took {seconds:.1f} s: the exchange must be slower")
        # Kills cost waits and repeated work, of which a slow machine does all slowly.
        self.run_seconds_max = max(self.run_seconds_max, 4 * seconds)
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
            f"chaos: passed: {self.arguments.runs} runs, {kill_count} kills, every store equal to its source"
            f", seed {self.arguments.seed}{', with faults' if self.arguments.faults else ''}"
        )

    def one_run(self, number: int, plan: list[Kill], chance=None) -> tuple[float, int]:
        for symbol in self.work.symbols:
            self.store.drop_collection(self.work.collection(symbol))
        self.set_faults(self.work.pace)
        start = time.monotonic()
        self.queue_id = self.start_queue(f"chaos-{self.arguments.seed}-{number}")
        killing = Killing(self, number, plan, chance or random.Random(0))
        queue = killing.until_final()
        seconds = time.monotonic() - start
        self.check_finished(queue)
        flowing_min = FLOWING_KILLS_MIN[self.arguments.source]
        if plan and killing.flowing_count < flowing_min:
            raise Failure(f"run {number}: {killing.flowing_count} kills while records flowed, not {flowing_min}")
        self.work.check(self.store, f"run {number}")
        self.check_second_run(number)
        self.check_nothing_left()
        self.check_manners()
        if plan:
            say(
                f"run {number}: finished in {seconds:.1f} s, {killing.count} kills "
                f"({killing.flowing_count} while records flowed), {len(self.work.symbols)} stores agree, "
                "second run added nothing, nothing left over"
            )
        return seconds, killing.count

    def set_faults(self, pace: int) -> None:
        faults = FAULTS if self.arguments.faults else {}
        # Whoever wants files only must find them.
        missing = ARCHIVE_MISSING_SHARE if self.arguments.source == "auto" else 0
        extra = {"pace_records_per_second": pace, "archive_missing_share": missing}
        request("POST", f"{self.exchange}/_replay/faults", faults | extra)

    def start_queue(self, key: str) -> str:
        deadline, headers = time.monotonic() + 60, {"Idempotency-Key": key}
        while True:
            self.manager.start_when_due(was_killed=True)
            try:
                answer = request("POST", f"{self.manager.base}/queues/start", self.work.request(), headers)
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

    def check_second_run(self, number: int) -> None:
        self.set_faults(0)
        self.queue_id = self.start_queue(f"chaos-{self.arguments.seed}-{number}-again")
        queue = wait_for_queue(
            self.manager.base, self.queue_id, self.run_seconds_max, lambda queue: self.stack.check()
        )
        self.check_finished(queue)
        for step in queue["steps"]:
            for instance in step["instances"] if step["input"] else []:
                count = self.work.sources[instance["instance"]].count
                found = [
                    instance[name]
                    for name in ("records_read", "records_written", "duplicates", "dead_letters")
                ]
                if found != [count, 0, count, 0]:
                    raise Failure(
                        f"run {number} again: {instance['instance']}: "
                        f"read, written, duplicates, dead letters are {found}, not {[count, 0, count, 0]}"
                    )
        self.work.check(self.store, f"run {number} again")

    def check_nothing_left(self) -> None:
        deadline = time.monotonic() + CLEAN_SECONDS_MAX
        while left := self.left_over():
            if time.monotonic() > deadline:
                raise Failure(f"left over {CLEAN_SECONDS_MAX} s after the end: {'; '.join(left)}")
            time.sleep(0.2)

    def left_over(self) -> list[str]:
        left = []
        workers = [
            pid
            for pid in marked_processes(self.stack.addresses["STREAMFORGE_STACK"])
            if pid != self.manager.pid
        ]
        if workers:
            left.append(f"processes {workers}")
        # No record was refused here, so no dead-letter topic has a reason to stay either.
        names = [
            name for name in topics(self.stack.addresses["KAFKA_BOOTSTRAP_SERVERS"]) if name.startswith("wf-")
        ]
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
                name: client
                for name, client in statistics["clients"].items()
                if client["requests_before_retry_after"]
            }
            raise Failure(f"{early} requests were made before Retry-After was over: {json.dumps(clients)}")
        if self.arguments.source != "rest" and not statistics["answers"].get("archive 200"):
            raise Failure(f"the exchange gave no file: {statistics['answers']}")
        if self.arguments.faults and self.arguments.source == "rest" and not statistics["answers"].get("429"):
            raise Failure(f"the exchange answered no 429: {statistics['answers']}")

    def print_diagnosis(self) -> None:
        """What is known of the queue at hand, for whoever has to find out why."""
        try:
            queue_address = f"{self.manager.base}/queues/{self.queue_id}"
            queue = request("GET", queue_address)
            for step in queue.get("steps", []):
                step["instances"] = [one for one in step["instances"] if one["status"] != "finished"]
            say(f"without what is finished: {json.dumps(queue, indent=1)}")
            events, page = [], {"next_after": 0}
            while page["next_after"] is not None:
                page = request(
                    "GET",
                    f"{queue_address}/events?limit=1000&after={page['next_after']}",
                )
                events += page["events"]
            say("\n".join(json.dumps(event) for event in events[-15:]))
        except (Failure, OSError) as error:
            say(f"the queue-manager does not answer: {error}")
        logs = sorted(
            (self.stack.data / "logs" / "workers").glob(f"{self.queue_id}-*.log"), key=os.path.getmtime
        )
        for log in [self.manager.log] + logs[-6:]:
            lines = log.read_text(errors="replace").splitlines()[-6:]
            say(f"--- {log.name}\n" + "\n".join(line[:500] for line in lines))


def build() -> Path:
    subprocess.run([ROOT / "scripts" / "setup"], check=True)
    subprocess.run([ROOT / "scripts" / "build"], check=True, stdout=sys.stderr)
    shown = subprocess.run(
        ["swift", "build", "--show-bin-path"], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return Path(shown.stdout.strip())


def run(arguments) -> None:
    programs = arguments.programs.resolve() if arguments.programs else build()
    say(f"chaos: seed {arguments.seed}, {arguments.runs} runs{', faults' if arguments.faults else ''}")
    with LocalStack(
        programs, with_queue_manager=False, environment={"EXCHANGE_WEIGHT_MAX": WEIGHT_MAX}
    ) as stack:
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
        prog="scripts/chaos", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("where", choices=["local"], help="on this machine")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--records", choices=sorted(WORK), default="candles")
    parser.add_argument("--source", choices=["rest", "archive", "auto"], default="rest")
    parser.add_argument("--page-rows", type=int, help="records asked for at once; by default 100")
    parser.add_argument("--programs", type=Path, help="folder of built programs; not given: build them")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be 1 or more")
    if arguments.page_rows is not None and not 1 <= arguments.page_rows <= 1000:
        parser.error("--page-rows must be 1 to 1000")
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
