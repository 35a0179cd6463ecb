"""Bit flips over all files of a data folder: none is served as truth.

After a flip a command either reads the truth, byte for byte, or refuses and names what is damaged. A damaged cache is
rebuilt: everything is served and written as before. `verify` finds every flip in what it checks, and one flipped back is
none.
"""

import re

import folder
from served import Served, write_faults

# Every so many flips a master is started on the folder too.
SERVED_EVERY = 3
# What verify checks; the rest (certificates, the signing key, ...) is not of the log.
VERIFIED = ("sealed", "open", "derived", "clean", "tail", "manifest", "head", "term", "keys", "state", "index")
# Damage is named by the file, or by where it is.
NAMED = re.compile(r"epoch[ -]?0*\d+|sequence \d+|\b(head|term|tail|manifest|ring|master key|snapshot|index)\b", re.IGNORECASE)


class Flips:
    def __init__(self, ground):
        self.ground, self.program, self.ledger = ground, ground.program, ground.ledger
        self.kinds = folder.by_kind(self.ledger.data)
        self.last = self.ledger.events[-1]["sequence"]
        self.known = [event["data"]["id"] for event in self.ledger.events if event["type"] == "UsageRecorded"]
        with self.program.serve(folder.copy(self.ledger.data, ground.work / "truth"), self.ledger.token).start() as server:
            self.truth = Served(server, self.last)
        if self.truth.refusals:
            raise RuntimeError(f"the truth is not served: {self.truth.refusals[0]}")
        self.tally = {}

    def trial(self, number):
        rng = self.ground.random("flip", number)
        # All kinds get their share, whatever their size.
        of_kind = sorted(self.kinds)[number % len(self.kinds)]
        flip = folder.some_flip(rng, self.ledger.data, self.kinds[of_kind])

        def run(place):
            data = folder.copy(self.ledger.data, place / "data")
            flip.apply(data)
            found = self.verify_faults(data, of_kind, flip)
            found += self.log_faults(data, flip)
            if number // len(self.kinds) % SERVED_EVERY == 0:
                found += self.serve_faults(data, of_kind, flip, rng)
                # What was served, or refused, left the log as it is.
                found += self.log_faults(data, flip)
            self.tally[of_kind] = self.tally.get(of_kind, 0) + 1
            return found
        return f"flip {number}, {flip}", run

    def verify_faults(self, data, of_kind, flip):
        if of_kind not in VERIFIED or not self.program.has("verify"):
            return []
        verify = self.program.verify(data)
        if verify.is_done and not self.is_without_meaning(flip, of_kind):
            return [f"verify does not find it: {verify.words}"]
        if not verify.is_done and not self.names(verify.words, flip):
            return [f"verify does not say where it is: {verify.words}"]
        return []

    def is_without_meaning(self, flip, of_kind):
        """Bytes that say nothing: the older slot of `head` and `term`, the room at the end of a tail, versions of caches."""
        content, at = (self.ledger.data / flip.relative).read_bytes(), flip.bit // 8
        if of_kind in ("head", "term"):
            return at in folder.older_slot(content)
        if of_kind == "state":
            # The digits of a version: a snapshot of another version is no damage.
            return at < 8
        return of_kind == "tail" and at >= folder.end_of_tail(content)

    def names(self, words, flip):
        return flip.relative.name in words or NAMED.search(words) is not None

    def log_faults(self, data, flip):
        log = self.program.log(data)
        if log.is_done:
            # Events of a master that was started on it may follow.
            return [] if log.output.startswith(self.ledger.log) else [
                f"the log is read otherwise than in truth, {log.output.count(10)} events instead of {self.last}"]
        if not self.ledger.log.startswith(log.output):
            return ["the log is read otherwise than in truth, and then refused"]
        return [] if self.names(log.words, flip) else [f"the refusal does not say what is damaged: {log.words}"]

    def serve_faults(self, data, of_kind, flip, rng):
        found = []
        with self.program.serve(data, self.ledger.token).spawn() as server:
            if not server.is_ready():
                said = server.said()
                if folder.is_cache(of_kind):
                    return [f"a damaged cache stops the start: {said}"]
                if of_kind in VERIFIED and not self.names(said, flip):
                    return [f"the start does not say what is damaged: {said}"]
                return []
            served = Served(server, self.last)
            found += served.faults(self.truth)
            if folder.is_cache(of_kind):
                found += served.refusals[:1] + write_faults(server, rng, self.known)
            server.stop()
        return found


def run(ground, n=300):
    flips = Flips(ground)
    done = ground.side_by_side([flips.trial(number) for number in range(n)])
    return f"{done} flips over " + ", ".join(f"{kind} {count}" for kind, count in sorted(flips.tally.items()))
