"""Candles as the source files have them and as the store has them, and their canonical digest.

This path shares nothing with the product: the files are read here, the store is asked through psql.

The digest is SHA-256 over one line a candle in key order: the fields below joined by commas, decimals
without trailing zeros, each line ended by a line feed.
"""

import csv
import datetime
import gzip
import hashlib
import os
import shutil
import subprocess
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

FIELDS = (
    "_key symbol interval open_time open high low close volume close_time quote_volume trades"
    " taker_buy_base taker_buy_quote"
).split()
DECIMALS = {"open", "high", "low", "close", "volume", "quote_volume", "taker_buy_base", "taker_buy_quote"}
MILLISECONDS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}
DAY_MILLISECONDS = 86_400_000


@dataclass(frozen=True)
class Range:
    """What a set of records is: equal exactly when the records are."""

    count: int
    sha256: str
    first_time: int | None
    last_time: int | None


def plain_decimal(text: str) -> str:
    """The shortest text of the same number: `67.50000000` is `67.5`, `0.000` is `0`."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, fraction = digits.partition(".")
    if not whole.isdecimal() or (fraction and not fraction.isdecimal()):
        raise ValueError(f"{text!r} is no decimal")
    number = (whole.lstrip("0") or "0") + ("." + fraction.rstrip("0") if fraction.rstrip("0") else "")
    return number if number == "0" else sign + number


class Digester:
    """Takes records in key order, each as texts in the order of its fields; those of a candle unless others are given."""

    def __init__(self, fields=tuple(FIELDS), decimals=frozenset(DECIMALS), time_field="open_time"):
        self.fields, self.decimals, self.time_field = fields, decimals, time_field
        self.hash = hashlib.sha256()
        self.count = 0
        self.first_time = self.last_time = None
        self.last_key = ""

    def add(self, values: list[str]) -> None:
        key = values[0]
        if key <= self.last_key:
            raise ValueError(f"{key} comes after {self.last_key}")
        pairs = zip(self.fields, values, strict=True)
        texts = [plain_decimal(v) if f in self.decimals else v for f, v in pairs]
        self.hash.update((",".join(texts) + "\n").encode())
        self.count += 1
        self.last_key = key
        self.last_time = int(values[self.fields.index(self.time_field)])
        if self.first_time is None:
            self.first_time = self.last_time

    def finish(self) -> Range:
        return Range(self.count, self.hash.hexdigest(), self.first_time, self.last_time)


def day_start(day: str) -> int:
    moment = datetime.datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) * 1000


def time_bounds(time_range: str) -> tuple[int, int]:
    """`2024-08-01:2024-08-07` as [first day 00:00, day after the last 00:00) in Unix milliseconds, UTC."""
    first, last = time_range.split(":")
    return day_start(first), day_start(last) + DAY_MILLISECONDS


def key_of(symbol: str, interval: str, open_time: int) -> str:
    return f"{symbol}-{interval}-{open_time:013d}"


def of_source(folder: Path, symbol: str, interval: str, time_range: str) -> Range:
    """Digests the recording of a symbol as the exchange has to serve it: columns it lacks are zeros."""
    start, end = time_bounds(time_range)
    digester = Digester()
    with gzip.open(folder / "candles" / f"{symbol}-{interval}.csv.gz", "rt", newline="") as file:
        for row in csv.reader(file):
            if not row or not row[0].isdecimal():
                continue  # the line of headings
            open_time = int(row[0])
            if not start <= open_time < end:
                continue
            close_time = row[6] or str(open_time + MILLISECONDS[interval] - 1)
            rest = [row[7], row[8], row[9], row[10]]
            digester.add(
                [key_of(symbol, interval, open_time), symbol, interval, row[0], *row[1:6], close_time]
                + [value or "0" for value in rest]
            )
    return digester.finish()


def collection_of(symbol: str, record_type: str, time_range: str) -> str:
    name = f"{symbol.lower()}_{record_type}_{time_range.split(':')[0].replace('-', '_')}"
    return f"s_{name}" if name[0].isdigit() else name


class Store:
    """The documents in PostgreSQL, through psql. The password goes by environment, never by argument."""

    TIMEOUT_SECONDS = 120

    def __init__(self, url: str):
        parts = urllib.parse.urlsplit(url)
        self.environment = os.environ | {
            "PGHOST": urllib.parse.unquote(parts.hostname or "127.0.0.1"),
            "PGPORT": str(parts.port or 5432),
            "PGUSER": urllib.parse.unquote(parts.username or ""),
            "PGPASSWORD": urllib.parse.unquote(parts.password or ""),
            "PGDATABASE": urllib.parse.unquote(parts.path.lstrip("/")),
            "PGCONNECT_TIMEOUT": "10",
        }
        servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), key=lambda path: float(path.parts[4]))
        # Debian's psql on the path is a script that looks for clusters first, which costs more than the query.
        self.psql = str(servers[-1]) if servers else shutil.which("psql")
        if self.psql is None:
            raise RuntimeError("psql is missing: run scripts/setup")

    def query(self, sql: str) -> str:
        command = [self.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            command,
            input=sql,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.TIMEOUT_SECONDS,
        )
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout

    def of_collection(self, collection: str, digester: Digester | None = None) -> Range:
        """Digests a whole collection: a document too many counts as much as one too few."""
        digester = digester or Digester()
        columns = ", ".join(f"document->>'{field}'" for field in digester.fields)
        # A document under a foreign key or with other fields must not pass: its key becomes unreadable.
        sql = (
            f"COPY (SELECT {columns}, _key = document->>'_key' AND"
            f" (SELECT count(*) FROM jsonb_object_keys(document)) = {len(digester.fields)}"
            f" FROM documents.\"{collection}\" ORDER BY _key) TO STDOUT WITH (FORMAT csv, NULL '\\N')"
        )
        for row in csv.reader(self.query(sql).splitlines()):
            *values, is_whole = row
            if is_whole != "t" or "\\N" in values:
                raise ValueError(f"document {row[0]} has not the fields of its kind")
            digester.add(values)
        return digester.finish()

    def drop_collection(self, collection: str) -> None:
        self.query(f'DROP TABLE IF EXISTS documents."{collection}"')
