"""The peer's side of scripts/bench-engine: Temporal's Python SDK against its dev server.

usage: temporal_peer.py worker ADDRESS
       temporal_peer.py starts|finishes|open ADDRESS --clients N --count N [--warm-up N]

`worker` runs workflows and activities until its input ends. The others print one line of JSON as
`bench-engine` does: `starts` is done when the server has answered, `finishes` when the client has the
workflow's result, `open` when every workflow waits for an activity that nobody runs.
"""

import argparse
import asyncio
import datetime
import json
import math
import os
import resource
import sys
import time
import uuid

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

TASKS, NOBODY = "bench", "nobody"
PARALLEL = 200
HOUR = datetime.timedelta(hours=1)
begun = 0


@activity.defn
async def step() -> None:
    """The one step: like a dummy of no seconds."""


@workflow.defn
class OneStep:
    @workflow.run
    async def run(self, activities: str) -> None:
        global begun
        begun += 1
        await workflow.execute_activity(step, task_queue=activities, start_to_close_timeout=HOUR)


def make_worker(client: Client) -> Worker:
    # Without the sandbox, which checks workflows for what they must not do and costs time.
    return Worker(
        client,
        task_queue=TASKS,
        workflows=[OneStep],
        activities=[step],
        max_concurrent_activities=PARALLEL,
        max_concurrent_workflow_tasks=PARALLEL,
        max_concurrent_workflow_task_polls=PARALLEL // 10,
        max_concurrent_activity_task_polls=PARALLEL // 10,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def run_worker(address: str) -> None:
    async with make_worker(await Client.connect(address)):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def start(client: Client) -> None:
    await client.start_workflow(OneStep.run, TASKS, id=uuid.uuid4().hex, task_queue=TASKS)


async def finish(client: Client) -> None:
    await client.execute_workflow(OneStep.run, TASKS, id=uuid.uuid4().hex, task_queue=TASKS)


async def stay_open(client: Client) -> None:
    await client.start_workflow(OneStep.run, NOBODY, id=uuid.uuid4().hex, task_queue=TASKS)


async def load(clients: list[Client], count: int, work) -> list[float]:
    """Milliseconds of each; every client begins the next one when it is done with one."""
    taken, left = [], count

    async def one(client: Client) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            at = time.perf_counter()
            await work(client)
            taken.append((time.perf_counter() - at) * 1000)

    await asyncio.gather(*(one(client) for client in clients))
    return sorted(taken)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(arguments, work) -> None:
    clients = [await Client.connect(arguments.address) for _ in range(arguments.clients)]
    if arguments.warm_up:
        await load(clients, arguments.warm_up, work)
    at, cpu = time.perf_counter(), cpu_seconds()
    taken = await load(clients, arguments.count, work)
    seconds, cpu = time.perf_counter() - at, cpu_seconds() - cpu

    def quantile(share: float) -> float:
        return taken[max(1, math.ceil(share * len(taken))) - 1]

    print(
        json.dumps(
            {
                "count": len(taken),
                "seconds": seconds,
                "cpu_seconds": cpu,
                "median_ms": quantile(0.5),
                "p99_ms": quantile(0.99),
                "least_ms": taken[0],
                "most_ms": taken[-1],
            }
        )
    )


async def leave_open(arguments) -> None:
    async with make_worker(await Client.connect(arguments.address)):
        await measure(arguments, stay_open)
        while begun < arguments.count:
            await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["worker", "starts", "finishes", "open"])
    parser.add_argument("address")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.what == "worker":
        asyncio.run(run_worker(arguments.address))
    elif arguments.what == "open":
        asyncio.run(leave_open(arguments))
    else:
        asyncio.run(measure(arguments, start if arguments.what == "starts" else finish))
    # The SDK's own threads may outlive the interpreter and crash it at its end: everything is said by now.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
