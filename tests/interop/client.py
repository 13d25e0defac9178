"""python-tuf as a client of a registry: client.py ROOT STATE URL [PATH...]

ROOT is the first root, STATE the folder that the client keeps, URL the address of the public tree. It refreshes, gets
each target, and prints one JSON object: the versions that it trusts now and the SHA-256 of each target (null: the
registry has none), or the class and the words of the refusal.
"""

import hashlib
import json
import sys
from pathlib import Path

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient import Updater


def got(updater, path):
    info = updater.get_targetinfo(path)
    if info is None:
        return None
    return hashlib.sha256(Path(updater.download_target(info)).read_bytes()).hexdigest()


def main(root, state, url, *paths):
    folders = [Path(state, name) for name in ("metadata", "targets")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    metadata, targets = map(str, folders)
    try:
        updater = Updater(metadata, f"{url}/trust/", targets, f"{url}/", bootstrap=Path(root).read_bytes())
        updater.refresh()
        found = {path: got(updater, path) for path in paths}
    except (RepositoryError, DownloadError) as error:
        return {"refused": type(error).__name__, "message": str(error)}
    roles = ("root", "timestamp", "snapshot")
    versions = {role: json.loads(Path(metadata, f"{role}.json").read_bytes())["signed"]["version"] for role in roles}
    return {"versions": versions, "targets": found}


print(json.dumps(main(*sys.argv[1:])))
