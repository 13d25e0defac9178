"""securesystemslib as a reader of a publisher's signature: dsse.py ENVELOPE KEYS

ENVELOPE is the signature of a release as it lies among the artifacts, KEYS the document of its namespace's keys. Prints one
JSON object: the ids of the keys whose signatures hold and the statement, or the class and the words of the refusal.
"""

import json
import sys
from pathlib import Path

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey


def main(envelope, keys):
    envelope = Envelope.from_dict(json.loads(Path(envelope).read_bytes()))
    document = json.loads(Path(keys).read_bytes())
    known = [SSlibKey.from_dict(id, dict(key["key"])) for id, key in document["keys"].items()]
    try:
        accepted = envelope.verify(known, 1)
    except VerificationError as error:
        return {"refused": type(error).__name__, "message": str(error)}
    return {"keys": sorted(accepted), "type": envelope.payload_type, "statement": json.loads(envelope.payload)}


print(json.dumps(main(*sys.argv[1:])))
