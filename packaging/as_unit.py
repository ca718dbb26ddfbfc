"""Runs a program under the system calls that the unit of tcsd allows: as_unit.py PROGRAM [ARGUMENT]...

Others fail with EPERM, as the unit has it. It needs systemd-analyze and python3-seccomp.
"""

import errno
import os
import subprocess
import sys

import seccomp

GROUP = "@system-service"


def calls(group):
    """The system calls of a group of systemd, which may contain groups."""
    shown = subprocess.run(["systemd-analyze", "syscall-filter", group], check=True, capture_output=True, text=True)
    for line in shown.stdout.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            yield from calls(name)
        elif name and not name.startswith("#"):
            yield name


unit = open(os.path.join(os.path.dirname(__file__), "..", "config", "tcsd.service")).read()
assert f"SystemCallFilter={GROUP}\nSystemCallErrorNumber=EPERM\n" in unit, "the unit has another filter"
allowed = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
for name in sorted(set(calls(GROUP)) | {"execve"}):
    try:
        allowed.add_rule(seccomp.ALLOW, name)
    except (RuntimeError, ValueError):
        pass  # of another architecture, or newer than this library
allowed.load()
os.execvp(sys.argv[1], sys.argv[1:])
