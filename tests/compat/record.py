#!/usr/bin/env python3
"""Records what released programs say to each other, as fixtures for tests/compat.rs.

    .tools/venv/bin/python tests/compat/record.py PROGRAMS NATS_SERVER OUT

PROGRAMS is a folder with `tcsd` and `tcsctl` of the release. Into the folder OUT it writes

    messages.jsonl   registry, status, heartbeat and journal: one a line, as `tcsctl record` does
    requests.jsonl   what `tcsctl` asked, and what `tcsd` and a service replied
    streams.json     the streams that `tcsd` made
    fleet.json       the picture that `tcsctl --all --json` had of it at the end
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nats

CONFIG = (Path(__file__).parent / "services.yaml").read_text()
MORE = "  - {type: added, variant: main, launch: {exec: [sleep, \"1000\"]}}\n"

COMMANDS = [
    ["health", "hello_world.main"],
    ["stats", "hello_world.main"],
    ["logs", "archive.main", "-n", "10"],
    ["restart", "archive.main", "--yes"],
    ["stop", "archive.main", "--yes"],
    ["start", "archive.main", "--yes"],
    ["start", "spare.main", "--yes"],
    ["stop", "spare.main", "--yes"],
    ["stop", "spare.main", "--yes"],
    ["restart", "missing.main", "--yes"],
    ["reload", "--dry-run"],
    ["reload"],
]


async def until(what, question, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = question()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(0.05)
    raise SystemExit(f"waited in vain: {what}")


async def main(programs, broker, out):
    programs, out = Path(programs).resolve(), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen(
            [broker, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", folder / "store",
             "--ports_file_dir", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ports = await until("the broker", lambda: next(folder.glob("*.ports"), None))
        url = (await until("its port", lambda: json.loads(ports.read_text() or "{}").get("nats")))[0]
        config = folder / "services.yaml"
        config.write_text(CONFIG)
        env = {"PATH": os.environ["PATH"], "HOME": name, "NATS_URL": url, "LANG": "C.UTF-8",
               "RUNTIME_DIRECTORY": name}
        tcsd = subprocess.Popen([programs / "tcsd", "--config", config], cwd=name, env=env,
                                stderr=subprocess.DEVNULL)
        try:
            await record(programs, url, config, env, tcsd, out)
        finally:
            tcsd.kill()
            server.send_signal(signal.SIGTERM)
            server.wait()


async def record(programs, url, config, env, tcsd, out):
    def tcsctl(*args):
        return subprocess.run([programs / "tcsctl", *args, "--server", url], env=env, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL)

    def verdicts():
        answer = tcsctl("--all", "--json")
        return {} if answer.returncode else {
            service["id"]: service["verdict"] for service in json.loads(answer.stdout)["services"]}

    client = await nats.connect(url)
    requests, replies, journal = [], {}, []

    async def asked(message):
        requests.append({"subject": message.subject, "payload": message.data.decode(),
                         "inbox": message.reply})

    async def replied(message):
        replies[message.subject] = message.data.decode()

    async def line(message):
        journal.append({"t": time.time(), "subject": message.subject, "headers": {},
                        "payload": message.data.decode()})

    await until("the fleet", lambda: verdicts().get("loop.main") == "failed"
                and verdicts().get("hello_world.main") == "ok")
    await client.subscribe("svc.rpc.>", cb=asked)
    await client.subscribe("_INBOX.>", cb=replied)
    await client.subscribe("svc.journal.>", cb=line)
    await client.flush()
    follower = subprocess.Popen(
        [programs / "tcsctl", "logs", "hello_world.main", "-f", "--server", url], env=env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await until("a line of the log", lambda: journal)
    follower.terminate()
    follower.wait()
    await client.flush()
    done = [{"command": ["logs", "hello_world.main", "-f"], "requests": requests[:]}]
    for command in COMMANDS:
        if command == ["reload"]:
            config.write_text(CONFIG + MORE)
        requests.clear()
        answer = await asyncio.to_thread(tcsctl, *command)
        await client.flush()
        await until("the requests", lambda: requests)
        done.append({"command": command, "exit": answer.returncode, "requests": requests[:]})
    fleet = json.loads(tcsctl("--all", "--json").stdout)
    tcsd.send_signal(signal.SIGTERM)
    tcsd.wait()

    js = client.jetstream()
    streams, messages = [], journal
    for name in ["svc_registry", "svc_status", "svc_heartbeat"]:
        info = await js.stream_info(name)
        streams.append({key: value for key, value in info.config.as_dict().items()
                        if value is not None})
        for sequence in range(info.state.first_seq, info.state.last_seq + 1):
            try:
                stored = await js.get_msg(name, sequence)
            except nats.js.errors.NotFoundError:
                continue
            messages.append({"t": stored_at(stored), "subject": stored.subject,
                             "headers": stored.headers or {}, "payload": stored.data.decode()})
    messages.sort(key=lambda message: message["t"])
    for step in done:
        for request in step["requests"]:
            request["reply"] = replies.get(request.pop("inbox"))
    write(out / "messages.jsonl", messages)
    write(out / "requests.jsonl", done)
    (out / "streams.json").write_text(json.dumps(streams, indent=1) + "\n")
    (out / "fleet.json").write_text(json.dumps(fleet, indent=1) + "\n")
    await client.close()


def stored_at(stored):
    moment = stored.time
    return moment.timestamp() if hasattr(moment, "timestamp") else iso(moment)


def iso(text):
    from datetime import datetime
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float("0." + (rest or "0"))


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
