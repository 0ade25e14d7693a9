"""Many short Jobs of a real control plane: see scripts/bench-kubernetes."""

import argparse
import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from engine_stack import EngineStack, build
from kubernetes_testbed import IMAGE, Testbed
from local_stack import Failure, request
from process_use import resident_megabytes

STEP_SECONDS_MAX = 7_200
# Bars: what the issue asks for, and by how much a last part may be above the first one and still be called flat.
FOLLOW_ON = "streamforge_follow_on_seconds"
FOLLOW_ON_SECONDS_MAX = 0.05
FLAT = 1.10
SAMPLE = re.compile(r'^(\w+)(?:\{([^}]*)\})? ([0-9.eE+-]+|\+Inf|NaN)$')


@dataclass
class Sample:
    """The queue-manager at one moment."""

    seconds: float
    finished: int
    calls: float
    megabytes: float


def metrics(base: str) -> list[tuple[str, str, float]]:
    with urllib.request.urlopen(f"{base}/metrics", timeout=10) as answer:
        found = (SAMPLE.match(line) for line in answer.read().decode().splitlines())
    return [(m[1], m[2] or "", float(m[3])) for m in found if m]


def calls(read: list[tuple[str, str, float]]) -> float:
    return sum(value for name, _, value in read if name == "kubernetes_requests_total")


def share_within(read: list[tuple[str, str, float]], name: str, seconds: float) -> tuple[float, int]:
    """Which share of a histogram's values is at most `seconds` (one of its bounds), and how many there are."""
    count = sum(value for one, _, value in read if one == f"{name}_count")
    for one, labels, value in read:
        bound = re.search(r'le="([^"]+)"', labels)
        if one == f"{name}_bucket" and bound and float(bound[1]) == seconds:
            return (value / count if count else 0.0), int(count)
    if count:
        raise Failure(f"{name} has no bound of {seconds} s")
    return 0.0, 0


def buckets(read: list[tuple[str, str, float]], name: str) -> str:
    parts = [
        (float(bound[1]), value)
        for one, labels, value in read
        if one == f"{name}_bucket" and (bound := re.search(r'le="([^"]+)"', labels))
    ]
    return ", ".join(f"{value:.0f} <= {bound * 1000:g} ms" for bound, value in sorted(parts) if bound < 1)


def move(pid: int | None, processors: list[int]) -> None:
    """Lets all threads of a process, and those they start, run on these processors only; None: it runs elsewhere."""
    for thread in Path(f"/proc/{pid}/task").iterdir() if pid else ():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), processors)


