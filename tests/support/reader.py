"""Reads a subject with serverish's reader, all that its stream holds, and prints data and meta as
JSON lines.

usage: reader.py PORT SUBJECT
"""

import asyncio
import json
import sys

from serverish.messenger import Messenger, get_reader


async def main(port, subject):
    async with Messenger().context(host="127.0.0.1", port=port):
        reader = get_reader(subject, deliver_policy="all", nowait=True)
        async for data, meta in reader:
            print(json.dumps({"data": data, "meta": meta}, default=str), flush=True)


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
