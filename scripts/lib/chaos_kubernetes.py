"""The fault test of Jobs on a Kubernetes cluster: see scripts/chaos."""

import argparse
import os
import random
import signal
import shutil
import tempfile
import threading
import time
from pathlib import Path

from chaos_engine import guarded, say
from chaos_work import CandleWork
from engine_stack import EngineStack, build
from kafka_topics import topics
from kubernetes_testbed import IMAGE, NODES, Testbed, pod_processes
from local_stack import ROOT, Failure, Refused, request, wait_for_queue
from tcp_proxy import TCPProxy

QUEUE_SECONDS_MAX = 900
CLEAN_SECONDS_MAX = 180
CUT_EVERY_SECONDS = 5
OUTAGE_SECONDS = 30
PODS_KILLED, JOBS_DELETED = 4, 3
# Records a second and symbol: 2,016 candles take 40 s and more, into which all faults must fall.
PACE = 50
STEP, INSTANCE, ATTEMPT = (f"streamforge.io/{name}" for name in ("step", "instance", "attempt"))


class Onlooker:
    """Sees every Job there is, past the proxy, and remembers which attempt it was made for."""

    def __init__(self, testbed: Testbed, selector: str):
        self.testbed, self.selector = testbed, selector
        # The uids of the Jobs of each attempt.
        self.jobs: dict[tuple[str, str, str], set[str]] = {}
        self.is_over = False
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self) -> None:
        while not self.is_over:
            try:
                for job in self.testbed.list("jobs", self.selector):
                    labels = job["metadata"]["labels"]
                    key = (labels[STEP], labels[INSTANCE], labels[ATTEMPT])
                    self.jobs.setdefault(key, set()).add(job["metadata"]["uid"])
            except (OSError, Failure):
                pass  # the server is stopped
            time.sleep(0.3)

    def end(self) -> None:
        self.is_over = True
        self.thread.join(20)

    def check(self) -> None:
        doubled = {key: len(uids) for key, uids in self.jobs.items() if len(uids) > 1}
        if doubled:
            raise Failure(f"attempts with more than one Job: {doubled}")


