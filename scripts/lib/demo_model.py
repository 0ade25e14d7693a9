"""The demo's whole chain: candles, graph, model, predictions. See scripts/demo --full."""

import shutil
import time
from pathlib import Path

from local_stack import ROOT, Failure, LocalStack, request, wait_for_queue

# Those with recorded candles for the whole of August 2024; hours are summed from them by the replay exchange.
TIME_RANGE = "2024-08-01:2024-08-31"
PARAMETERS = {"interval": "1h", "window": 168, "stride": 1, "top_k": 5, "horizon": 4, "embargo": 24, "epochs": 30}
MODEL = "demo_direction"
KEPT = ROOT / ".streamforge" / "demo-models"
WAIT_SECONDS = 1_200
MEASURES = ["auc", "balanced_accuracy", "information_coefficient", "loss"]


def symbols() -> list[str]:
    files = sorted((ROOT / "data" / "sample" / "candles").glob("*-5m.csv.gz"))
    return [file.name.split("-")[0] for file in files]


def measure(value: dict | None) -> str:
    if value is None:
        return "-"
    interval = f" [{value['low']:.3f}, {value['high']:.3f}]" if "low" in value else ""
    return f"{value['value']:.3f}{interval}"


def print_metrics(metrics: dict) -> None:
    rows = [["model"] + MEASURES]
    rows += [[name] + [measure(values.get(key)) for key in MEASURES] for name, values in sorted(metrics.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def run(programs: Path) -> bool:
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    names = symbols()
    with LocalStack(
        programs, with_queue_manager=True, environment={"OBJECT_STORE_DIR": str(KEPT)}
    ) as stack:
        base = stack.addresses["STREAMFORGE_URL"]
        start = time.monotonic()
        body = {
            "template": "candles_to_model",
            "parameters": PARAMETERS | {"symbols": names, "time_range": TIME_RANGE, "model": MODEL},
        }
        queue_id = request("POST", f"{base}/queues/start", body)["queue_id"]
        print(f"demo: {queue_id}: {len(names)} symbols, hours of {TIME_RANGE}, to a model", flush=True)
        queue = wait_for_queue(base, queue_id, WAIT_SECONDS, lambda queue: stack.check())
        seconds = time.monotonic() - start
        if queue["status"] != "finished":
            raise Failure(f"{queue_id} is {queue['status']}: {queue['reason']}")
        model = request("GET", f"{base}/models/{MODEL}/newest")
    print_metrics(model["metrics"])
    print(f"demo: {model['summary']}")
    report = KEPT / model["place"] / model["folder"] / "report.html"
    print(f"demo: from candles to predictions in {seconds:.0f} s; report: {report.relative_to(ROOT)}")
    return report.is_file()
