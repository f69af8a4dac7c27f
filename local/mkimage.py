#!/usr/bin/env python3
"""Make an OCI image (an OCI layout in a tar) from folders and files, with nothing but Python.

mkimage.py --name NAME:TAG [--rootfs DIR]... [--file SRC:/DEST]... --entrypoint ARG... --out IMAGE.tar

Each --rootfs is a layer, in order; all --file together are the last one. Owners become 0:0 and times 0,
so the same input has the same digest, and a rootfs that two images share is stored once.
"""
import argparse
import hashlib
import io
import json
import os
import tarfile

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[os.uname().machine]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True)
    parser.add_argument("--rootfs", action="append", default=[])
    parser.add_argument("--file", action="append", default=[])
    parser.add_argument("--entrypoint", nargs="+", required=True)
    parser.add_argument("--user", default="65532:65532")
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def nameless(entry):
    """What differs between machines and says nothing goes away."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def layer(paths):
    """The tar of (source, destination) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for source, destination in paths:
            tar.add(source, destination, recursive=False, filter=nameless)
    return out.getvalue()


def tree(root):
    """Everything below root, in a fixed order, folders before what they hold."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            yield path, os.path.relpath(path, root)


def single_files(specs):
    for spec in sorted(specs):
        source, destination = spec.rsplit(":", 1)
        yield source, destination.lstrip("/")


def dump(value):
    return json.dumps(value, sort_keys=True).encode()


class Layout:
    """The blobs of an image, by digest."""

    def __init__(self):
        self.files = {"oci-layout": dump({"imageLayoutVersion": "1.0.0"})}

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        self.files["blobs/sha256/" + digest] = data
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    def write(self, out):
        with tarfile.open(out, "w") as tar:
            for name in sorted(self.files):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(self.files[name]), 0o644
                tar.addfile(entry, io.BytesIO(self.files[name]))


def config(args, layers):
    settings = {"User": args.user, "WorkingDir": "/", "Entrypoint": args.entrypoint,
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
    return {"architecture": ARCHITECTURE, "os": "linux", "config": settings,
            # uncompressed layers: a layer's digest is also its diff id
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
            "history": [{"created_by": "mkimage"}] * len(layers)}


def main():
    args = arguments()
    layout = Layout()
    contents = [tree(root) for root in args.rootfs] + ([single_files(args.file)] if args.file else [])
    layers = [layout.blob(layer(paths), LAYER) for paths in contents]
    manifest = layout.blob(dump({"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
                                 "config": layout.blob(dump(config(args, layers)), CONFIG)}), MANIFEST)
    manifest["platform"] = {"architecture": ARCHITECTURE, "os": "linux"}
    # containerd takes the name from the first, podman and skopeo the tag from the second
    manifest["annotations"] = {"io.containerd.image.name": args.name,
                               "org.opencontainers.image.ref.name": args.name.rsplit(":", 1)[-1]}
    layout.files["index.json"] = dump({"schemaVersion": 2, "manifests": [manifest]})
    layout.write(args.out)
    print(args.name, manifest["digest"], sum(map(len, layout.files.values())))


if __name__ == "__main__":
    main()
