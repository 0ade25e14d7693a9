"""Raw trades as the recordings have them and as the store has them, and the candle that they make.

As candles.py, this path shares nothing with the product.
"""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import candles

TYPE = "api_trades_raw"
FIELDS = ("_key", "symbol", "trade_id", "price", "quantity", "time", "is_buyer_maker")


def digester() -> candles.Digester:
    return candles.Digester(FIELDS, frozenset({"price", "quantity"}), "time")


def of_source(folder: Path, symbol: str, time_range: str) -> candles.Range:
    """Digests the recorded trades of a symbol, which have every id of theirs."""
    start, end = candles.time_bounds(time_range)
    digest = digester()
    last = None
    with gzip.open(folder / "trades" / f"{symbol}.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            if not start <= int(row["time"]) < end:
                continue
            trade_id = int(row["id"])
            if last is not None and trade_id != last + 1:
                raise ValueError(f"{symbol}: trade {trade_id} comes after {last}")
            last = trade_id
            values = [row["id"], row["price"], row["qty"], row["time"], row["is_buyer_maker"]]
            digest.add([f"{symbol}-t-{trade_id:020d}", symbol, *values])
    return digest.finish()


def stored_candle(store: candles.Store, collection: str, open_time: int) -> tuple[Decimal, ...]:
    """Open, high, low, close and volume of the stored trades of five minutes."""
    trades = (
        "SELECT (document->>'price')::numeric AS price, (document->>'quantity')::numeric AS quantity,"
        f" (document->>'trade_id')::bigint AS id FROM documents.\"{collection}\""
        f" WHERE (document->>'time')::bigint BETWEEN {open_time} AND {open_time + 299_999}"
    )
    line = store.query(
        f"WITH trades AS ({trades}) SELECT (SELECT price FROM trades ORDER BY id LIMIT 1), max(price),"
        " min(price), (SELECT price FROM trades ORDER BY id DESC LIMIT 1), sum(quantity) FROM trades"
    )
    return tuple(Decimal(text) for text in line.strip().split("|"))


def recorded_candle(folder: Path, symbol: str, open_time: int) -> tuple[Decimal, ...]:
    with gzip.open(folder / "candles" / f"{symbol}-5m.csv.gz", "rt", newline="") as file:
        for row in csv.reader(file):
            if row and row[0] == str(open_time):
                return tuple(Decimal(text) for text in row[1:6])
    raise ValueError(f"{symbol} has no recorded candle at {open_time}")
