"""What must hold after a chaos run, asked past the product: of PostgreSQL, the broker, the process table."""

import json
import subprocess
import time
from pathlib import Path

from candles import Range
from engine_queues import Planned
from engine_stack import EngineStack
from kafka_topics import topics
from local_stack import Failure

LEFT_SECONDS_MAX = 60
FINAL = ("finished", "failed", "stopped")
LISTED_MAX = 5


class Verdicts:
    """Collects everything that is wrong with a run; nothing is hidden behind the first find."""

    def __init__(self, stack: EngineStack, queues: list[Planned], sources: dict[str, Range]):
        self.stack, self.queues, self.sources = stack, queues, sources
        self.wrong: list[str] = []

    def judge(self) -> list[str]:
        self.check_ends()
        self.check_stores()
        self.check_attempts()
        self.check_history()
        self.check_final_events()
        self.check_nothing_left()
        return self.wrong

    def add(self, what: str, rows: list[str]) -> None:
        if rows:
            more = f" and {len(rows) - LISTED_MAX} more" if len(rows) > LISTED_MAX else ""
            self.wrong.append(f"{what}: {'; '.join(rows[:LISTED_MAX])}{more}")

    def rows(self, sql: str) -> list[str]:
        return self.stack.store.query(sql).splitlines()

    @property
    def ids(self) -> str:
        return ", ".join(f"'{queue.queue_id}'" for queue in self.queues)

    def check_ends(self) -> None:
        sql = f"SELECT queue_id, status, reason FROM streamforge.queues WHERE queue_id IN ({self.ids})"
        found = {row.split("|")[0]: row.split("|")[1:] for row in self.rows(sql)}
        wrong = []
        for queue in self.queues:
            status, reason = found.get(queue.queue_id, ["not there", ""])
            if status != queue.expected:
                wrong.append(f"{queue.queue_id} ({queue.kind}) is {status} ({reason}), not {queue.expected}")
        self.add("wrong end", wrong)
        duplicates = len({queue.queue_id for queue in self.queues})
        if duplicates != len(self.queues):
            self.wrong.append(f"{len(self.queues)} starts gave {duplicates} queues")

    def check_stores(self) -> None:
        wrong = []
        for queue in self.queues:
            if queue.collection:
                stored, source = self.stack.store.of_collection(queue.collection), self.sources[queue.symbol]
                if stored != source or source.count == 0:
                    wrong.append(f"{queue.queue_id}: the source is {source}, the store {stored}")
        self.add("store differs from source", wrong)

    def check_attempts(self) -> None:
        attempts = f"streamforge.attempts WHERE queue_id IN ({self.ids})"
        self.add(
            "attempts not ended",
            self.rows(f"SELECT queue_id, step, instance, attempt FROM {attempts} AND ended_at IS NULL"),
        )
        self.add(
            "attempts not numbered 1, 2, 3 …",
            self.rows(
                f"SELECT queue_id, step, instance, array_agg(attempt ORDER BY attempt) FROM {attempts}"
                " GROUP BY 1, 2, 3 HAVING min(attempt) <> 1 OR max(attempt) <> count(*)"
            ),
        )
        self.add(
            "attempts that overlap",
            self.rows(
                "SELECT queue_id, step, instance, attempt, created_at, before FROM (SELECT *,"
                " lag(ended_at) OVER (PARTITION BY queue_id, step, instance ORDER BY attempt) AS before"
                # Ends are kept in whole milliseconds.
                f" FROM {attempts}) AS a WHERE created_at < before - interval '1 ms'"
            ),
        )
        self.add(
            "instances with another number of finished attempts than 1",
            self.rows(
                "SELECT i.queue_id, i.step, i.instance, count(a.attempt) FROM streamforge.instances i"
                " LEFT JOIN streamforge.attempts a ON (a.queue_id, a.step, a.instance)"
                " = (i.queue_id, i.step, i.instance) AND a.status = 'finished'"
                f" WHERE i.queue_id IN ({self.ids}) AND i.status = 'finished'"
                " GROUP BY 1, 2, 3 HAVING count(a.attempt) <> 1"
            ),
        )

    def check_history(self) -> None:
        events = f"streamforge.events WHERE queue_id IN ({self.ids})"
        self.add(
            "history with gaps",
            self.rows(
                f"SELECT queue_id, count(*), max(number) FROM {events} GROUP BY 1"
                " HAVING min(number) <> 1 OR max(number) <> count(*)"
            ),
        )
        self.add(
            "attempts with more than one final event in the history",
            self.rows(
                f"SELECT queue_id, step, instance, attempt, array_agg(kind) FROM {events}"
                " AND kind IN ('worker_finished', 'worker_error', 'worker_interrupted')"
                " GROUP BY 1, 2, 3, 4 HAVING count(*) > 1"
            ),
        )
        self.add(
            "queues with another number of ends than 1",
            self.rows(
                f"SELECT queue_id, array_agg(kind) FROM {events}"
                " AND kind ~ '^queue_(finished|failed|stopped)$'"
                " GROUP BY 1 HAVING count(*) <> 1"
            ),
        )

    def check_final_events(self) -> None:
        """On the topic: a worker may repeat its final event, but never send another one."""
        command = [
            self.stack.programs / "bench-engine",
            "finals",
            "--servers",
            self.stack.broker.servers,
            "--topic",
            self.stack.topics["QUEUE_EVENTS_TOPIC"],
        ]
        if self.stack.broker.kind == self.stack.broker.NOIDA_DB:
            command.append("--reread-aborted")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise Failure(f"the events could not be read: {done.stderr.strip()}")
        ids = {queue.queue_id for queue in self.queues}
        finals: dict[tuple, set] = {}
        for event in map(json.loads, done.stdout.splitlines()):
            if event["queue_id"] in ids:
                attempt = (event["queue_id"], event["step"], event["instance"], event["attempt"])
                # A worker that nobody owns ends as superseded and says nothing that counts.
                finals.setdefault(attempt, set()).add((event["worker_id"], event["seq"], event["status"]))
        if not finals:
            self.wrong.append("no final event on the topic")
        self.add(
            "attempts with more than one final event on the topic",
            [f"{attempt}: {sorted(events)}" for attempt, events in finals.items() if len(events) > 1],
        )

    def check_nothing_left(self) -> None:
        deadline = time.monotonic() + LEFT_SECONDS_MAX
        while (left := self.left_over()) and time.monotonic() < deadline:
            time.sleep(0.5)
        self.add(f"left over {LEFT_SECONDS_MAX} s after the end", left)

    def left_over(self) -> list[str]:
        counts = {
            "queues not cleaned": "streamforge.queues WHERE NOT is_cleaned",
            "queues claimed": "streamforge.queues WHERE claim_token IS NOT NULL",
            "attempts with a lease": "streamforge.attempts WHERE ended_at IS NULL",
            "commands to send": "streamforge.outbox",
            "advisory locks": "pg_locks WHERE locktype = 'advisory'",
            "transactions open for 5 s": "pg_stat_activity WHERE xact_start < now() - interval '5 seconds'"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        } | {
            f"rows of {table}": f"streamforge.{table}"
            for table in self.rows(
                # Tables of what is held for a time: whatever their names, they are empty when nothing runs.
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'streamforge'"
                " AND table_name ~ '(lock|semaphore|resource)_?(holders|holds|leases|waiters|waits)$'"
            )
        }
        sql = " UNION ALL ".join(
            f"SELECT '{name}', count(*) FROM {source}" for name, source in counts.items()
        )
        left = [
            f"{count} {name}"
            for name, _, count in (row.partition("|") for row in self.rows(sql))
            if count != "0"
        ]
        processes = self.stack.workers()
        if processes:
            left.append(
                f"processes {[(pid, env.get('QUEUE_ID')) for pid, env in processes.items()][:LISTED_MAX]}"
            )
        names = [name for name in topics(self.stack.broker.servers) if name.startswith("wf-")]
        if names:
            left.append(f"{len(names)} topics, e.g. {names[0]}")
        return left


