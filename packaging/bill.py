"""What the programs are built from: writes the bill of materials (CycloneDX 1.5) and the licence notices.

bill.py TARGET VERSION SBOM NOTICES
"""

import json
import pathlib
import subprocess
import sys
import tomllib

PROGRAMS = ["tcsctl", "tcs-launcher"]


def packages(target):
    """All packages that are compiled into the programs, by name and version."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    by_id = {package["id"]: package for package in metadata["packages"]}
    waiting = [id for id, package in by_id.items() if package["name"] in PROGRAMS]
    found = {}
    while waiting:
        id = waiting.pop()
        if id not in found:
            found[id] = by_id[id]
            deps = nodes[id]["deps"]
            waiting += [dep["pkg"] for dep in deps if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return sorted(found.values(), key=lambda package: (package["name"], package["version"]))


def component(package, checksums):
    found = {
        "type": "library",
        "name": package["name"],
        "version": package["version"],
        "bom-ref": f"{package['name']}@{package['version']}",
        "licenses": [{"expression": package["license"].replace("/", " OR ")}],
    }
    if package["source"]:
        found["purl"] = f"pkg:cargo/{package['name']}@{package['version']}"
        checksum = checksums[package["name"], package["version"]]
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return found


def sbom(found, version):
    lock = tomllib.loads(pathlib.Path("Cargo.lock").read_text())
    checksums = {(it["name"], it["version"]): it.get("checksum") for it in lock["package"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "tcs", "version": version}},
        "components": [component(package, checksums) for package in found],
    }


def notices(found):
    """Each text once, with the packages that it belongs to."""
    texts = {}
    for package in found:
        if not package["source"] and package["name"] != "tcs-async-nats":
            continue  # ours
        folder = pathlib.Path(package["manifest_path"]).parent
        files = [it for it in folder.rglob("*") if it.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))]
        title = f"{package['name']} {package['version']} ({package['license']})"
        for file in sorted(it for it in files if it.is_file()):
            text = file.read_text(errors="replace").replace("\r\n", "\n").strip()
            texts.setdefault(text, []).append(title)
        if not files:
            texts.setdefault("The package has no file with its licence.", []).append(title)
    parts = ["The programs contain these packages, under these licences."]
    for text, titles in sorted(texts.items(), key=lambda it: it[1]):
        parts.append("=" * 80 + "\n" + "\n".join(sorted(set(titles))) + "\n\n" + text)
    return "\n\n".join(parts) + "\n"


target, version, sbom_file, notices_file = sys.argv[1:]
compiled = packages(target)
pathlib.Path(sbom_file).write_text(json.dumps(sbom(compiled, version), indent=1) + "\n")
pathlib.Path(notices_file).write_text(notices(compiled))
