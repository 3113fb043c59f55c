"""Packs the plugin as an OCI image, in a layout within a tar file, and prints the digest of its manifest.

oci.py PLUGIN VERSION FILE

It is what `FROM scratch`, `COPY plugin.wasm /` makes: one layer with `plugin.wasm` in it, the form that Istio and
Envoy Gateway take. The platform named is linux/amd64, as such images have it; the module runs on any.
SOURCE_DATE_EPOCH is the time in it, so that the same plugin gives the same digest.
"""

import datetime
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path

EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
CREATED = datetime.datetime.fromtimestamp(EPOCH, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
IMAGE = "application/vnd.oci.image"


def main(plugin, version, file):
    layer = tar({"plugin.wasm": Path(plugin).read_bytes()})
    # Without a name and a time of its own.
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    about = {
        "org.opencontainers.image.title": "ib-gateway",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.created": CREATED,
    }
    blobs = {}

    def blob(media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    config = blob(f"{IMAGE}.config.v1+json", encode({
        "created": CREATED,
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": about},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": CREATED, "created_by": "COPY plugin.wasm /"}],
    }))
    manifest = blob(f"{IMAGE}.manifest.v1+json", encode({
        "schemaVersion": 2,
        "mediaType": f"{IMAGE}.manifest.v1+json",
        "config": config,
        "layers": [blob(f"{IMAGE}.layer.v1.tar+gzip", packed)],
        "annotations": about,
    }))
    index = {
        "schemaVersion": 2,
        "mediaType": f"{IMAGE}.index.v1+json",
        "manifests": [manifest | {"annotations": {"org.opencontainers.image.ref.name": version}}],
    }
    layout = {"oci-layout": encode({"imageLayoutVersion": "1.0.0"}), "index.json": encode(index)}
    Path(file).write_bytes(tar(layout | blobs))
    print(manifest["digest"])


def encode(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def tar(files):
    """A tar of these files, whose bytes depend on nothing else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), EPOCH, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


main(*sys.argv[1:])
