"""The kill test of the whole chain from candles to predictions: see scripts/chaos."""

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import candles
from chaos_kills import MANAGER, Processes
from chaos_local import CLEAN_SECONDS_MAX, WEIGHT_MAX, build
from chaos_manager import QueueManager
from chaos_work import CandleWork
from kafka_topics import topics
from local_stack import ROOT, Failure, LocalStack, Refused, marked_processes, request

STEPS = ("load", "store", "graph", "train", "infer")
# Kills in one run of any one instance: it has ten attempts.
KILLS_OF_STEP = {"load": 3, "store": 3, "graph": 2, "train": 2, "infer": 1}
RUN_SECONDS_MAX = 400
# Records a second and symbol: 2,016 candles take 10 s.
PACE = 200
PARAMETERS = {"interval": "5m", "window": 288, "stride": 12, "top_k": 4, "horizon": 12, "epochs": 60}
# What makes a model: these must be equal, whatever was killed.
PREDICTED = ("symbol", "as_of", "until", "probabilities", "direction")
SAME = ("weights_sha256", "metrics", "graph_version", "graph_helps")


def say(text: str) -> None:
    print(text, flush=True)


class ModelChaos:
    """All runs on one stack: one that nobody disturbs, then those with kills."""

    def __init__(self, stack: LocalStack, arguments):
        self.stack, self.arguments = stack, arguments
        self.work = CandleWork(ROOT / "data" / "sample")
        pages = stack.folder / "crash-points"
        pages.mkdir()
        self.manager = QueueManager(
            stack, pages, {"EXCHANGE_PAGE_ROWS": "100", "EXCHANGE_WEIGHT_MAX": WEIGHT_MAX}
        )
        self.store = candles.Store(stack.addresses["POSTGRES_URL"])
        self.processes = Processes(stack.addresses["STREAMFORGE_STACK"], pages)
        self.killed: Counter = Counter()

    def all_runs(self) -> None:
        self.manager.start()
        faults = {"pace_records_per_second": PACE}
        request("POST", f"{self.stack.addresses['BINANCE_API_URL']}/_replay/faults", faults)
        calm, seconds = self.one_run(0, None)
        say(f"calm run: {seconds:.1f} s, {calm['summary']}")
        for number in range(1, self.arguments.runs + 1):
            chance = random.Random(f"{self.arguments.seed}-{number}")
            before = sum(self.killed.values())
            model, seconds = self.one_run(number, chance)
            different = [name for name in (*SAME, "predictions") if model[name] != calm[name]]
            if different:
                pairs = "; ".join(f"{name}: {calm[name]} and {model[name]}" for name in different)
                raise Failure(f"run {number} made another model than the calm one: {pairs[:2000]}")
            say(
                f"run {number}: finished in {seconds:.1f} s, {sum(self.killed.values()) - before} kills, "
                "the same weights, metrics and predictions, nothing left over"
            )
        missing = [step for step in (*STEPS, MANAGER) if not self.killed[step]]
        if missing:
            raise Failure(f"nobody was killed of {', '.join(missing)}: use more runs")
        kills = ", ".join(f"{step} {self.killed[step]}" for step in (*STEPS, MANAGER))
        say(
            f"chaos: passed: model: {self.arguments.runs} runs, {sum(self.killed.values())} kills ({kills}), "
            f"every model and prediction equal to the calm run's, seed {self.arguments.seed}"
        )

    def one_run(self, number: int, chance: random.Random | None) -> tuple[dict, float]:
        for symbol in self.work.symbols:
            self.store.drop_collection(self.work.collection(symbol))
        name = f"chaos_{number}"
        parameters = {"symbols": self.work.symbols, "time_range": self.work.time_range, "model": name}
        body = {
            "template": "candles_to_model",
            "parameters": PARAMETERS | parameters | {"graph": f"{name}_graph"},
        }
        begun = time.monotonic()
        queue_id = request("POST", f"{self.manager.base}/queues/start", body)["queue_id"]
        queue = self.until_final(number, queue_id, begun, chance)
        seconds = time.monotonic() - begun
        if queue["status"] != "finished":
            raise Failure(f"run {number}: {queue_id} is {queue['status']}: {queue['reason']}")
        self.work.check(self.store, f"run {number}")
        self.check_nothing_left(number)
        model = request("GET", f"{self.manager.base}/models/{name}/1")
        return model | {"predictions": self.predictions(name, model)}, seconds

    def predictions(self, name: str, model: dict) -> list[dict]:
        """Without what names the model and the graph, which are each run's own."""
        fields = ", ".join(f"'{field}', document->'{field}'" for field in PREDICTED)
        rows = self.store.query(
            f"SELECT coalesce(json_agg(json_build_object({fields}) ORDER BY document->>'symbol'), '[]')"
            f' FROM documents."predictions_{name}"'
        )
        found = json.loads(rows)
        if len(found) != len(self.work.symbols):
            raise Failure(f"{name} has {len(found)} predictions, not one of each of {len(self.work.symbols)} symbols")
        return found

    # Kills

    def until_final(self, number: int, queue_id: str, begun: float, chance: random.Random | None) -> dict:
        plan = Plan(chance) if chance else None
        looked_at = 0.0
        was_killed = False
        while (now := time.monotonic()) - begun < RUN_SECONDS_MAX:
            self.stack.check()
            self.manager.start_when_due(was_killed)
            if plan:
                was_killed |= self.strike(plan, number, queue_id, now, begun)
            if now - looked_at > 0.3:
                looked_at = now
                try:
                    queue = request("GET", f"{self.manager.base}/queues/{queue_id}", timeout=2)
                except (OSError, Refused):
                    queue = None  # down at the moment, or just starting
                if queue and queue["status"] in ("finished", "failed", "stopped"):
                    return queue
            time.sleep(0.01)
        raise Failure(f"run {number}: {queue_id} is not final after {RUN_SECONDS_MAX} s")

    def strike(self, plan: "Plan", number: int, queue_id: str, now: float, begun: float) -> bool:
        """Kills whom the plan names at this moment; returns whether that was the queue-manager."""
        workers = self.processes.workers(queue_id)
        for pid, environment in sorted(workers.items()):
            step = environment.get("STEP", "?")
            if not plan.wants(step, environment.get("INSTANCE", "?"), pid, now):
                continue
            victim = self.processes.hold_worker(pid, environment)
            if not victim:
                continue
            if victim.kill():
                self.note(number, begun, step, victim.name, victim.page.place if victim.page else "at its start")
                plan.note(step, environment.get("INSTANCE", "?"))
            victim.close()
        running = {environment.get("STEP", "?") for environment in workers.values()}
        if self.manager.pid is None or not plan.wants_manager(running, now):
            return False
        self.manager.process.kill()
        self.manager.process.wait(10)
        self.manager.start_at = time.monotonic() + plan.chance.uniform(0.1, 2)
        self.note(number, begun, MANAGER, MANAGER, f"while {', '.join(sorted(running))} ran")
        return True

    def note(self, number: int, begun: float, kind: str, name: str, place: str) -> None:
        self.killed[kind] += 1
        say(f"run {number} {time.monotonic() - begun:5.1f} s: killed {name} {place}")

    # What is left

    def check_nothing_left(self, number: int) -> None:
        deadline = time.monotonic() + CLEAN_SECONDS_MAX
        while left := self.left_over():
            if time.monotonic() > deadline:
                raise Failure(f"run {number}: left over {CLEAN_SECONDS_MAX} s after the end: {'; '.join(left)}")
            time.sleep(0.2)

    def left_over(self) -> list[str]:
        stack_id = self.stack.addresses["STREAMFORGE_STACK"]
        workers = [pid for pid in marked_processes(stack_id) if pid != self.manager.pid]
        names = [name for name in topics(self.stack.addresses["KAFKA_BOOTSTRAP_SERVERS"]) if name.startswith("wf-")]
        open_queues = int(self.store.query("SELECT count(*) FROM streamforge.queues WHERE NOT is_cleaned"))
        found = {"processes": workers, "topics": names[:4], "queues not cleaned": open_queues}
        return [f"{what} {which}" for what, which in found.items() if which]


