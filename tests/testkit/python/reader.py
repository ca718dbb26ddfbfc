"""Reads a subject with serverish's reader, all that its stream holds, and prints data and meta as
JSON lines.

usage: reader.py PORT SUBJECT [USER:PASSWORD]
"""

import asyncio
import json
import sys

from serverish.messenger import Messenger, get_reader


async def main(port, subject, login=None):
    host = f"{login}@127.0.0.1" if login else "127.0.0.1"
    async with Messenger().context(host=host, port=port):
        reader = get_reader(subject, deliver_policy="all", nowait=True)
        async for data, meta in reader:
            print(json.dumps({"data": data, "meta": meta}, default=str), flush=True)


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