def print_diagnosis(stack: EngineStack, queues: list[Planned], tell) -> None:
    """What is known of queues that did not end, for whoever has to find out why."""
    ids = ", ".join(f"'{queue.queue_id}'" for queue in queues if queue.queue_id)
    try:
        tell(
            stack.store.query(
                "SELECT q.queue_id, q.status, q.look_at - now() AS look_in, q.claim_token AS claimed,"
                " i.step, i.status, i.attempt, i.reason, i.not_before - now() AS hold"
                " FROM streamforge.queues q JOIN streamforge.instances i USING (queue_id)"
                f" WHERE q.queue_id IN ({ids})"
                f" AND q.status NOT IN {FINAL} AND i.status NOT IN {FINAL} ORDER BY 1 LIMIT 20"
            )
        )
        tell(
            stack.store.query(
                "SELECT queue_id, number, at, kind, actor, step, attempt, detail FROM streamforge.events"
                " WHERE queue_id IN (SELECT queue_id FROM streamforge.queues"
                f" WHERE queue_id IN ({ids}) AND status NOT IN {FINAL} LIMIT 2) ORDER BY 1, 2"
            )
        )
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        tell(f"PostgreSQL does not answer: {error}")
    for replica in stack.replicas + stack.pool:
        lines = _tail(replica.log)
        tell(f"--- {replica.log.name}\n" + "\n".join(line[:400] for line in lines))


def _tail(log: Path, count: int = 5) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-count:] if log.exists() else []
