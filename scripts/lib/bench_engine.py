"""Compares the engine with its peer: see scripts/bench-engine."""

import argparse
import datetime
import os
import platform
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench_fill import Filler, page_paths, templates
from bench_ours import Ours
from bench_peer import Peer
from engine_stack import build, has_pool
from local_stack import ROOT, Failure

STARTS_BAR = FINISHES_BAR = 10.0
ALONE_BAR_MS = 20.0
MEMORY_BAR_MB = 100.0
PAGE_BAR_MS = 10.0
FILLED_STARTS_BAR = 0.9


def say(text: str = "") -> None:
    print(text, flush=True)


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Ours does more at once, so that both sides are measured for about as long."""

    rounds: int = 3
    clients: int = 50
    starts: tuple[int, int] = (4_000, 800)
    finishes: tuple[int, int] = (3_000, 300)
    alone: tuple[int, int] = (300, 60)
    opened: int = 10_000
    stored: int = 1_000_000
    filled_rounds: int = 5
    filled_starts: int = 2_000
    pages: int = 100

    def scaled(self, share: float) -> "Sizes":
        """Fewer of everything: to try out the benchmark itself."""

        def of(count: int) -> int:
            return max(1, round(count * share))

        pairs = {name: tuple(map(of, getattr(self, name))) for name in ("starts", "finishes", "alone")}
        counts = {name: of(getattr(self, name)) for name in ("opened", "stored", "filled_starts", "pages")}
        return replace(self, **pairs, **counts)


SHORT = Sizes(
    rounds=1,
    starts=(1_000, 300),
    finishes=(600, 120),
    alone=(60, 20),
    opened=1_000,
    stored=100_000,
    filled_rounds=3,
    filled_starts=500,
    pages=30,
)


@dataclass
class Row:
    """One line of the report."""

    name: str
    unit: str
    bar: float
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    # What the bar is compared with: ours / peer, or ours alone.
    is_ratio: bool = True
    is_most: bool = False

    @property
    def value(self) -> float:
        if not self.is_ratio:
            return statistics.median(self.ours)
        # Both sides of a round took turns: a machine that gets slower or quicker later does not matter.
        return statistics.median(ours / peer for ours, peer in zip(self.ours, self.peer, strict=True))

    @property
    def is_met(self) -> bool:
        return self.value <= self.bar if self.is_most else self.value >= self.bar

    def line(self) -> str:
        ratio = f"{statistics.median(self.ours) / statistics.median(self.peer):.2f}" if self.peer else "-"
        if self.is_ratio:
            ratio = f"{self.value:.2f}"
        bar = f"{'<=' if self.is_most else '>='} {self.bar:g}{'' if self.is_ratio else ' ' + self.unit}"
        verdict = "met" if self.is_met else "NOT MET"
        cells = f"{self._cell(self.ours):>32}{self._cell(self.peer):>30}"
        return f"{self.name:<38}{cells}{ratio:>9}{bar:>12}  {verdict}"

    def _cell(self, values: list[float]) -> str:
        if not values:
            return "-"
        form = "{:,.0f}" if min(values) >= 100 else "{:,.2f}"
        spread = f" [{form.format(min(values))}..{form.format(max(values))}]" if len(values) > 1 else ""
        return f"{form.format(statistics.median(values))}{self.unit}{spread}"


class Bench:
    """All measurements of one run."""

    def __init__(self, programs: Path, sizes: Sizes):
        self.programs, self.sizes, self.uses_pool = programs, sizes, has_pool(programs)
        self.rows = {
            "starts": Row("starts, durable when answered", "/s", STARTS_BAR),
            "finishes": Row(f"finished, {sizes.clients} in parallel", "/s", FINISHES_BAR),
            "alone": Row("one alone, median", " ms", ALONE_BAR_MS, is_ratio=False, is_most=True),
        }
        self.alone_p99: dict[str, list[float]] = {"ours": [], "peer": []}
        self.costs: dict[str, dict[str, float]] = {}
        self.said_durability: set[str] = set()

    def ours(self, with_workers: bool, settings=None) -> Ours:
        return Ours(self.programs, self.uses_pool, with_workers, settings)

    def sides(self, number: int, with_workers: bool):
        """Each side's key and server, ours first in every other round; one runs at a time."""
        order = ("ours", "peer") if number % 2 == 0 else ("peer", "ours")
        for key in order:
            with self.ours(with_workers) if key == "ours" else Peer(with_workers) as side:
                if key not in self.said_durability:
                    say(f"  {side.name} keeps its data in {side.durability()}")
                    self.said_durability.add(key)
                yield key, side

    def measure(self, what: str, key: str, side, count: int, clients: int) -> dict:
        cost = self.costs.setdefault(f"{what}, {side.name}", {})
        load = "starts" if what == "starts" else "finishes"
        result = side.load(load, cost, count, max(clients, count // 10), clients)
        cost["count"] = cost.get("count", 0) + count + max(clients, count // 10)
        say(
            f"  {side.name}: {what}: {result['count'] / result['seconds']:,.0f}/s, median"
            f" {result['median_ms']:.1f} ms, 99th percentile {result['p99_ms']:.1f} ms"
        )
        return result

    def rounds(self) -> None:
        sizes = self.sizes
        for number in range(sizes.rounds):
            say(f"round {number + 1} of {sizes.rounds}")
            for key, side in self.sides(number, with_workers=False):
                index = 0 if key == "ours" else 1
                syncs = side.log_syncs() if key == "ours" else 0
                result = self.measure("starts", key, side, sizes.starts[index], sizes.clients)
                if key == "ours":
                    say(f"    meanwhile PostgreSQL synced its log {side.log_syncs() - syncs} times")
                getattr(self.rows["starts"], key).append(result["count"] / result["seconds"])
            for key, side in self.sides(number, with_workers=True):
                index = 0 if key == "ours" else 1
                result = self.measure("finished", key, side, sizes.finishes[index], sizes.clients)
                getattr(self.rows["finishes"], key).append(result["count"] / result["seconds"])
                result = self.measure("alone", key, side, sizes.alone[index], 1)
                getattr(self.rows["alone"], key).append(result["median_ms"])
                self.alone_p99[key].append(result["p99_ms"])

    def memory(self) -> None:
        count = self.sizes.opened
        say(f"memory with {count} open queues")
        # Nobody takes the offers: every queue waits for a worker, and must not be given up.
        with self.ours(False, {"START_LIMIT_SECONDS": "3600"}) as side:
            ours = side.memory(self.sizes.clients, count)
        with Peer(False) as side:
            peer = side.memory(self.sizes.clients, count)
        for name, found in (("StreamForge", ours), ("Temporal", peer)):
            say(f"  {name}: " + ", ".join(f"{part} {value:.0f} MB" for part, value in found.items()))
        self.rows["memory"] = Row(
            f"server memory, {count:,} open",
            " MB",
            MEMORY_BAR_MB,
            [ours["server"]],
            [peer["server"]],
            is_ratio=False,
            is_most=True,
        )

    def stored(self) -> None:
        """Two stacks side by side, one empty and one with all those queues, asked in turns."""
        sizes = self.sizes
        say(f"{sizes.stored} finished queues stored")
        with self.ours(True) as filled, self.ours(True) as empty:
            base = filled.server.base
            Filler(filled.stack.store, templates(base), sizes.stored).fill(say)
            filled.settle()
            slowest = Row(
                f"slowest page of {sizes.stored:,}, median", " ms", PAGE_BAR_MS, is_ratio=False, is_most=True
            )
            for name, path in page_paths(base, filled.stack.store, sizes.stored).items():
                result = filled.pages(path, sizes.pages)
                say(
                    f"  page, {name}: median {result['median_ms']:.2f} ms,"
                    f" 99th percentile {result['p99_ms']:.2f} ms"
                )
                slowest.ours = [max([result["median_ms"], *slowest.ours])]
            self.rows["page"] = slowest
            rate = Row(f"starts with {sizes.stored:,} stored / empty", "/s", FILLED_STARTS_BAR)
            for number in range(sizes.filled_rounds):
                sides = [(rate.ours, filled), (rate.peer, empty)]
                for speeds, side in sides if number % 2 == 0 else sides[::-1]:
                    result = side.load("starts", {}, sizes.filled_starts, sizes.clients, sizes.clients)
                    speeds.append(result["count"] / result["seconds"])
                    side.settle()
            self.rows["filled"] = rate

    def report(self) -> bool:
        say(f"\n{'name':<38}{'ours':>32}{'peer':>30}{'ratio':>9}{'bar':>12}")
        for row in self.rows.values():
            say(row.line())
        for name, values in (("StreamForge", self.alone_p99["ours"]), ("Temporal", self.alone_p99["peer"])):
            if not values:
                continue
            say(
                f"one alone, 99th percentile, {name}: {statistics.median(values):.1f} ms"
                f" [{min(values):.1f}..{max(values):.1f}]"
            )
        if self.costs:
            say("\nCPU milliseconds for each queue, and what all rounds took:")
        for what, cost in self.costs.items():
            parts = {part: seconds for part, seconds in cost.items() if part != "count"}
            each = ", ".join(
                f"{part} {1000 * value / cost['count']:.2f} ({value:.1f} s)" for part, value in parts.items()
            )
            say(f"  {what}: {each}")
        missed = [row.name for row in self.rows.values() if not row.is_met]
        say(f"\nbench engine: {'passed' if not missed else 'FAILED: ' + ', '.join(missed)}")
        return not missed


def machine() -> str:
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.machine()
    )
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    names = (
        line.partition("=")[2].strip('"')
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("PRETTY_NAME=")
    )
    system = f"{next(names, 'Linux')}, Linux {platform.release()}"
    return f"{model}, {os.cpu_count()} cores, {gigabytes:.0f} GB, {system}"


def versions() -> str:
    tools = ROOT / ".streamforge" / "bench" / "bin"
    temporal = subprocess.run(
        [tools / "temporal", "--version"], capture_output=True, text=True, check=True
    ).stdout
    sdk = subprocess.run(
        [tools / "python", "-c", "import temporalio.service as s; print(s.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    swift = subprocess.run(
        ["swift", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    return f"{swift.strip()}; {temporal.strip()}, its data in a file, temporalio {sdk.strip()}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench-engine", description=__doc__)
    parser.add_argument("--short", action="store_true", help="1 round and a tenth of the queues")
    parser.add_argument("--only", choices=["rounds", "memory", "stored"], help="one part of it")
    parser.add_argument(
        "--programs", type=Path, help="folder of built programs; not given: build them (release)"
    )
    parser.add_argument(
        "--scale", type=float, default=1, help="share of the work, to try out the benchmark itself"
    )
    for name in ("rounds", "clients"):
        parser.add_argument(f"--{name}", type=int)
    arguments = parser.parse_args()
    chosen = {
        name: value for name in ("rounds", "clients") if (value := getattr(arguments, name)) is not None
    }
    if any(value < 1 for value in chosen.values()) or not 0 < arguments.scale <= 1:
        parser.error("--rounds and --clients must be 1 or more, --scale above 0 and at most 1")
    sizes = replace(SHORT if arguments.short else Sizes(), **chosen).scaled(arguments.scale)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        products = ("queue-manager", "streamforge-worker", "streamforge", "bench-engine")
        programs = arguments.programs.resolve() if arguments.programs else build("release", products)
        bench = Bench(programs, sizes)
        say(f"bench engine: {datetime.date.today()}, {machine()}\n  {versions()}")
        say(
            f"  {sizes.clients} clients on both sides;"
            f" {'pool' if bench.uses_pool else 'LOCAL PROCESSES, there is no pool'}"
        )
        for part in ("rounds", "memory", "stored"):
            if arguments.only in (None, part):
                getattr(bench, part)()
        bench.rows = {key: row for key, row in bench.rows.items() if row.ours}
        return 0 if bench.report() else 1
    except KeyboardInterrupt:
        say("bench engine: interrupted")
        return 130
    except (Failure, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        say(f"bench engine: FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