class Bench:
    def __init__(self, stack: EngineStack, count: int, parallel: int, work_seconds: float):
        self.stack, self.count, self.parallel, self.work_seconds = stack, count, parallel, work_seconds
        self.replica = stack.replicas[0]
        self.samples: list[Sample] = []

    def run(self) -> bool:
        days = f"2015-01-01:{time.strftime('%Y-%m-%d', time.gmtime(1_420_070_400 + (self.count - 1) * 86_400))}"
        step = {
            "id": "work",
            "target": "dummy-service",
            "fan_out": {"by": ["time"], "shard_days": 1},
            "params": {"seconds": self.work_seconds},
        }
        body = {"symbols": ["BTCUSDT"], "time_range": days, "steps": [step], "max_parallel": self.parallel}
        begun = time.monotonic()
        queue_id = request("POST", f"{self.replica.base}/queues/start", body, timeout=60)["queue_id"]
        queue = self._watch(queue_id, begun)
        seconds = time.monotonic() - begun
        if queue["status"] != "finished":
            raise Failure(f"{queue_id} is {queue['status']}: {queue['reason']}")
        return self._report(seconds)

    def _watch(self, queue_id: str, begun: float) -> dict:
        """Takes a sample each time another eighth of the instances is finished."""
        query = f"SELECT count(*) FROM streamforge.instances WHERE queue_id = '{queue_id}' AND status = 'finished'"
        deadline = begun + STEP_SECONDS_MAX
        while time.monotonic() < deadline:
            self.stack.check()
            finished = int(self.stack.store.query(query))
            if finished >= len(self.samples) * self.count / 8:
                read = metrics(self.replica.base)
                self.samples.append(
                    Sample(time.monotonic() - begun, finished, calls(read), resident_megabytes(self.replica.pid))
                )
                self._tell(self.samples[-1], read)
            if finished == self.count:
                queue = request("GET", f"{self.replica.base}/queues/{queue_id}", timeout=30)
                if queue["status"] != "running":
                    return queue
            time.sleep(1)
        raise Failure(f"{queue_id} is not over after {STEP_SECONDS_MAX} s")

    def _tell(self, sample: Sample, read: list[tuple[str, str, float]]) -> None:
        share, count = share_within(read, FOLLOW_ON, FOLLOW_ON_SECONDS_MAX)
        late = f"{count - round(share * count):3} of {count:5} launches late"
        print(f"  {sample.finished:5} finished after {sample.seconds:6.1f} s, {late}, {sample.megabytes:5.1f} MB", flush=True)

    def _report(self, seconds: float) -> bool:
        read = metrics(self.replica.base)
        share, launches = share_within(read, FOLLOW_ON, FOLLOW_ON_SECONDS_MAX)
        # The first eighth holds what is done once: watches, the first pods, pages of memory.
        first, last = self._calls_each(1, 4), self._calls_each(len(self.samples) - 4, len(self.samples) - 1)
        early, late = self.samples[2].megabytes, self.samples[-1].megabytes
        print(f"{self.count} instances of {self.work_seconds} s, {self.parallel} in parallel: {seconds:.0f} s")
        print(f"  from a final event read to the next create request: {buckets(read, FOLLOW_ON)}")
        verdicts = [
            (f"within {FOLLOW_ON_SECONDS_MAX * 1000:g} ms, of {launches}", share, ">=", 0.99),
            ("API calls an instance, last against first", last / first, "<=", FLAT),
            ("memory, at the end against at a quarter", late / early, "<=", FLAT),
        ]
        print(f"  API calls an instance: {first:.2f}, at the end {last:.2f}; memory {early:.1f} MB, at the end {late:.1f} MB")
        is_met = True
        for name, value, sign, bar in verdicts:
            holds = value >= bar if sign == ">=" else value <= bar
            is_met = is_met and holds
            print(f"  {name:<45} {value:8.3f}   bar {sign} {bar:<6} {'met' if holds else 'NOT MET'}")
        if launches < self.count - 2 * self.parallel:
            print(f"  only {launches} launches followed an end: NOT MET")
            is_met = False
        return is_met

    def _calls_each(self, start: int, end: int) -> float:
        a, b = self.samples[start], self.samples[end]
        return (b.calls - a.calls) / max(b.finished - a.finished, 1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench-kubernetes")
    parser.add_argument("--instances", type=int, default=2_000, help="dummies in one queue, 100 to 5,000")
    parser.add_argument("--parallel", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30, help="how long each dummy works")
    parser.add_argument(
        "--share-processors", action="store_true", help="between the engine and the pods, control plane and broker"
    )
    parser.add_argument("--programs", type=Path, help="folder of built programs; not given: build them")
    named = os.environ.get("STREAMFORGE_K8S_TESTBED")
    parser.add_argument("--testbed", type=Path, default=Path(named) if named else None)
    arguments = parser.parse_args()
    if not arguments.testbed or not (arguments.testbed / "fakelet.py").exists():
        print("bench kubernetes: skipped: STREAMFORGE_K8S_TESTBED names no folder with start, stop and fakelet.py")
        return 0
    if not 100 <= arguments.instances <= 5_000:
        parser.error("--instances: 100 to 5,000")
    programs = arguments.programs.resolve() if arguments.programs else build("release")
    stack = EngineStack(programs, 1)
    folder = Path(tempfile.mkdtemp(prefix="streamforge-"))
    testbed = Testbed(arguments.testbed.resolve(), programs, folder)
    processors = sorted(os.sched_getaffinity(0))
    half = 0 if arguments.share_processors else len(processors) // 2
    is_met = False
    try:
        # Nodes and control plane of a cluster have processors of their own; what is started inherits them.
        os.sched_setaffinity(0, processors[half:])
        testbed.start()
        os.sched_setaffinity(0, processors[:half] or processors)
        testbed.make_secret("bench", {"POSTGRES_URL": stack.postgres.url})
        for replica in stack.replicas:
            replica.variables |= {
                "LAUNCHER": "kubernetes",
                "KUBECONFIG": str(testbed.kubeconfig),
                "K8S_IMAGE": IMAGE,
                "K8S_SECRET": "bench",
                "K8S_WORKER_HTTP_PORT": "0",
            }
        others = "the cluster and the broker"
        print(f"processors: {half or len(processors)} for the engine, {len(processors) - half} for {others}", flush=True)
        with stack:
            # Who watches takes no time from the engine, nor does the broker: noida-db writes all it has each second.
            os.sched_setaffinity(0, processors[half:])
            for part in (stack.broker, stack.exchange):
                move(part.pid, processors[half:])
            is_met = Bench(stack, arguments.instances, arguments.parallel, arguments.seconds).run()
    except Failure as failure:
        stack.keeps_folder = True
        print(f"bench kubernetes: FAILED: {failure}; logs in {stack.folder} and {testbed.folder}")
        return 1
    finally:
        testbed.stop()
        if not stack.keeps_folder:
            shutil.rmtree(testbed.folder, ignore_errors=True)
    print(f"bench kubernetes: {'passed' if is_met else 'FAILED: a bar is not met'}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
