"""Graphs of recorded candles, ours beside pandas and scipy, and of made-up ones beside the bare matrix product.

usage: graph_bench.py PROGRAM [--data FOLDER] [--threads N] [--short]

PROGRAM is bench-graph. FOLDER holds <SYMBOL>-1h.csv.gz with all twelve columns; without it the recorded part is left
out. Both sides get the same numbers in memory, and the same number of threads for the matrix work. Exits 1 when a
number differs by more than 1e-9 or a bar is not reached.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("--data", default=os.environ.get("GRAPH_BENCH_DATA"))
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--short", action="store_true", help="a tenth of the made-up market")
arguments = parser.parse_args()
# Read when numpy is loaded.
os.environ["OPENBLAS_NUM_THREADS"] = str(arguments.threads)

import numpy as np
import pandas as pd
from scipy import stats

HOUR = 3_600_000
COLUMNS = ("close", "volume", "taker_buy_base", "trades")
LAGS = (1, 2, 3)


def recorded(folder):
    """The hours all symbols were recorded in, and a table of them a column; one that ends early is left out."""
    tables = {}
    for file in sorted(Path(folder).glob("*-1h.csv.gz")):
        table = pd.read_csv(file).set_index("open_time")
        tables[file.name.split("-")[0]] = table
    last = pd.Series({name: table.index[-1] for name, table in tables.items()})
    tables = {name: table for name, table in tables.items() if last[name] >= last.median() - 24 * HOUR}
    end = min(table.index[-1] for table in tables.values())
    first = max(table.index[0] for table in tables.values())
    index = np.arange(first, end + HOUR, HOUR)
    frame = {
        column: pd.DataFrame({name: table[column].astype(float) for name, table in tables.items()}).reindex(index)
        for column in COLUMNS
    }
    days = len(index) / 24
    print(f"{len(tables)} symbols, {len(index)} hours ({days:.0f} days) from {folder}")
    return frame


# --- the peer


def features(frame):
    close, volume = frame["close"], frame["volume"]
    returns = np.log(close).diff()
    tables = [np.log(close / close.shift(n)) for n in (1, 4, 12, 24)]
    tables.append(returns.rolling(24).std())
    change = close.diff()
    rise, fall = change.clip(lower=0).rolling(14).mean(), (-change).clip(lower=0).rolling(14).mean()
    tables.append(100 - 100 / (1 + rise / fall))
    tables.append(volume / volume.rolling(24).mean())
    tables.append(2 * frame["taker_buy_base"].rolling(24).sum() / volume.rolling(24).sum() - 1)
    tables.append(frame["trades"].rolling(24).sum() / (24 * 60))
    return tables


def p_values(weights, freedom):
    with np.errstate(divide="ignore"):
        return 2 * stats.t.sf(np.abs(weights) * np.sqrt(freedom / (1 - weights**2)), freedom)


def symmetric(values, method):
    size = values.shape[1]
    upper = np.triu_indices(size, 1)
    freedom = len(values) - 2
    if method == "pearson":
        weights = np.corrcoef(values, rowvar=False)[upper]
    elif method == "spearman":
        weights = np.corrcoef(stats.rankdata(values, axis=0), rowvar=False)[upper]
    else:
        rows = len(values)
        x = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
        r = np.corrcoef(values, rowvar=False)
        variance = rows / (rows - 1) ** 3 * ((x**2).T @ (x**2) - (x.T @ x) ** 2 / rows)
        shrinkage = min(1.0, variance[upper].sum() / (r[upper] ** 2).sum())
        shrunk = (1 - shrinkage) * r
        np.fill_diagonal(shrunk, 1.0)
        inverse = np.linalg.inv(shrunk)
        scale = np.sqrt(np.diag(inverse))
        weights = (-inverse / np.outer(scale, scale))[upper]
        freedom = rows - size
    return *upper, weights, np.zeros(len(weights), int), p_values(weights, freedom)


def lead_lag(values):
    size = values.shape[1]
    lagged = []
    for lag in LAGS:
        both = np.corrcoef(values[:-lag], values[lag:], rowvar=False)
        lagged.append(both[:size, size:])
    lagged = np.array(lagged)
    best = np.abs(lagged).argmax(axis=0)
    rows, columns = np.nonzero(~np.eye(size, dtype=bool))
    lags = best[rows, columns] + 1
    weights = lagged[lags - 1, rows, columns]
    freedom = len(values) - lags - 2
    return rows, columns, weights, lags, np.minimum(1, p_values(weights, freedom) * len(LAGS))


def peer(frame, methods, window, stride):
    # Of the quotient, as we do: equal steps of a price stay ties for the ranks.
    returns = np.log(frame["close"] / frame["close"].shift()).to_numpy()
    tables = [table.to_numpy() for table in features(frame)]
    last = len(returns) - 1
    length = window or last
    graphs = []
    for end in sorted(range(last, length - 1, -stride)):
        values = returns[end - length + 1 : end + 1]
        edges = []
        for method in methods:
            found = lead_lag(values) if method == "lead_lag" else symmetric(values, method)
            passes = stats.false_discovery_control(found[4]) <= 0.05
            edges.append((method, [part[passes] for part in found]))
        graphs.append((np.array([table[end] for table in tables]).T, edges))
    return graphs


# --- comparison


def differences(ours, theirs):
    """The largest relative difference of features, weights and p-values; infinite where edges differ."""
    worst = 0.0
    for line, (rows, edges) in zip(ours, theirs, strict=True):
        graph = json.loads(line)
        worst = max(worst, difference(np.array(graph["features"], float), rows))
        for method, (start, end, weights, lags, p) in edges:
            own = [edge[1:] for edge in graph["edges"] if edge[0] == method]
            if not own and not len(start):
                continue
            own = np.array(own, float)
            if len(own) != len(start) or (own[:, [0, 1, 3]] != np.array([start, end, lags]).T).any():
                return float("inf")
            worst = max(worst, difference(own[:, 2], weights), difference(own[:, 4], p))
    return worst


def difference(left, right):
    return float(np.max(np.abs(left - right) / np.maximum(np.abs(right), 1e-3)))


def run_ours(options):
    command = [arguments.program, *map(str, options), "--threads", str(arguments.threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {line.split()[0]: [float(word) for word in line.split()[1:]] for line in done.stdout.splitlines()}


def compare_recorded(folder, frame, name, methods, window, stride):
    source, output = Path(folder) / "candles", Path(folder) / "graphs"
    np.concatenate([frame[column].to_numpy().T.ravel() for column in COLUMNS]).tofile(source)
    symbols, times = frame["close"].shape[1], len(frame["close"])
    options = ["recorded", source, output, "--symbols", symbols, "--times", times, "--step", HOUR, "--stride", stride]
    options += ["--methods", ",".join(methods)] + (["--window", window] if window else [])
    numbers = run_ours(options)
    began = time.perf_counter()
    theirs = peer(frame, methods, window, stride)
    took = time.perf_counter() - began
    worst = differences(output.read_text().splitlines(), theirs)
    ours = numbers["compute"][0]
    met = worst <= 1e-9 and ours <= took
    print(
        f"{name}: {len(theirs)} snapshots, ours {ours:.3f} s, pandas and scipy {took:.3f} s, ratio {took / ours:.2f} "
        f"(bar 1), largest difference {worst:.1e} (bar 1e-9), our memory {numbers['memory'][0]:.0f} MB: "
        f"{'met' if met else 'NOT MET'}"
    )
    return met


def compare_synthetic():
    symbols, times = (150, 14_401) if arguments.short else (500, 43_201)
    numbers = run_ours(["synthetic", "--symbols", symbols, "--times", times])
    whole, product, triangle = (numbers[name] for name in ("whole", "product", "symmetric"))
    met = whole[0] <= 2 * product[0]
    print(
        f"synthetic: {symbols} symbols x {times - 1} minutes, prices to edges {whole[0]:.3f} s "
        f"[{whole[1]:.3f}..{whole[2]:.3f}], bare product (dgemm) {product[0]:.3f} s [{product[1]:.3f}..{product[2]:.3f}], "
        f"ratio {whole[0] / product[0]:.2f} (bar 2); one triangle only (dsyrk) {triangle[0]:.3f} s, ratio "
        f"{whole[0] / triangle[0]:.2f}; memory {numbers['memory'][0]:.0f} MB, of which the prices are "
        f"{symbols * times * 8 / 1e6:.0f}: {'met' if met else 'NOT MET'}"
    )
    return met


def main():
    print(f"numpy {np.__version__}, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}")
    results = []
    if arguments.data:
        frame = recorded(arguments.data)
        every = ["pearson", "spearman", "partial", "lead_lag"]
        with tempfile.TemporaryDirectory() as folder:
            results.append(compare_recorded(folder, frame, "one window, four methods", every, None, 1))
            results.append(compare_recorded(folder, frame, "30 days, a step of a day", every, 720, 24))
    else:
        print("recorded: left out, --data names no folder of hourly candles")
    results.append(compare_synthetic())
    return 0 if all(results) else 1


sys.exit(main())