class Plan:
    """Whom one run kills: of each step some workers, each at a moment of its life drawn by lot, and the queue-manager."""

    # After so many seconds of a worker's life at most; one that has ended by then is spared.
    LIFE_SECONDS = {"load": 8.0, "store": 8.0, "graph": 1.0, "train": 1.5, "infer": 0.4}

    def __init__(self, chance: random.Random):
        self.chance = chance
        self.left = dict(KILLS_OF_STEP)
        self.due: dict[int, float] = {}
        self.instances: set[tuple[str, str]] = set()
        self.manager_step = chance.choice(STEPS[:4])
        self.manager_due: float | None = None
        self.is_manager_killed = False

    def wants(self, step: str, instance: str, pid: int, now: float) -> bool:
        if not self.left.get(step):
            return False
        # Of many instances each is killed once.
        if step in ("load", "store") and (step, instance) in self.instances:
            return False
        due = self.due.setdefault(pid, now + self.chance.uniform(0, self.LIFE_SECONDS[step]))
        return now >= due

    def note(self, step: str, instance: str) -> None:
        self.left[step] -= 1
        self.instances.add((step, instance))

    def wants_manager(self, running: set[str], now: float) -> bool:
        if self.is_manager_killed or self.manager_step not in running:
            return False
        if self.manager_due is None:
            self.manager_due = now + self.chance.uniform(0, self.LIFE_SECONDS[self.manager_step])
        self.is_manager_killed = now >= self.manager_due
        return self.is_manager_killed


def main(description: str, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos model", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="runs with kills, after a calm one")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--programs", type=Path, help="folder of built programs; not given: build them")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.runs <= 100:
        parser.error("--runs must be 1 to 100")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        programs = chosen.programs.resolve() if chosen.programs else build()
        say(f"chaos: model: seed {chosen.seed}, {chosen.runs} runs")
        with LocalStack(programs, with_queue_manager=False, environment={"EXCHANGE_WEIGHT_MAX": WEIGHT_MAX}) as stack:
            chaos = ModelChaos(stack, chosen)
            try:
                chaos.all_runs()
            finally:
                chaos.manager.stop()
        return 0
    except KeyboardInterrupt:
        say("chaos: interrupted")
        return 130
    except (Failure, OSError, RuntimeError, ValueError, KeyError, subprocess.SubprocessError) as error:
        say(f"chaos: FAILED, seed {chosen.seed}: {error}")
        return 1
