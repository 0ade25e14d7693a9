"""A TCP proxy between the replicas and PostgreSQL that can be cut like a network."""

import asyncio
import socket
import threading
from concurrent.futures import Future

from engine_parts import free_port

CHUNK_BYTES = 64 << 10


class TCPProxy:
    """Listens on a port per client and forwards to one server, from a thread of its own.

    A link is `open`, `refused` (connections are reset, new ones refused) or `silent` (nothing comes through
    and nobody is told: what was sent is delivered when the link is open again, as TCP does after a cut).
    """

    OPEN, REFUSED, SILENT = "open", "refused", "silent"

    def __init__(self, target_port: int, links: int):
        self.target_port = target_port
        self.ports = [free_port() for _ in range(links)]
        self.loop = asyncio.new_event_loop()
        self.links = [_Link(port, target_port) for port in self.ports]
        self.thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)

    def __enter__(self):
        self.thread.start()
        for number in range(len(self.links)):
            self.set_state(number, self.OPEN)
        return self

    def __exit__(self, kind, error, trace):
        for number in range(len(self.links)):
            self.set_state(number, self.REFUSED)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def set_state(self, number: int, state: str) -> None:
        """Changes one link; returns when it is done."""
        done: Future = asyncio.run_coroutine_threadsafe(self.links[number].set_state(state), self.loop)
        done.result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()


class _Link:
    def __init__(self, port: int, target_port: int):
        self.port, self.target_port = port, target_port
        self.server: asyncio.Server | None = None
        self.flows = asyncio.Event()
        self.writers: set[asyncio.StreamWriter] = set()

    async def set_state(self, state: str) -> None:
        if state == TCPProxy.REFUSED:
            if self.server:
                self.server.close()
                self.server = None
            for writer in list(self.writers):
                writer.transport.abort()
            self.flows.set()  # whoever waits sees that its connection is gone
            return
        if state == TCPProxy.SILENT:
            self.flows.clear()
        else:
            self.flows.set()
        if not self.server:
            self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=CHUNK_BYTES)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        other = None
        try:
            await self.flows.wait()
            far, other = await asyncio.open_connection("127.0.0.1", self.target_port, limit=CHUNK_BYTES)
            self.writers.add(other)
            for one in (writer, other):
                one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(self._pump(reader, other), self._pump(far, writer))
        except OSError:
            pass  # the server is down: the client sees its connection reset
        finally:
            for one in filter(None, (writer, other)):
                self.writers.discard(one)
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises ConnectionError at the end, which ends the other direction too."""
        while data := await reader.read(CHUNK_BYTES):
            await self.flows.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("the other side has closed")
