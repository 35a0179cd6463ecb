"""Random logs: a server makes each from a seed; the program, Go's packages and Python check it, and a few changed copies.

All three must accept the log, and all three must refuse each copy. `run.py --logs N` checks N logs.
"""

import base64
import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

from checked import Refused, checkpoint_of, leaf_hash, node_hash, root_of
from ed25519 import SecretKey
from forge import ForgedLog
from wire import Wire

HERE = pathlib.Path(__file__).resolve().parent
CHANGES = 4  # changed copies of each log
TILE = 256


class GoProgram:
    """The checks with Go's packages (tests/proofs/go), compiled once."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder, "go-checks")
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(folder), "GOFLAGS": ""}
        subprocess.run(["go", "build", "-o", self.path, HERE / "go" / "main.go"], env=environment, check=True)

    def says(self, paths):
        """A line for each file, which begins with `holds` or `refused`."""
        done = subprocess.run([self.path, *paths], capture_output=True, text=True, check=False)
        return done.stdout.splitlines()


def go_program(folder):
    """The compiled checks, or nothing without Go."""
    return GoProgram(folder) if shutil.which("go") else None


def tiles_of(leaves):
    """The tiles of a tree of fewer than 65,536 leaves, as the server publishes them."""
    hashes, tiles = [leaf_hash(leaf) for leaf in leaves], {}
    for level in (0, 1):
        for at in range(0, len(hashes), TILE):
            tile = hashes[at:at + TILE]
            part = f".p/{len(tile)}" if len(tile) < TILE else ""
            tiles[f"{level}/{at // TILE:03}{part}"] = b"".join(tile).hex()
        hashes = [root_of(dict(enumerate(hashes[at:at + TILE])), TILE, []) for at in range(0, len(hashes) - TILE + 1, TILE)]
    return tiles


def inclusion_root(proof):
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    place, last, found = proof["sequence"] - 1, proof["size"] - 1, bytes.fromhex(proof["leaf_hash"])
    for one in map(bytes.fromhex, proof["hashes"]):
        if last == 0:
            raise Refused("the inclusion proof has too many hashes")
        if place % 2 or place == last:
            found = node_hash(one, found)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            found = node_hash(found, one)
        place, last = place // 2, last // 2
    if last:
        raise Refused("the inclusion proof has too few hashes")
    return found


def check_consistency(proof, first, second):
    """Refuses a proof that a tree continues another, given both roots (RFC 9162, 2.1.4.2)."""
    size, larger, hashes = proof["from"], proof["to"], [bytes.fromhex(one) for one in proof["hashes"]]
    if size == larger:
        if hashes or first != second:
            raise Refused("the consistency proof of one size is not empty, or has two roots")
        return
    if size & (size - 1) == 0:
        hashes.insert(0, first)
    place, last = size - 1, larger - 1
    while place % 2:
        place, last = place // 2, last // 2
    if not hashes:
        raise Refused("the consistency proof has no hashes")
    old = new = hashes[0]
    for one in hashes[1:]:
        if last == 0:
            raise Refused("the consistency proof has too many hashes")
        if place % 2 or place == last:
            old, new = node_hash(one, old), node_hash(one, new)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            new = node_hash(new, one)
        place, last = place // 2, last // 2
    if last or (old, new) != (first, second):
        raise Refused("the log was rewritten: the consistency proof does not lead to both roots")


def check_log(log):
    """Refuses a log with a leaf, tile, checkpoint or proof that does not fit the others."""
    leaves = log["leaves"]
    _, size, root = checkpoint_of(log["last"], log["key"])
    hashes = dict(enumerate(map(leaf_hash, leaves)))
    if size != len(leaves) or root_of(hashes, size, []) != root:
        raise Refused("the events are not those of the checkpoint")
    if log["tiles"] != tiles_of(leaves):
        raise Refused("the tiles are not those of the events")
    for one in log["notes"]:
        _, earlier, kept = checkpoint_of(one["note"], log["key"])
        if earlier > size:
            raise Refused("later events are missing")
        if root_of({place: hashes[place] for place in range(earlier)}, earlier, []) != kept:
            raise Refused("the log was rewritten")
        included, continued = one["inclusion"], one["consistency"]
        if (included["size"], inclusion_root(included)) != (earlier, kept):
            raise Refused("the inclusion proof does not lead to the root")
        if (continued["from"], continued["to"]) != (earlier, size):
            raise Refused("the consistency proof is of other sizes")
        check_consistency(continued, kept, root)


def python_refuses(log):
    """Why the log is refused, or nothing."""
    try:
        check_log(log)
    except (Refused, ValueError, IndexError, KeyError) as refused:
        return str(refused) or repr(refused)
    return None


def random_commands(wire, dice):
    """Some commands that add from one to some hundred events each."""
    def party():
        zone = dice.choice(("UTC", "Europe/Paris", "Asia/Tokyo"))
        wire.call("POST", "/v1/parties", {"name": f"party {dice.randrange(10**6)}", "time_zone": zone})

    def computer():
        wire.call("POST", "/v1/computers", {"reference": f"COMP-{dice.randrange(10**9)}"})

    def usage():
        # No computer has these partitions: the server suspends the events and answers 422. The log has them all the same.
        events = [{"specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": f"{dice.randrange(10**12)}",
                   "subject": f"slappart{dice.randrange(9)}",
                   "data": {"resource": "requests", "quantity": str(dice.randrange(10**6)), "node_sequence": dice.randrange(10**6),
                            "start": "2026-09-01T00:00:00Z", "stop": "2026-09-02T00:00:00Z"}}
                  for _ in range(dice.choice((1, 3, 40, 200)))]
        wire.call("POST", "/v1/usage-events", events, "application/cloudevents-batch+json", expect=(422,))

    for _ in range(dice.randrange(1, 8)):
        dice.choice((party, computer, usage))()


def made_log(seed, binary, folder, program, leaves_of):
    """A log that a server made, as all three read it, its exported file, and the key that signs it."""
    dice = random.Random(f"log {seed}")
    with Wire(binary, "2026-09-20T00:00:00Z") as wire:
        kept = [wire.call("GET", "/v1/log/checkpoint")]
        for _ in range(dice.randrange(1, 4)):
            random_commands(wire, dice)
            kept.append(wire.call("GET", "/v1/log/checkpoint"))
        last, notes = kept[-1], []
        for one in kept:
            size = one["size"]
            sequence = dice.randrange(size) + 1
            notes.append({"note": one["note"],
                          "inclusion": wire.call("GET", f"/v1/log/proofs/inclusion?sequence={sequence}&size={size}"),
                          "consistency": wire.call("GET", f"/v1/log/proofs/consistency?from={size}&to={last['size']}")})
        leaves = leaves_of(wire, last["size"])
        tiles = {}
        for path in tiles_of(leaves):
            wire.connection.request("GET", f"/log/tile/{path}")
            tiles[path] = wire.connection.getresponse().read().hex()
        pem = (wire.server.data / "signing.key").read_bytes()
        wire.server.stop()
        exported = pathlib.Path(folder, "honest.slapexp")
        exported.unlink(missing_ok=True)
        status, told = program.run("export", exported, "--data", wire.server.data)
        if status:
            raise AssertionError(told)
    log = {"key": last["key"], "last": last["note"], "notes": notes, "tiles": tiles, "leaves": leaves}
    return log, exported, ForgedLog(leaves, last["origin"], SecretKey.of_pem(pem))


def other_note(note, dice):
    """A checkpoint with another size, root or signature."""
    lines = note.split("\n")
    what = dice.choice(("size", "root", "signature"))
    if what == "size":
        lines[1] = str(int(lines[1]) + dice.choice((-1, 1)))
        return what, "\n".join(lines)
    at = 2 if what == "root" else 4
    *before, encoded = lines[at].rsplit(" ", 1)
    data = bytearray(base64.b64decode(encoded))
    data[dice.randrange(4 if what == "signature" else 0, len(data))] ^= 1 << dice.randrange(8)
    lines[at] = " ".join([*before, base64.b64encode(data).decode()])
    return what, "\n".join(lines)


def flipped(data, dice):
    """The bytes with another bit."""
    data = bytearray(data)
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data)


def changed_log(log, honest, dice):
    """What was changed, the changed log, and the checkpoint that somebody kept of it."""
    changed = {**log, "leaves": list(log["leaves"]), "notes": [dict(one) for one in log["notes"]]}
    leaves, kept = changed["leaves"], changed["notes"][0]
    of_kept = log["notes"][0]["inclusion"]["size"]
    kind = dice.choice(("event", "dropped", "twice", "swapped", "last note", "kept note", "stranger", "rewritten", "cut short"))
    at = dice.randrange(len(leaves))
    if kind == "event":
        leaves[at] = flipped(leaves[at], dice)
    elif kind == "dropped":
        del leaves[at]
    elif kind == "twice":
        leaves.insert(at, leaves[at])
    elif kind == "swapped":
        other = (at + 1) % len(leaves)
        leaves[at], leaves[other] = leaves[other], leaves[at]
    elif kind == "last note":
        what, changed["last"] = other_note(log["last"], dice)
        kind += f", {what}"
    elif kind == "kept note":
        what, kept["note"] = other_note(kept["note"], dice)
        kind += f", {what}"
    elif kind == "stranger":
        kept["note"] = ForgedLog(log["leaves"], honest.origin, SecretKey(dice.randbytes(32))).note(of_kept)
    else:
        # The server signs again what it changed.
        if kind == "rewritten":
            at = dice.randrange(of_kept)
            leaves[at] = flipped(leaves[at], dice)
        else:
            del leaves[of_kept - 1:]
        changed["last"] = ForgedLog(leaves, honest.origin, honest.key).note()
        changed["tiles"] = tiles_of(leaves)
    return kind, changed


def one_log(seed, binary, checks, program, go, folder, leaves_of):
    """The log of a seed is accepted by all three, and its changed copies by none."""
    log, exported, honest = made_log(seed, binary, folder, program, leaves_of)
    dice = random.Random(f"changes {seed}")
    logs = [("honest", log)] + [changed_log(log, honest, dice) for _ in range(CHANGES)]
    paths, note = [], pathlib.Path(folder, "note")
    for number, (kind, one) in enumerate(logs):
        paths.append(pathlib.Path(folder, f"{number}.json"))
        paths[-1].write_text(json.dumps({**one, "leaves": [leaf.hex() for leaf in one["leaves"]]}))
        path = exported
        if number:
            path = pathlib.Path(folder, "changed.slapexp")
            path.write_bytes(ForgedLog(one["leaves"], honest.origin, honest.key).export(one["last"]))
        note.write_text(one["notes"][0]["note"])
        status, told = program.run("verify", path, "--checkpoint", note, "--key", one["key"])
        checks.check(f"log {seed}, {kind}", status == int(number > 0), told)
        refused = python_refuses(one)
        checks.check(f"log {seed}, {kind}, in Python", bool(refused) == (number > 0), refused)
    if go:
        said = go.says(paths)
        checks.check(f"log {seed}: Go answers for each", len(said) == len(logs), said)
        for number, ((kind, _), line) in enumerate(zip(logs, said)):
            checks.check(f"log {seed}, {kind}, by Go", line.startswith("refused" if number else "holds"), line)
    return len(log["leaves"]), [kind for kind, _ in logs[1:]]


def random_logs(count, binary, checks, program, leaves_of):
    """Checks the logs of seeds 1 to COUNT; answers how many checkers are missing."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        go = go_program(stack.enter_context(tempfile.TemporaryDirectory()))
        sizes, kinds = [], set()
        for seed in range(1, count + 1):
            size, changes = one_log(seed, binary, checks, program, go, folder, leaves_of)
            sizes.append(size)
            kinds.update(changes)
    if not go:
        print("SKIPPED random logs by Go: golang-go is not installed", flush=True)
    if sizes:
        print(f"     ok {count} random logs of {min(sizes)} to {max(sizes)} events, and {CHANGES * count} changed copies: "
              f"{', '.join(sorted(kinds))}", flush=True)
    return int(not go)
