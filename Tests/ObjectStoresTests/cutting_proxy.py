"""Stands between a client and a server of this machine, and cuts connections in the middle of what the client sends.

    cutting_proxy.py SERVER_PORT BYTES CUTS

Resets a connection when the client has sent BYTES bytes over it, CUTS times; connections after that are left alone.
Prints the port that it listens on, then a line `cut` each time. Ends when it is told to.
"""

import asyncio
import sys

SERVER_PORT, BYTES, CUTS = (int(argument) for argument in sys.argv[1:])
CHUNK_BYTES = 64 << 10
cuts_left = CUTS


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter) -> None:
    global cuts_left
    sent = 0
    while data := await reader.read(CHUNK_BYTES):
        sent += len(data)
        if sent >= BYTES and cuts_left > 0:
            cuts_left -= 1
            client.transport.abort()
            print("cut", flush=True)
            return
        writer.write(data)
        await writer.drain()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    far, other = await asyncio.open_connection("127.0.0.1", SERVER_PORT)
    ways = [asyncio.create_task(send(reader, other, writer)), asyncio.create_task(answer(far, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for one in (writer, other):
            one.transport.abort()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
