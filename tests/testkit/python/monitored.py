"""A program with serverish's monitor, as they run in the field: driven by lines on stdin.

    status WORD [MESSAGE]    set the status
    camera WORD [MESSAGE]    set the status of its component
    pace N                   publish N statuses one after the other; say how long each took
    quit                     end in order

usage: monitored.py PORT NAME HEARTBEAT_SECONDS
"""

import asyncio
import sys
import time

from serverish.messenger import Messenger, get_publisher
from serverish.monitoring import MonitoredObject, Status, create_monitor


async def main(port, name, heartbeat):
    lines = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    async with Messenger().context(host="127.0.0.1", port=port):
        monitor = await create_monitor(name, heartbeat_interval=heartbeat, parent_name="launcher.site-a")
        camera = MonitoredObject("camera")
        camera.set_status(Status.OK, "Exposing")
        monitor.add_submonitor(camera)
        monitor.add_metric_cb(lambda: {"rms": 0.45, "seeing": float("nan")})
        async with monitor:
            monitor.set_status(Status.OK, "Guiding")
            print("ready", flush=True)
            while line := (await lines.readline()).decode().split():
                if line[0] == "status":
                    monitor.set_status(Status(line[1]), " ".join(line[2:]) or None)
                elif line[0] == "camera":
                    camera.set_status(Status(line[1]), " ".join(line[2:]) or None)
                elif line[0] == "pace":
                    publisher = get_publisher(f"svc.status.{name}.pace")
                    times = []
                    for i in range(int(line[1])):
                        begin = time.monotonic()
                        await publisher.publish(data={"name": f"{name}.pace", "status": "ok", "message": str(i)})
                        times.append(time.monotonic() - begin)
                    print(f"slowest {max(times):.3f}", flush=True)
                elif line[0] == "quit":
                    break


asyncio.run(main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
