"""Stores a great many finished queues, as copies of a few that really ran."""

from candles import Store
from local_stack import Failure, request, wait_for_queue

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
# One queue of this symbol, the oldest of all: whoever asks for it has to find it among all others.
RARE_SYMBOL = "PEPEUSDT"
FAILED_EVERY, STOPPED_EVERY = 100, 1_000
# Queues stored in one transaction.
BATCH = 50_000
QUEUE_SECONDS_MAX = 120


def templates(base: str) -> dict[str, str]:
    """Runs one queue of each sort to its end; the ids by sort."""

    def start(symbol: str, **params) -> str:
        steps = [{"id": "a", "target": "dummy-service", "params": params}]
        body = {"symbols": [symbol], "time_range": "2024-08-01:2024-08-01", "steps": steps}
        return request("POST", f"{base}/queues/start", body)["queue_id"]

    ids = {symbol: start(symbol, seconds=0) for symbol in (*SYMBOLS, RARE_SYMBOL)}
    ids["failed"] = start("BTCUSDT", seconds=5, fail_after=0, fail_final=True)
    ids["stopped"] = start("BTCUSDT", seconds=60)
    request("POST", f"{base}/queues/{ids['stopped']}/stop")
    for sort, queue_id in ids.items():
        ended = wait_for_queue(base, queue_id, QUEUE_SECONDS_MAX)["status"]
        if ended != (sort if sort in ("failed", "stopped") else "finished"):
            raise Failure(f"the queue to copy ({sort}) is {ended}")
    return ids


class Filler:
    """Copies every row that belongs to a queue, in whatever tables there are."""

    def __init__(self, store: Store, ids: dict[str, str], count: int):
        if count > 1_000_000:
            raise Failure("ids have six digits: at most 1,000,000 queues")
        self.store, self.ids, self.count = store, ids, count

    def fill(self, tell) -> None:
        tables = self._tables()
        for first in range(0, self.count, BATCH):
            last = min(first + BATCH, self.count)
            statements = [
                self._copy(table, columns, sort, first, last)
                for table, columns in tables.items()
                for sort in self.ids
            ]
            # Foreign keys hold, as whole queues are copied; looking each one up would take most of the time.
            self.store.query(
                "SET session_replication_role = replica; SET synchronous_commit = off; BEGIN; "
                + "; ".join(statements)
                + "; COMMIT"
            )
            tell(f"  {last} of {self.count} queues stored")
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            self.store.query(statement)

    def _tables(self) -> dict[str, list[tuple[str, str]]]:
        """Columns (name, type) of each table that belongs to queues, without those that number themselves."""
        rows = self.store.query(
            "SELECT table_name, column_name, data_type FROM information_schema.columns c"
            " JOIN information_schema.tables t USING (table_schema, table_name)"
            " WHERE table_schema = 'streamforge' AND table_type = 'BASE TABLE' AND is_identity = 'NO'"
            " AND is_generated = 'NEVER' AND coalesce(column_default, '') NOT LIKE 'nextval(%'"
            " ORDER BY table_name, ordinal_position"
        ).splitlines()
        tables: dict[str, list[tuple[str, str]]] = {}
        for table, column, kind in (row.split("|") for row in rows):
            tables.setdefault(table, []).append((column, kind))
        return {table: columns for table, columns in tables.items() if "queue_id" in dict(columns)}

    def _copy(self, table: str, columns: list[tuple[str, str]], sort: str, first: int, last: int) -> str:
        def value(column: str, kind: str) -> str:
            if column == "queue_id":
                return "left(t.queue_id, -6) || lpad(i::text, 6, '0')"
            # Two a second, the newest first.
            return (
                f"t.{column} - i * interval '0.5 seconds'" if kind.startswith("timestamp") else f"t.{column}"
            )

        names = ", ".join(f'"{column}"' for column, _ in columns)
        values = ", ".join(value(column, kind) for column, kind in columns)
        return (
            f"INSERT INTO streamforge.{table} ({names}) SELECT {values} FROM streamforge.{table} t"
            f" CROSS JOIN generate_series({first}, {last - 1}) AS i"
            f" WHERE t.queue_id = '{self.ids[sort]}' AND {self._share(sort)}"
        )

    def _share(self, sort: str) -> str:
        """Which of the numbers are copies of this sort."""
        oldest = self.count - 1
        if sort == RARE_SYMBOL:
            return f"i = {oldest}"
        stopped, failed = f"i % {STOPPED_EVERY} = 7", f"i % {FAILED_EVERY} = 3"
        if sort == "stopped":
            return f"{stopped} AND i <> {oldest}"
        if sort == "failed":
            return f"{failed} AND NOT {stopped} AND i <> {oldest}"
        return (
            f"i % {len(SYMBOLS)} = {SYMBOLS.index(sort)} AND NOT {stopped} AND NOT {failed} AND i <> {oldest}"
        )


def page_paths(base: str, store: Store, count: int) -> dict[str, str]:
    """Every way to ask for a page, by what it is called in the report."""
    paths = {
        "newest": "/queues",
        "newest, 200": "/queues?limit=200",
        "status finished": "/queues?status=finished",
        "status failed": "/queues?status=failed",
        "status stopped": "/queues?status=stopped",
        "status nobody has": "/queues?status=paused",
        "symbol": "/queues?symbol=ETHUSDT",
        "symbol of one queue": f"/queues?symbol={RARE_SYMBOL}",
        "symbol nobody has": "/queues?symbol=LTCUSDT",
        "status and symbol": "/queues?status=failed&symbol=BTCUSDT",
        "status and symbol, none": "/queues?status=failed&symbol=ETHUSDT",
    }
    for name, share in (("the middle", 0.5), ("the end", 0.9999)):
        sql = (
            "SELECT (extract(epoch FROM created_at) * 1000000)::bigint || '.' || queue_id"
            " FROM streamforge.queues ORDER BY created_at DESC, queue_id DESC"
            f" OFFSET {int(count * share)} LIMIT 1"
        )
        mark = store.query(sql).strip()
        paths[f"from {name} on"] = f"/queues?after={mark}"
        paths[f"finished, from {name} on"] = f"/queues?status=finished&after={mark}"
        paths[f"symbol, from {name} on"] = f"/queues?symbol=ETHUSDT&after={mark}"
    return paths
