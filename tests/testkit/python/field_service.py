"""Services over serverish as they run in the field, started by a launcher through `module:`.

usage: CONFIG VARIANT --runner-id ID --parent-name NAME --no-banner

`TCS_TEST_FIELD=failing`: says that its start failed, and exits with 0, as the field's do.
`TCS_TEST_FIELD=slow`: starts for 2 s, and beats meanwhile.
`TCS_TEST_FIELD=raising`: its main loop has raised: it says so, and its heart goes on.
Otherwise it runs until it is told to stop.
"""

import asyncio
import os
import signal
import sys

from serverish.messenger import Messenger
from serverish.monitoring import Status, create_monitor


async def main():
    variant = sys.argv[2]
    parent = sys.argv[sys.argv.index("--parent-name") + 1]
    async with Messenger().context(host=os.environ["NATS_HOST"], port=int(os.environ["NATS_PORT"])):
        monitor = await create_monitor(f"field.{variant}", heartbeat_interval=1.0, parent_name=parent)
        async with monitor:
            monitor.set_status(Status.STARTUP, "Starting service")
            if os.environ.get("TCS_TEST_FIELD") == "slow":
                await asyncio.sleep(2)
            if os.environ.get("TCS_TEST_FIELD") == "failing":
                monitor.set_status(Status.FAILED, "Failed to start service: no dome")
                await asyncio.sleep(0.3)
                return
            monitor.set_status(Status.OK, "Service running")
            if os.environ.get("TCS_TEST_FIELD") == "raising":
                monitor.set_status(Status.ERROR, "Runtime error: no guide star")
            print("[INFO ] svc|field: at work", file=sys.stderr, flush=True)
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            await stop.wait()


asyncio.run(main())