class ClusterChaos:
    """One queue of 24 Jobs, and everything that happens to it."""

    def __init__(self, stack: EngineStack, testbed: Testbed, proxy: TCPProxy, seed: int):
        self.stack, self.testbed, self.proxy = stack, testbed, proxy
        self.chance = random.Random(seed)
        self.work = CandleWork(ROOT / "data" / "sample")
        self.selector = "app=streamforge"
        self.faults: dict[str, int] = {}
        # Instances whose attempt was ended by the cluster or by hand: that may not count as a failure.
        self.excused: set[tuple[str, str]] = set()
        self.killed: set[tuple[str, str]] = set()
        self.cutting = threading.Event()
        self.queue_id = ""

    def run(self) -> str:
        request("POST", f"{self.stack.exchange.url}/_replay/faults", {"pace_records_per_second": PACE})
        onlooker = Onlooker(self.testbed, self.selector)
        cutter = threading.Thread(target=self._cut, daemon=True)
        begun = time.monotonic()
        try:
            self.queue_id = self._start_queue()
            self._wait_for_flow()
            cutter.start()
            self._break()
            self.say_fault("faults are over")
            queue = self._wait_until_final()
        finally:
            self.cutting.set()
            onlooker.end()
            self.proxy.set_state(0, TCPProxy.OPEN)
        seconds = time.monotonic() - begun
        if queue["status"] != "finished":
            raise Failure(f"{self.queue_id} is {queue['status']}: {queue['reason']}")
        self.work.check(self.stack.store, "after the storm")
        onlooker.check()
        self._check_attempts(queue, onlooker)
        self._check_nothing_left()
        told = ", ".join(f"{count} {name}" for name, count in self.faults.items())
        return f"24 instances, {len(onlooker.jobs)} attempts, each one Job, in {seconds:.0f} s; {told}"

    # The queue

    def _base(self) -> str:
        alive = [replica for replica in self.stack.replicas if replica.is_ready()]
        return (alive or self.stack.replicas)[0].base

    def _start_queue(self) -> str:
        answer = request("POST", f"{self._base()}/queues/start", self.work.request(), timeout=60)
        return answer["queue_id"]

    def _instances(self) -> list[dict]:
        try:
            queue = request("GET", f"{self._base()}/queues/{self.queue_id}")
        except (OSError, Refused):
            return []
        return [dict(one, step=step["id"]) for step in queue["steps"] for one in step["instances"]]

    def _wait_for_flow(self) -> None:
        deadline = time.monotonic() + QUEUE_SECONDS_MAX / 2
        while time.monotonic() < deadline:
            found = self._instances()
            if found and all(one["status"] == "running" for one in found):
                return
            time.sleep(0.5)
        states = sorted({(one["status"], one["reason"] or "") for one in self._instances()})
        raise Failure(f"not all 24 instances run: {states}")

    def _wait_until_final(self) -> dict:
        deadline = time.monotonic() + QUEUE_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                return wait_for_queue(self._base(), self.queue_id, 5)
            except (Failure, OSError):
                self.stack.check()
        return wait_for_queue(self._base(), self.queue_id, 1)

    # Faults

    def _cut(self) -> None:
        """Cuts every connection to the API server, again and again."""
        while not self.cutting.wait(CUT_EVERY_SECONDS):
            self.proxy.set_state(0, TCPProxy.REFUSED)
            self.proxy.set_state(0, TCPProxy.OPEN)
            self.faults["watches cut"] = self.faults.get("watches cut", 0) + 1

    def say_fault(self, what: str) -> None:
        say(f"  {what}")

    def _note(self, name: str, count: int, detail: str) -> None:
        if not count:
            raise Failure(f"no {name}: nothing was in flight; use a slower pace")
        self.faults[name] = self.faults.get(name, 0) + count
        self.say_fault(f"{name}: {detail}")

    def _break(self) -> None:
        """The node goes first: the cluster takes longest to see that. The others come in any order."""
        self._lose_node()
        others = [self._kill_pods, self._delete_jobs, self._stop_server, self._restart_replicas]
        self.chance.shuffle(others)
        for fault in others:
            time.sleep(self.chance.uniform(1, 4))
            fault()
        self.testbed.delete_node(NODES[1])
        self.say_fault(f"{NODES[1]} deleted")

    def _running_pods(self) -> list[dict]:
        pods = self.testbed.list("pods", self.selector)
        return [pod for pod in pods if pod["status"].get("phase") == "Running"]

    def _lose_node(self) -> None:
        self.testbed.cordon(NODES[1])
        pods = [pod for pod in self._running_pods() if pod["spec"].get("nodeName") == NODES[1]]
        self.testbed.second.kill()
        for pid in pod_processes({pod["metadata"]["name"] for pod in pods}):
            self._end(pid)
        self.excused |= {self._instance(pod) for pod in pods}
        self._note("pods lost with their node", len(pods), NODES[1])

    def _kill_pods(self) -> None:
        pods = self._choose(self._running_pods(), PODS_KILLED)
        self.killed = {self._instance(pod) for pod in pods}
        for pid in pod_processes({pod["metadata"]["name"] for pod in pods}):
            self._end(pid)
        self._note("pods killed", len(pods), ", ".join(pod["metadata"]["name"] for pod in pods))

    def _delete_jobs(self) -> None:
        jobs = [job for job in self.testbed.list("jobs", self.selector) if job["status"].get("active")]
        chosen = self._choose(jobs, JOBS_DELETED)
        for job in chosen:
            self.testbed.delete("jobs", job["metadata"]["name"])
        self.excused |= {self._instance(job) for job in chosen}
        self._note("Jobs deleted", len(chosen), ", ".join(job["metadata"]["name"] for job in chosen))

    def _stop_server(self) -> None:
        self._note("API server stopped", 1, f"for {OUTAGE_SECONDS} s")
        self.testbed.pause_server(True)
        time.sleep(OUTAGE_SECONDS)
        self.testbed.pause_server(False)

    def _restart_replicas(self) -> None:
        for replica in self.chance.sample(self.stack.replicas, len(self.stack.replicas)):
            if self.chance.random() < 0.5:
                replica.kill()
            else:
                replica.stop()
            self._note("replicas restarted", 1, replica.name)
            replica.start()

    def _choose(self, objects: list[dict], count: int) -> list[dict]:
        """Of instances that nothing has happened to yet, so that each keeps attempts for the others."""
        free = [one for one in objects if self._instance(one) not in self.excused | self.killed]
        free.sort(key=lambda one: one["metadata"]["name"])
        return self.chance.sample(free, min(count, len(free)))

    @staticmethod
    def _instance(one: dict) -> tuple[str, str]:
        labels = one["metadata"]["labels"]
        return labels[STEP], labels[INSTANCE]

    @staticmethod
    def _end(pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended

    # Verdicts

    def _check_attempts(self, queue: dict, onlooker: Onlooker) -> None:
        for step in queue["steps"]:
            for one in step["instances"]:
                key = (step["id"], one["instance"])
                numbers = {int(number) for *of, number in onlooker.jobs if tuple(of) == key}
                if not numbers <= set(range(1, one["attempt"] + 1)):
                    raise Failure(f"{key}: Jobs of attempts {numbers}, but the newest is {one['attempt']}")
                if key in self.excused and one["attempt"] < 2:
                    raise Failure(f"{key} lost its attempt and had no other")
        counted = [
            f"{step['id']}[{one['instance']}] {one['failures']}"
            for step in queue["steps"]
            for one in step["instances"]
            if (step["id"], one["instance"]) in self.excused and one["failures"]
        ]
        if counted:
            raise Failure(f"losses that the cluster caused count as failures: {counted}")

    def _check_nothing_left(self) -> None:
        deadline = time.monotonic() + CLEAN_SECONDS_MAX
        while left := self._left_over():
            if time.monotonic() > deadline:
                raise Failure(f"left over {CLEAN_SECONDS_MAX} s after the end: {'; '.join(left)}")
            time.sleep(0.5)

    def _left_over(self) -> list[str]:
        left = []
        for kind in ("jobs", "pods"):
            names = [one["metadata"]["name"] for one in self.testbed.list(kind, self.selector)]
            left += [f"{len(names)} {kind}, e.g. {names[0]}"] if names else []
        names = [name for name in topics(self.stack.broker.servers) if name.startswith("wf-")]
        left += [f"topics {names[:4]}"] if names else []
        attempts = self.stack.store.query("SELECT count(*) FROM streamforge.attempts WHERE NOT is_gone")
        left += [f"{attempts.strip()} attempts"] if int(attempts) else []
        return left


def run(arguments) -> str:
    programs = arguments.programs.resolve() if arguments.programs else build("debug")
    say(f"chaos: kubernetes, seed {arguments.seed}")
    symbols = ",".join(CandleWork.symbols)
    stack = EngineStack(programs, 2, exchange_options=("--no-limits", "--symbols", symbols))
    testbed = Testbed(arguments.testbed.resolve(), programs, Path(tempfile.mkdtemp(prefix="streamforge-")))
    secret = f"chaos-{stack.id}"
    with TCPProxy(testbed.port, 1) as proxy:
        try:
            testbed.start()
            testbed.make_secret(secret, {"POSTGRES_URL": stack.postgres.url})
            for replica in stack.replicas:
                replica.variables |= {
                    "LAUNCHER": "kubernetes",
                    "KUBECONFIG": str(testbed.kubeconfig_through(proxy.ports[0])),
                    "K8S_IMAGE": IMAGE,
                    "K8S_SECRET": secret,
                    "K8S_WORKER_HTTP_PORT": "0",
                    "K8S_STOP_SECONDS": "10",
                }
            with stack:
                return ClusterChaos(stack, testbed, proxy, arguments.seed).run()
        except BaseException:
            stack.keeps_folder = True
            raise
        finally:
            testbed.stop()
            if stack.keeps_folder:
                print(f"the cluster's logs are kept in {testbed.folder}", flush=True)
            else:
                shutil.rmtree(testbed.folder, ignore_errors=True)


def main(description: str, argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos kubernetes",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--programs", type=Path, help="folder of built programs; not given: build them")
    parser.add_argument(
        "--testbed",
        type=Path,
        default=Path(os.environ["STREAMFORGE_K8S_TESTBED"]) if "STREAMFORGE_K8S_TESTBED" in os.environ else None,
        help="folder with start, stop and fakelet.py of a control plane; default: $STREAMFORGE_K8S_TESTBED",
    )
    arguments = parser.parse_args(argv)
    if not arguments.testbed or not (arguments.testbed / "fakelet.py").exists():
        parser.error("--testbed or STREAMFORGE_K8S_TESTBED must name a folder with start, stop and fakelet.py")
    return guarded("kubernetes", arguments.seed, lambda: run(arguments))
