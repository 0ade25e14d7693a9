"""Uses python-arango, ArangoDB's own driver, against the server given as the only argument.

User root, password from the variable ARANGO_PASSWORD. Prints "ok" at the end; any surprise is an exception.
"""

import os
import sys

from arango import ArangoClient
from arango.exceptions import (
    AQLQueryExecuteError,
    DocumentInsertError,
    DocumentRevisionError,
    GraphCreateError,
    ServerConnectionError,
)

client = ArangoClient(hosts=sys.argv[1])
password = os.environ["ARANGO_PASSWORD"]


def expect(actual, expected):
    assert actual == expected, f"got {actual!r}, expected {expected!r}"


def fails(error, call, error_code):
    try:
        call()
    except error as problem:
        expect(problem.error_code, error_code)
    else:
        raise AssertionError(f"{error.__name__} was expected")


# Both ways to sign in; a wrong password is refused.
for auth_method in ("basic", "jwt"):
    system = client.db("_system", username="root", password=password, auth_method=auth_method, verify=True)
    expect(system.version(), "3.12.10")
fails(ServerConnectionError, lambda: client.db(username="root", password="wrong", verify=True), 11)

expect(system.has_database("driver"), False)
expect(system.create_database("driver"), True)
database = client.db("driver", username="root", password=password, auth_method="jwt", verify=True)
expect(database.properties()["name"], "driver")

# Collections and indexes.
candles = database.create_collection("candles")
expect(database.has_collection("candles"), True)
expect([c["name"] for c in database.collections()], ["candles"])
expect(candles.properties()["name"], "candles")
index = candles.add_index({"type": "persistent", "fields": ["symbol", "interval"]}, formatter=True)
expect(index["new"], True)
expect(candles.add_index({"type": "persistent", "fields": ["symbol", "interval"]}, formatter=True)["new"], False)
expect([i["type"] for i in candles.indexes()], ["primary", "persistent"])
expect(candles.delete_index(index["id"]), True)

# Documents.
stored = candles.insert({"_key": "k1", "symbol": "BTCUSDT", "n": 1}, sync=True)
fails(DocumentInsertError, lambda: candles.insert({"_key": "k1"}), 1210)
fails(DocumentInsertError, lambda: candles.insert({"_key": "bad key"}), 1221)
expect(candles.get("k1")["n"], 1)
expect(candles.get("none"), None)
expect(candles.has("k1"), True)
fails(DocumentRevisionError, lambda: candles.replace({"_key": "k1", "_rev": "other", "n": 2}), 1200)
replaced = candles.replace({"_key": "k1", "_rev": stored["_rev"], "n": 2})
expect(replaced["_old_rev"], stored["_rev"])
expect(candles.update({"_key": "k1", "m": 3}, return_new=True)["new"]["n"], 2)
many = candles.insert_many([{"_key": "k2"}, {"_key": "k1"}, {"_key": "k3"}])
expect([isinstance(item, Exception) for item in many], [False, True, False])
expect(candles.count(), 3)
expect(candles.delete("k3")["_key"], "k3")

# Bulk import.
lines = [{"_key": f"i{number:04}", "symbol": "ETHUSDT", "n": number} for number in range(2500)]
report = candles.import_bulk(lines, on_duplicate="ignore", sync=True)
expect((report["created"], report["ignored"], report["errors"]), (2500, 0, 0))
report = candles.import_bulk(lines[:10] + [{"_key": "bad key"}], on_duplicate="ignore", halt_on_error=False)
expect((report["created"], report["ignored"], report["errors"]), (0, 10, 1))
report = candles.import_bulk([{"_key": "i0000", "n": -1}], on_duplicate="replace")
expect(report["updated"], 1)

# Cursors: several batches, a count, errors.
query = "FOR d IN @@c FILTER d.symbol == @symbol AND d._key > @first SORT d._key RETURN d._key"
variables = {"@c": "candles", "symbol": "ETHUSDT", "first": "i0099"}
cursor = database.aql.execute(query, bind_vars=variables, batch_size=1000, count=True)
expect(cursor.count(), 2400)
keys = list(cursor)
expect((len(keys), keys[0], keys[-1]), (2400, "i0100", "i2499"))
counted = database.aql.execute("FOR d IN candles COLLECT WITH COUNT INTO n RETURN n")
expect(list(counted), [2502])
fails(AQLQueryExecuteError, lambda: database.aql.execute("SELECT * FROM candles"), 1501)
fails(AQLQueryExecuteError, lambda: database.aql.execute("FOR d IN nowhere RETURN d"), 1203)
fails(AQLQueryExecuteError, lambda: database.aql.execute(query, bind_vars={"@c": "candles"}), 1551)

# Named graphs.
definition = {"edge_collection": "knows", "from_vertex_collections": ["people"], "to_vertex_collections": ["people"]}
graph = database.create_graph("circle", edge_definitions=[definition])
expect([item["name"] for item in database.graphs()], ["circle"])
expect(graph.properties()["name"], "circle")
fails(GraphCreateError, lambda: database.create_graph("circle", edge_definitions=[definition]), 1925)
database.collection("people").insert_many([{"_key": "a"}, {"_key": "b"}])
edge = {"_key": "ab", "_from": "people/a", "_to": "people/b", "weight": 0.5}
expect(database.collection("knows").import_bulk([edge])["created"], 1)
query = "FOR e IN knows FILTER e._from == @from RETURN e.weight"
expect(list(database.aql.execute(query, bind_vars={"from": "people/a"})), [0.5])
removal = "FOR e IN @@c FILTER e._from == @from LIMIT @n REMOVE e IN @@c OPTIONS { waitForSync: true } RETURN OLD._key"
removed = database.aql.execute(removal, bind_vars={"@c": "knows", "from": "people/a", "n": 10})
expect(list(removed), ["ab"])
expect(database.collection("knows").count(), 0)
expect(database.delete_graph("circle", drop_collections=True), True)
expect([c["name"] for c in database.collections()], ["candles"])

expect(candles.truncate(), True)
expect(candles.count(), 0)
expect(database.delete_collection("candles"), True)
expect(database.delete_collection("candles", ignore_missing=True), False)
expect(system.delete_database("driver"), True)
client.close()
print("ok")
