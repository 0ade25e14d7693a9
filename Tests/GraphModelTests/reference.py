"""Makes frames of candles and says what their graphs must be, with numpy, scipy and pandas.

usage: reference.py CANDLES_FOLDER OUTPUT_FILE
Writes one JSON object {"cases": [...]}; see ReferenceTests.swift for its members.
"""

import json
import sys
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

COLUMNS = ("close", "volume", "taker_buy_volume", "trade_count")


def recorded(folder, first, last):
    """Recorded five-minute candles of all symbols between two times."""
    frames = {}
    for file in sorted(Path(folder).glob("*-5m.csv.gz")):
        table = pd.read_csv(file).set_index("open_time")
        frames[file.name.split("-")[0]] = table
    index = np.arange(first, last, 300_000)
    close = pd.DataFrame({name: table["close"] for name, table in frames.items()}).reindex(index)
    volume = pd.DataFrame({name: table["volume"] for name, table in frames.items()}).reindex(index)
    absent = pd.DataFrame(np.nan, index=index, columns=close.columns)
    return {"close": close, "volume": volume, "taker_buy_volume": absent, "trade_count": absent}


def made_up(seed, symbols, count):
    """Prices that go together, with holes, equal returns, a late symbol and one that stands still."""
    random = np.random.default_rng(seed)
    market = random.normal(0, 0.002, count)
    index = 1_700_000_000_000 // 60_000 * 60_000 + np.arange(count) * 60_000
    names = [f"S{number:02}USDT" for number in range(symbols)]
    close = {}
    for number, name in enumerate(names):
        own = random.standard_t(4, count) * 0.001
        path = np.cumsum(market * (number % 5) / 4 + own + np.roll(market, 2) * (number % 3) / 3)
        close[name] = np.round(100 * np.exp(path), 2 if number % 2 else 6)
    close = pd.DataFrame(close, index=index)
    close.iloc[: count // 2, 3] = np.nan
    close.iloc[count - count // 3 :, 4] = np.nan
    close.iloc[:, 5] = 7.5
    for row, column in zip(random.integers(0, count, 9), random.integers(6, symbols, 9)):
        close.iloc[row, column] = np.nan
    volume = pd.DataFrame(random.gamma(2, 10, (count, symbols)), index=index, columns=names)
    share = random.uniform(0, 1, (count, symbols))
    trades = pd.DataFrame(random.integers(1, 500, (count, symbols)), index=index, columns=names, dtype=float)
    holes = close.isna()
    columns = {"close": close, "volume": volume, "taker_buy_volume": volume * share, "trade_count": trades}
    return {name: table.mask(holes) for name, table in columns.items()}


def log_returns(close):
    """The logarithm of the quotient: equal ratios of prices are then equal returns, which ranks depend on."""
    return np.log(close / close.shift(1))


def features(frame, step, wanted):
    """Each feature as a table of all times."""
    close, volume = frame["close"], frame["volume"]
    returns = log_returns(close)
    tables = {f"return_{n}": np.log(close / close.shift(n)) for n in wanted["returns"]}
    tables[f"volatility_{wanted['volatility']}"] = returns.rolling(wanted["volatility"]).std()
    change = close.diff()
    n = wanted["rsi"]
    rise, fall = change.clip(lower=0).rolling(n).mean(), (-change).clip(lower=0).rolling(n).mean()
    strength = 100 - 100 / (1 + rise / fall)
    # A window without movement is 0 / 0; rolling means leave a dust of rounding behind.
    still = change.abs().rolling(n).max() == 0
    tables[f"rsi_{n}"] = strength.mask(still, 50)
    n = wanted["activity"]
    tables[f"volume_ratio_{n}"] = volume / volume.rolling(n).mean()
    bought = frame["taker_buy_volume"].rolling(n).sum()
    sold = (volume - frame["taker_buy_volume"]).rolling(n).sum()
    tables[f"taker_imbalance_{n}"] = (bought - sold) / (bought + sold)
    tables[f"trades_per_minute_{n}"] = frame["trade_count"].rolling(n).sum() / (n * step / 60_000)
    return tables


def partial_correlations(values):
    """Schäfer and Strimmer's shrinkage, written out pair by pair."""
    rows, size = values.shape
    x = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
    r = np.corrcoef(values, rowvar=False)
    variance, squares = 0.0, 0.0
    for i, j in combinations(range(size), 2):
        w = x[:, i] * x[:, j]
        variance += rows / (rows - 1) ** 3 * np.sum((w - w.mean()) ** 2)
        squares += r[i, j] ** 2
    shrinkage = min(1.0, max(0.0, variance / squares))
    shrunk = (1 - shrinkage) * r
    np.fill_diagonal(shrunk, 1.0)
    inverse = np.linalg.inv(shrunk)
    scale = np.sqrt(np.diag(inverse))
    return -inverse / np.outer(scale, scale), shrinkage


def t_test(r, freedom):
    if freedom < 1:
        return None
    return float(2 * stats.t.sf(abs(r) * np.sqrt(freedom / (1 - r * r)), freedom))


def pairs_of(method, window, lag_max):
    """All pairs of a method as [from, to, weight, lag, p-value]."""
    values = window.dropna().to_numpy()
    rows, size = values.shape
    if method == "pearson":
        found = [(i, j, *stats.pearsonr(values[:, i], values[:, j])) for i, j in combinations(range(size), 2)]
        return [[i, j, float(r), 0, float(p)] for i, j, r, p in found], None
    if method == "spearman":
        result = stats.spearmanr(values)
        return [
            [i, j, float(result.statistic[i, j]), 0, float(result.pvalue[i, j])]
            for i, j in combinations(range(size), 2)
        ], None
    if method == "partial":
        weights, shrinkage = partial_correlations(values)
        return [
            [i, j, float(weights[i, j]), 0, t_test(weights[i, j], rows - size)]
            for i, j in combinations(range(size), 2)
        ], shrinkage
    complete = window.mask(window.isna().any(axis=1))
    found = []
    for i, j in permutations(range(size), 2):
        best = None
        for lag in range(1, lag_max + 1):
            both = pd.concat([complete.iloc[:, i], complete.iloc[:, j].shift(-lag)], axis=1).dropna()
            r, p = stats.pearsonr(both.iloc[:, 0], both.iloc[:, 1])
            if best is None or abs(r) > abs(best[2]):
                best = [i, j, float(r), lag, min(1.0, float(p) * lag_max)]
        found.append(best)
    return found, None


def kept(pairs, rule, size, directed):
    kind = rule["kind"]
    if kind == "threshold":
        return [pair for pair in pairs if abs(pair[2]) >= rule["value"]]
    if kind == "top_k":
        chosen = set()
        for node in range(size):
            own = [n for n, p in enumerate(pairs) if p[0] == node or (not directed and p[1] == node)]
            chosen |= set(sorted(own, key=lambda n: -abs(pairs[n][2]))[: rule["value"]])
        return [pairs[n] for n in sorted(chosen)]
    p_values = np.array([pair[4] for pair in pairs])
    if rule["correction"] == "benjamini_hochberg":
        passes = stats.false_discovery_control(p_values) <= rule["alpha"]
    elif rule["correction"] == "bonferroni":
        passes = p_values * len(p_values) <= rule["alpha"]
    else:
        passes = p_values <= rule["alpha"]
    return [pair for pair, passed in zip(pairs, passes) if passed]


def snapshot(frame, tables, parameters, end, length):
    returns = log_returns(frame["close"])
    window = returns.iloc[end - length + 1 : end + 1]
    coverage = window.notna().mean()
    moving = window.nunique() > 1
    names = [n for n in window.columns if coverage[n] >= parameters["coverage_min"] and moving[n]]
    window = window[names]
    methods = {}
    for method in parameters["methods"]:
        pairs, shrinkage = pairs_of(method, window, parameters["lag_max"])
        methods[method] = {
            "pairs": len(pairs),
            "shrinkage": shrinkage,
            "edges": kept(pairs, parameters["rule"], len(names), method == "lead_lag"),
        }
    rows = {name: [None if np.isnan(v) else float(v) for v in table.iloc[end][names]] for name, table in tables.items()}
    return {
        "end": end,
        "nodes": names,
        "common": int(len(window.dropna())),
        "features": rows,
        "methods": methods,
    }


def case(name, frame, **parameters):
    index = frame["close"].index
    step = int(index[1] - index[0])
    count = len(index)
    length = parameters["window"] or count - 1
    wanted = {"returns": [1, 4, 12, 24], "volatility": 24, "rsi": 14, "activity": 24}
    tables = features(frame, step, wanted)
    ends = sorted(range(count - 1, length - 1, -parameters["stride"]))
    table = {
        column: [[None if np.isnan(v) else float(v) for v in values] for values in frame[column].to_numpy().T]
        for column in COLUMNS
    }
    return {
        "name": name,
        "symbols": list(frame["close"].columns),
        "first": int(index[0]),
        "step": step,
        "count": count,
        "columns": table,
        "parameters": parameters,
        "snapshots": [snapshot(frame, tables, parameters, end, length) for end in ends],
    }


def main(folder, output):
    every = ["pearson", "spearman", "partial", "lead_lag"]
    base = {"methods": every, "window": None, "stride": 1, "coverage_min": 0.95, "lag_max": 3}
    august_7 = 1_722_988_800_000
    real = recorded(folder, august_7, august_7 + 3 * 86_400_000)
    invented = made_up(7, 14, 420)
    short = {name: table.iloc[:60] for name, table in made_up(11, 40, 90).items()}
    cases = [
        case("recorded, threshold", real, **base, rule={"kind": "threshold", "value": 0.3}),
        case(
            "recorded, rolling, strongest",
            real,
            **(base | {"window": 288, "stride": 144}),
            rule={"kind": "top_k", "value": 4},
        ),
        case(
            "made up, false discovery rate",
            invented,
            **base,
            rule={"kind": "significance", "alpha": 0.05, "correction": "benjamini_hochberg"},
        ),
        case(
            "made up, rolling, Bonferroni",
            invented,
            **(base | {"window": 100, "stride": 53, "coverage_min": 0.9, "lag_max": 5}),
            rule={"kind": "significance", "alpha": 0.01, "correction": "bonferroni"},
        ),
        case(
            "made up, no correction",
            invented,
            **(base | {"coverage_min": 0.4}),
            rule={"kind": "significance", "alpha": 0.1, "correction": "none"},
        ),
        case(
            "nearly as many symbols as returns",
            short,
            **(base | {"methods": ["partial", "pearson"], "coverage_min": 0.9}),
            rule={"kind": "threshold", "value": 0.0},
        ),
    ]
    with open(output, "w") as file:
        json.dump({"cases": cases}, file, allow_nan=False)


main(*sys.argv[1:])
