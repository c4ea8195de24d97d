"""A viewer without a browser, in a process of its own: takes pictures and tracks as the page does.

python -m realtime_kp.bench.viewer ADDRESS
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import aiohttp

_FRAME = struct.Struct("<q")
_SECONDS = struct.Struct("<d")


async def watch(address: str) -> dict[str, float | list[float]]:
    """Watch until the server ends it.

    Args:
        address: Of the page.

    Returns:
        `pictures` and `tracks`, their numbers; `bytes` in all; `arrival_ms`, for each picture how long it
        took from its capture until it was here. Both processes have to be on one machine: they share its
        clock.
    """
    arrivals_ms: list[float] = []
    counts = {"pictures": 0, "tracks": 0, "bytes": 0}

    async def follow(
        client: aiohttp.ClientSession, path: str, name: str, frame: Callable[[bytes], int]
    ) -> None:
        async with client.ws_connect(path, max_msg_size=0) as socket:
            async for message in socket:
                data = message.data
                counts[name] += 1
                counts["bytes"] += len(data)
                if name == "pictures":
                    arrivals_ms.append((time.perf_counter() - _SECONDS.unpack_from(data, 16)[0]) * 1e3)
                await socket.send_json({"ack": frame(data)})

    async with aiohttp.ClientSession(address) as client:
        # A server that ends may do so in the middle of an answer.
        with suppress(aiohttp.ClientError, ConnectionError):
            await asyncio.gather(
                follow(client, "picture?codec=h264&acks=1", "pictures", _picture_frame),
                follow(client, "tracks?format=binary&acks=1", "tracks", _tracks_frame),
            )
    return {**counts, "arrival_ms": arrivals_ms}


def _picture_frame(message: bytes) -> int:
    return int(_FRAME.unpack_from(message, 8)[0])


def _tracks_frame(message: bytes) -> int:
    (length,) = struct.unpack_from("<I", message)
    return int(json.loads(message[4 : 4 + length])["frame"])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(watch(sys.argv[1]))))
