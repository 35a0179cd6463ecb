"""A server that lies: logs that were changed and signed again, and proofs that were changed in between.

The leaves of a log are its stored events; who has them and the key of the log can make any tree and any checkpoint. That is
what a server has. What is made here must not hold.
"""

import base64
import copy
import hashlib

import stored
from checked import leaf_hash, node_hash


class ForgedLog:
    """The stored events of a log, to be changed, and the key that signs it."""

    def __init__(self, leaves, origin, key):
        self.leaves, self.origin, self.key = list(leaves), origin, key

    def copy(self):
        return ForgedLog(self.leaves, self.origin, self.key)

    def part(self, start, stop):
        """The root of some of the leaves (RFC 9162, 2.1.1)."""
        if stop - start == 1:
            return leaf_hash(self.leaves[start])
        middle = start + (1 << ((stop - start - 1).bit_length() - 1))
        return node_hash(self.part(start, middle), self.part(middle, stop))

    def note(self, size=None):
        """A signed checkpoint."""
        size = size or len(self.leaves)
        text = f"{self.origin}\n{size}\n{base64.b64encode(self.part(0, size)).decode()}\n"
        return f"{text}\n\u2014 {self.origin} {base64.b64encode(self.key_id() + self.key.sign(text.encode())).decode()}\n"

    def public(self):
        return self.key.public

    def key_id(self):
        return hashlib.sha256(self.origin.encode() + b"\n\x01" + self.public()).digest()[:4]

    def verifier(self):
        return f"{self.origin}+{self.key_id().hex()}+{base64.b64encode(bytes([1]) + self.public()).decode()}"

    def hashes(self, places, start, stop):
        """The hashes of the parts without one of the places."""
        if not places:
            return [self.part(start, stop)]
        if stop - start == 1:
            return []
        middle = start + (1 << ((stop - start - 1).bit_length() - 1))
        left = [place for place in places if place < middle]
        right = [place for place in places if place >= middle]
        return self.hashes(left, start, middle) + self.hashes(right, middle, stop)

    def proof(self, invoice, sequences, size=None):
        """A proof as a server writes it."""
        size = size or len(self.leaves)
        places = sorted(sequence - 1 for sequence in sequences)
        events = [{"sequence": place + 1, "bytes": base64.b64encode(self.leaves[place]).decode()} for place in places]
        return {"format": 1, "invoice": invoice, "rules": 1, "key": self.verifier(), "checkpoint": self.note(size),
                "events": events, "withheld": [], "hashes": [one.hex() for one in self.hashes(places, 0, size)]}

    def export(self, note=None):
        """The log as a file (docs/format.md, "Export"), in a zstd frame without compression (RFC 8878)."""
        size, note = len(self.leaves), (note or self.note()).encode()
        data = b"slapexp\x01" + bytes(8) + size.to_bytes(8, "big") + bytes(8) + self.part(0, size)
        data += b"".join(b"\x01" + len(leaf).to_bytes(2, "big") + leaf for leaf in self.leaves)
        data += b"\x00" + len(note).to_bytes(4, "big") + note
        frame, most = b"\x28\xb5\x2f\xfd\x00\x50", 100_000
        for at in range(0, len(data), most):
            block = data[at:at + most]
            frame += (len(block) << 3 | (at + most >= len(data))).to_bytes(3, "little") + block
        return frame

    def event(self, sequence):
        return stored.event(sequence, self.leaves[sequence - 1])

    def change(self, sequence, is_wanted):
        """Changes one byte, or two that follow each other, of an event so that it still is one and differs as wanted."""
        data, before = self.leaves[sequence - 1], self.event(sequence)
        for at in range(len(data)):
            for change in (1, 2, -1, -2):
                changed = bytearray(data)
                changed[at] = (changed[at] + change) % 256
                try:
                    after = stored.event(sequence, bytes(changed))
                except Exception:  # any bytes may come of it
                    continue
                if is_wanted(before["data"], after["data"]):
                    self.leaves[sequence - 1] = bytes(changed)
                    return
        raise AssertionError(f"event {sequence} cannot be changed like that")

    def sign_lines_again(self, sequence, before):
        """Brings the digest of the lines of a document up to date, after they were changed."""
        digest = before[-32:]
        lines = next((start, stop) for start in range(len(before)) for stop in range(start + 40, len(before) - 31)
                     if hashlib.sha256(before[start:stop]).digest() == digest)
        data = self.leaves[sequence - 1]
        self.leaves[sequence - 1] = data[:-32] + hashlib.sha256(data[slice(*lines)]).digest()


def only(path, before, after):
    """Whether two values differ in what is at a path alone, and in no more than that."""
    other = copy.deepcopy(before)
    place, seen = other, after
    for step in path[:-1]:
        place, seen = place[step], seen[step]
    if seen[path[-1]] == place[path[-1]]:
        return False
    place[path[-1]] = seen[path[-1]]
    return other == after
