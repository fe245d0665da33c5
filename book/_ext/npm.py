"""Fetch files out of a package of the npm registry, for what pages load that the repository does not hold."""

import pathlib
import shutil
import subprocess
import tarfile
import tempfile

PACK = ("pack", "--silent", "--fetch-retries=1", "--fetch-retry-mintimeout=2000")  # without a network, say so soon


def fetch(package, wanted, folder):
    """Put files of a package, such as "mathjax@3.2.2", into `folder`, which is made anew.

    wanted: from the path of a file in the package to its path in the folder, or None for one that is left out.
    Raises OSError or subprocess.SubprocessError where npm is not installed or the registry cannot be reached.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".npm-") as scratch:
        subprocess.run([npm, *PACK, package], cwd=scratch, check=True, capture_output=True, timeout=120)
        with tarfile.open(next(pathlib.Path(scratch).glob("*.tgz"))) as archive:
            for member in archive.getmembers():
                name = wanted(member.name.removeprefix("package/")) if member.isfile() else None
                if name is not None:
                    path = pathlib.Path(scratch, "kept", name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(archive.extractfile(member).read())
        shutil.rmtree(folder, ignore_errors=True)
        pathlib.Path(scratch, "kept").rename(folder)  # all of it or nothing
