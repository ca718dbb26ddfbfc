"""A Python service beside the Rust ones, over serverish as in the field."""

import asyncio
import math
import os
import signal
import sys
import time

from serverish.messenger import Messenger
from serverish.monitoring import Status, create_monitor


def figures():
    swing = math.sin(time.time() / 10)
    return {"wind": round(6 + 3 * swing, 1), "humidity": round(40 - 10 * swing)}


async def main():
    parent = sys.argv[sys.argv.index("--parent-name") + 1]
    async with Messenger().context(host=os.environ["NATS_HOST"], port=int(os.environ["NATS_PORT"])):
        name = "examples.weather.python"
        monitor = await create_monitor(name, heartbeat_interval=1.0, parent_name=parent)
        monitor.add_metric_cb(figures)
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        async with monitor:
            monitor.set_status(Status.OK, "Clear sky")
            print("[INFO ] svc|examples.weather: reading the sensors", file=sys.stderr)
            await stopped.wait()


asyncio.run(main())
