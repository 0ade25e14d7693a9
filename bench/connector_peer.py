"""The connector's work as a Python program would do it: confluent-kafka in, psycopg COPY out.

usage: connector_peer.py BROKER, with BENCH_POSTGRES_URL in the environment

Reads lines `topic collection`; stores the topic's records up to the end marker in batches, each a transaction
of COPY into a staging table, insert-or-ignore and the position; answers `done <rows>`.
"""

import json
import os
import sys

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

BATCH = 5_000


def main() -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": sys.argv[1],
            "group.id": "bench-python",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "receive.message.max.bytes": 1_000_000_000,
        }
    )
    consumer.list_topics(timeout=10)
    with psycopg.connect(os.environ["BENCH_POSTGRES_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS peer_positions (stream text PRIMARY KEY, next_offset bigint)")
        connection.execute('CREATE TEMPORARY TABLE staging (_key text COLLATE "C", document jsonb)')
        connection.commit()
        print("ready", flush=True)
        for line in sys.stdin:
            topic, collection = line.split()
            print("done", store(consumer, connection, topic, collection), flush=True)


def store(consumer: Consumer, connection: psycopg.Connection, topic: str, collection: str) -> int:
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    stored = 0
    last = 0
    ended = False
    while not ended:
        rows = []
        for message in consumer.consume(BATCH, timeout=0.2):
            if message.error():
                raise RuntimeError(message.error())
            headers = dict(message.headers() or [])
            if "sf-end" in headers:
                assert json.loads(message.value())["count"] == last
                ended = True
                break
            sequence = int(headers["sf-seq"])
            assert sequence == last + 1
            last = sequence
            value = message.value()
            rows.append((json.loads(value)["_key"], value.decode()))
            position = message.offset() + 1
        if rows:
            stored += write(connection, collection, topic, rows, position)
            consumer.commit(offsets=[TopicPartition(topic, 0, position)], asynchronous=False)
    return stored


def write(connection: psycopg.Connection, collection: str, stream: str, rows: list, position: int) -> int:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE staging")
        with cursor.copy("COPY staging FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(
            f'INSERT INTO documents."{collection}" SELECT _key, document FROM staging ON CONFLICT DO NOTHING'
        )
        created = cursor.rowcount
        cursor.execute(
            "INSERT INTO peer_positions VALUES (%s, %s)"
            " ON CONFLICT (stream) DO UPDATE SET next_offset = EXCLUDED.next_offset",
            (stream, position),
        )
    return created


if __name__ == "__main__":
    main()
