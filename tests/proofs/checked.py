"""Signed notes and trees, checked without the program: C2SP signed-note and tlog-checkpoint, RFC 9162."""

import base64
import hashlib

from ed25519 import verifies

DASH = "\u2014 "


class Refused(Exception):
    """Something that is not as it was told."""


class CannotRepeat(Refused):
    """Nothing is refuted, and events are withheld that the arithmetic needs."""


def key_of(text):
    """Name, id and 32 bytes of a key that is written as NAME+ID+KEY."""
    name, told, encoded = text.strip().split("+", 2)
    data = base64.b64decode(encoded, validate=True)
    if data[:1] != b"\x01" or len(data) != 33:
        raise Refused("the key is no Ed25519 key of a log")
    if hashlib.sha256(name.encode() + b"\n" + data).digest()[:4].hex() != told:
        raise Refused("the id is not that of the key")
    return name, bytes.fromhex(told), data[1:]


def checkpoint_of(note, key):
    """Origin, size and root of a checkpoint that the key has signed."""
    name, told, public = key_of(key)
    text, _, signatures = note.partition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        signer, _, encoded = line.removeprefix(DASH).partition(" ")
        signature = base64.b64decode(encoded, validate=True)
        if line.startswith(DASH) and (signer, signature[:4]) == (name, told):
            if not verifies(public, text.encode(), signature[4:]):
                raise Refused("the signature is not one of this checkpoint")
            origin, size, root = text.splitlines()[:3]
            if origin != name:
                raise Refused(f"the checkpoint is of {origin}, the key of {name}")
            return origin, int(size), base64.b64decode(root, validate=True)
    raise Refused("the checkpoint is not signed with the key")


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves, size, hashes):
    """The root that leaves (place -> hash) and the hashes of the parts without one lead to."""
    rest = iter(hashes)

    def part(start, stop, places):
        if not places:
            found = next(rest, None)
            if found is None:
                raise Refused("the proof has too few hashes")
            return found
        if stop - start == 1:
            return leaves[places[0]]
        middle = start + (1 << ((stop - start - 1).bit_length() - 1))
        left = part(start, middle, [place for place in places if place < middle])
        return node_hash(left, part(middle, stop, [place for place in places if place >= middle]))

    found = part(0, size, sorted(leaves))
    if next(rest, None) is not None:
        raise Refused("the proof has too many hashes")
    return found
