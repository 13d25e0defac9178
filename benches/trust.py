"""python-tuf beside our loader, for `cargo xtask bench trust`.

    trust.py read ROOT STATE URL [PATH...]         refreshes and gets each target, as ours does
    trust.py verify ROOT STATE ROUNDS [BIN...]     verifies what `read` kept, again and again
    trust.py sign FOLDER ROUNDS SEED SEED          signs every bin in FOLDER with two keys

Each prints one JSON object. Times are of the work alone: neither of the interpreter's start nor of its imports.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets
from tuf.ngclient import Updater
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType


def timed(work):
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    result = work()
    return result, {"wall_ns": time.perf_counter_ns() - wall, "cpu_ns": time.process_time_ns() - cpu}


def read(root, state, url, *paths):
    metadata, targets = (Path(state, name) for name in ("metadata", "targets"))
    for folder in (metadata, targets):
        folder.mkdir(parents=True, exist_ok=True)
    root = Path(root).read_bytes()

    def document(updater, path):
        info = updater.get_targetinfo(path)
        if info is None:
            return None
        # As the documentation of `Updater` has it: what is there already is not downloaded again.
        file = updater.find_cached_target(info) or updater.download_target(info)
        return json.loads(Path(file).read_bytes())["seq"]

    def work():
        updater = Updater(str(metadata), f"{url}/trust/", str(targets), f"{url}/", bootstrap=root)
        updater.refresh()
        return {path: document(updater, path) for path in paths}

    seen, took = timed(work)
    return {**took, "seen": seen}


def verify(root, state, rounds, *bins):
    root = Path(root).read_bytes()

    def kept(role):
        return Path(state, "metadata", f"{role}.json").read_bytes()

    def work():
        trusted = TrustedMetadataSet(root, EnvelopeType.METADATA)
        trusted.update_timestamp(kept("timestamp"))
        trusted.update_snapshot(kept("snapshot"), trusted=True)
        trusted.update_targets(kept("targets"))
        trusted.update_delegated_targets(kept("index"), "index", "targets")
        for name in bins:
            trusted.update_delegated_targets(kept(name), name, "index")

    return {"rounds": [timed(work)[1] for _ in range(int(rounds))]}


def sign(folder, rounds, *seeds):
    signers = [CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))) for seed in seeds]
    bins = [Metadata[Targets].from_bytes(file.read_bytes()) for file in sorted(Path(folder).iterdir())]

    def work():
        digest = hashlib.sha256()
        for one in bins:
            one.signatures.clear()
            for signer in signers:
                one.sign(signer, append=True)
            one.to_bytes()
            digest.update("".join(sorted(signature.signature for signature in one.signatures.values())).encode())
        return digest.hexdigest()

    done = [timed(work) for _ in range(int(rounds))]
    return {"rounds": [took for _, took in done], "signatures": done[0][0]}


print(json.dumps({"read": read, "verify": verify, "sign": sign}[sys.argv[1]](*sys.argv[2:])))
