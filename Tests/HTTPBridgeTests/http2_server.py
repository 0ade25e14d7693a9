"""An HTTPS server that speaks HTTP/2 and HTTP/1.1: http2_server.py KEY CERTIFICATE PROTOCOLS

Prints the port it listens on. Answers `<HTTP version> <the client's port>`; the second tells requests of one connection
from those of another. Every answer waits a moment, so that requests sent together are under way together.
"""

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    received = 0
    while True:
        message = await receive()
        received += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await asyncio.sleep(0.1)
    text = f"{scope['http_version']} {scope['client'][1]} {received}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})


async def main():
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.keyfile, config.certfile = sys.argv[1:3]
    config.alpn_protocols = sys.argv[3].split(",")
    config.errorlog = None
    # The socket is made here, so that its port is known before the first request.
    sockets = config.create_sockets()
    config.create_sockets = lambda: sockets
    # Whoever connects from now on waits instead of being refused.
    sockets.secure_sockets[0].listen(100)
    print(sockets.secure_sockets[0].getsockname()[1], flush=True)
    # Runs until it is killed.
    await serve(app, config, shutdown_trigger=asyncio.Event().wait)


asyncio.run(main())
