"""add_licences.py WHEEL FOLDER: puts a wheel into FOLDER, with the licences of what it bundles.

What auditwheel has put beside the package are files of Debian packages; their copyright files go
into the wheel's own licences.  Prints the path of the new wheel.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# Debian's packages of the libraries, by the beginnings of the files' names.
PACKAGES = {
    "libck": "libck-dev",
    "libsodium": "libsodium-dev",
    "liburcu": "liburcu-dev",
}


def copyright_of(library):
    name = re.match(r"[a-z]+[0-9]?", library.name).group()
    if name not in PACKAGES:
        sys.exit(f"{library.name} is bundled, and nothing here says under which licence")
    return PACKAGES[name], pathlib.Path("/usr/share/doc", PACKAGES[name], "copyright").read_bytes()


def run_wheel(*args):
    subprocess.run([sys.executable, "-m", "wheel", *map(str, args)], check=True,
                   stdout=sys.stderr)


def main(wheel, folder):
    with tempfile.TemporaryDirectory() as unpacked:
        run_wheel("unpack", "--dest", unpacked, wheel)
        top = next(pathlib.Path(unpacked).iterdir())
        licences = next(top.glob("*.dist-info")) / "licenses"
        licences.mkdir(exist_ok=True)
        for library in top.glob("*.libs/*"):
            package, text = copyright_of(library)
            (licences / f"{package}.txt").write_bytes(text)
        run_wheel("pack", "--dest-dir", folder, top)
    print(pathlib.Path(folder, pathlib.Path(wheel).name))


if __name__ == "__main__":
    main(*sys.argv[1:])
