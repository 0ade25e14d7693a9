"""The demo's run: see scripts/demo."""

import argparse
import datetime
import signal
import sys
import time
from pathlib import Path

import candles
import demo_model
from local_stack import ROOT, Failure, LocalStack, request, wait_for_queue

SYMBOLS = (
    "BTCUSDT ETHUSDT SOLUSDT XRPUSDT DOGEUSDT AVAXUSDT LINKUSDT LTCUSDT TRXUSDT SHIBUSDT PEPEUSDT 1INCHUSDT"
).split()
TIME_RANGE = "2024-08-01:2024-08-07"
INTERVAL = "5m"
TYPE = f"api_candles_{INTERVAL}"
WAIT_SECONDS = 300

HEADINGS = [
    "symbol",
    "produced",
    "written",
    "duplicates",
    "dead letters",
    "first",
    "last",
    "seconds",
    "records/s",
    "store = source",
]


def moment(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "-"
    time_of = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
    return time_of.strftime("%Y-%m-%d %H:%M")


def seconds_between(start: str, end: str) -> float:
    return (datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)).total_seconds()


def instances(queue: dict, is_consumer: bool) -> dict[str, dict]:
    steps = [step for step in queue["steps"] if (step["input"] is not None) == is_consumer]
    return {instance["instance"]: instance for step in steps for instance in step["instances"]}


def report(queue: dict, store: candles.Store) -> tuple[list[list[str]], list[str]]:
    """The table's rows, and the symbols whose store does not agree with the source."""
    loaders, connectors = instances(queue, False), instances(queue, True)
    rows, wrong = [], []
    for symbol in SYMBOLS:
        source = candles.of_source(ROOT / "data" / "sample", symbol, INTERVAL, TIME_RANGE)
        stored = store.of_collection(candles.collection_of(symbol, TYPE, TIME_RANGE))
        loader, connector = loaders[symbol], connectors[symbol]
        agrees = (
            source == stored
            and source.count > 0
            and loader["records_written"] == source.count
            and connector["records_written"] == source.count
            and connector["duplicates"] == connector["dead_letters"] == 0
        )
        if not agrees:
            wrong.append(symbol)
            print(f"{symbol}: source {source}, store {stored}", file=sys.stderr)
        seconds = seconds_between(loader["started_at"], connector["finished_at"])
        rows.append(
            [
                symbol,
                str(loader["records_written"]),
                str(connector["records_written"]),
                str(connector["duplicates"]),
                str(connector["dead_letters"]),
                moment(stored.first_time),
                moment(stored.last_time),
                f"{seconds:.2f}",
                f"{source.count / max(seconds, 0.001):.0f}",
                "yes" if agrees else "NO",
            ]
        )
    return rows, wrong


def print_table(rows: list[list[str]]) -> None:
    rows = [HEADINGS] + rows
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        cells = [
            cell.ljust(width) if column in (0, 5, 6, 9) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        print("  ".join(cells).rstrip())


def run(programs: Path) -> bool:
    print("demo: starting the stack", flush=True)
    with LocalStack(programs, with_queue_manager=True) as stack:
        base = stack.addresses["STREAMFORGE_URL"]
        store = candles.Store(stack.addresses["POSTGRES_URL"])
        start = time.monotonic()
        body = {"symbols": SYMBOLS, "type": TYPE, "time_range": TIME_RANGE}
        queue_id = request("POST", f"{base}/queues/start", body)["queue_id"]
        print(f"demo: {queue_id}: {len(SYMBOLS)} symbols, {INTERVAL}, {TIME_RANGE}", flush=True)
        queue = wait_for_queue(base, queue_id, WAIT_SECONDS, lambda queue: stack.check())
        seconds = time.monotonic() - start
        if queue["status"] != "finished":
            raise Failure(f"{queue_id} is {queue['status']}: {queue['reason']}")
        rows, wrong = report(queue, store)
    print_table(rows)
    count = sum(int(row[2]) for row in rows)
    verdict = f"DISAGREES for {', '.join(wrong)}" if wrong else "the store agrees with the source"
    print(
        f"demo: {count} records of {len(rows)} symbols in {seconds:.1f} s, {count / seconds:.0f}/s; {verdict}"
    )
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--programs", type=Path, required=True, help="folder of the built programs")
    parser.add_argument("--full", action="store_true", help="from candles to a model")
    arguments = parser.parse_args()
    # Ended by another program: clean up as for Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        chosen = demo_model.run if arguments.full else run
        return 0 if chosen(arguments.programs) else 1
    except (Failure, OSError, RuntimeError, ValueError) as error:
        print(f"demo: FAILED: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
