"""Lists the topics of a Kafka broker: the Metadata request, version 1 (kafka.apache.org/protocol)."""

import socket
import struct

METADATA, VERSION, CORRELATION = 3, 1, 7
ANSWER_BYTES_MAX = 16 << 20


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self) -> str:
        length = self.number(">h")
        if length < 0:
            return ""
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def integers(self) -> list[int]:
        return [self.number(">i") for _ in range(self.number(">i"))]


def topics(server: str, timeout: float = 10) -> list[str]:
    """Names of all topics; `server` is `host:port`, the first one counts."""
    host, _, port = server.split(",")[0].rpartition(":")
    client = b"streamforge-chaos"
    # -1 topics: all of them.
    message = (
        struct.pack(">hhih", METADATA, VERSION, CORRELATION, len(client)) + client + struct.pack(">i", -1)
    )
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.sendall(struct.pack(">i", len(message)) + message)
        (length,) = struct.unpack(">i", _exactly(connection, 4))
        if not 0 < length <= ANSWER_BYTES_MAX:
            raise OSError(f"the broker answered {length} bytes")
        reader = _Reader(_exactly(connection, length))
    reader.number(">i")  # correlation
    for _ in range(reader.number(">i")):  # brokers
        reader.number(">i"), reader.text(), reader.number(">i"), reader.text()
    reader.number(">i")  # controller
    return sorted(_topic(reader) for _ in range(reader.number(">i")))


def _topic(reader: _Reader) -> str:
    reader.number(">h")
    name = reader.text()
    reader.number(">b")  # internal
    for _ in range(reader.number(">i")):  # partitions: error, index, leader, replicas, in-sync replicas
        reader.number(">h"), reader.number(">i"), reader.number(">i")
        reader.integers(), reader.integers()
    return name


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise OSError("the broker closed the connection")
        data += chunk
    return data
