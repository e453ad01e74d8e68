"""Forty WebSocket tunnels at once through a proxy: python3 websocket_tunnels.py server | URL

"server" says its port and echoes until it is killed; a URL gets the tunnels.
"""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError

SIZES = [0, 1, 125, 126, 1_000, 65_535, 65_536, 300_000, 1_000_000, 2_000_000]
TUNNELS = 40


async def echo(tunnel):
    try:
        async for message in tunnel:
            if message == "close":
                await tunnel.close(4321, "as you wish")
            else:
                await tunnel.send(message)
    except ConnectionClosedError:
        assert tunnel.close_code == 4321


async def be_server():
    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.wait_closed()


async def use_tunnel(url, number):
    size = SIZES[number % len(SIZES)]
    message = os.urandom(size)
    compression = "deflate" if number % 2 else None
    async with connect(url, max_size=None, compression=compression, proxy=None) as tunnel:
        await tunnel.send(message)
        assert await tunnel.recv() == message, f"{size} bytes"
        # In fragments.
        third = max(1, size // 3)
        await tunnel.send([message[:third], message[third : 2 * third], message[2 * third :]])
        assert await tunnel.recv() == message, f"{size} bytes in fragments"
        await asyncio.wait_for(await tunnel.ping(), 10)
        if number % 4:
            return
        await tunnel.send("close")
        try:
            await tunnel.recv()
        except ConnectionClosedError:
            pass
        assert tunnel.close_code == 4321, tunnel.close_code
        assert tunnel.close_reason == "as you wish", tunnel.close_reason


async def be_clients(url):
    async with asyncio.timeout(30):
        await asyncio.gather(*(use_tunnel(url, number) for number in range(TUNNELS)))
    print(f"{TUNNELS} tunnels")


asyncio.run(be_server() if sys.argv[1] == "server" else be_clients(sys.argv[1]))
