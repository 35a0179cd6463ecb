"""Reads that fail: EIO is refused by name, is never the end of the log, and leaves everything as it was.

One read below `log/` fails while a command runs. The command says so, or its answer is the truth all the same. Without the
error the folder is then whole.
"""

import re

import folder

COMMANDS = ("log", "serve", "verify")
# What a start writes before its views have read the log: spare keys, its own event, its term. A read that fails after that
# refuses the start; what was there before stays, byte for byte, and everything acknowledged is there afterwards.
BEGUN = re.compile(r"keys/ring|log/(epoch-\d+\.(tail|clean)|head|term)")
# What the standard library and the system say of EIO.
NAMED = ("input/output error", "os error 5")


def lost(source, data, changed):
    """Which of these files of a data folder do not begin with all that they held."""
    def held(name, content):
        return content[:folder.end_of_tail(content)] if name.endswith(".tail") else content.rstrip(b"\0")
    kept = [name for name in changed if name.endswith((".tail", "/ring"))]
    return [name for name in kept if not (data / name).exists()
            or not (data / name).read_bytes().startswith(held(name, (source / name).read_bytes()))]


class ReadErrors:
    def __init__(self, ground):
        self.ground, self.ledger = ground, ground.ledger
        self.commands = [name for name in COMMANDS if name != "verify" or ground.program.has(name)]
        self.totals = {name: self.perform(name, self.fresh("count-" + name), "read-count", 0)[0] for name in self.commands}
        self.met = 0

    def fresh(self, name):
        place = self.ground.work / name
        place.mkdir()
        folder.copy(self.ledger.data, place / "data")
        return place

    def perform(self, name, place, mode, number):
        """Runs a command; what the report says (a count, or a call), whether it was done, and its words."""
        data, report = place / "data", place / "report"
        before = [self.ground.intercept, "-m", mode, "-n", str(number), "-d", str(data / "log"), "-o", str(report)]
        if name == "serve":
            with self.ground.program.serve(data, self.ledger.token, before=before).spawn() as server:
                is_done = server.is_ready()
                health = server.get("healthz") if is_done else None
                server.stop()
            words, output = server.said() + (health.text if health else ""), b""
        else:
            command = {"log": self.ground.program.log, "verify": self.ground.program.verify}[name]
            ended = command(data, before=before)
            is_done, words, output = ended.is_done, ended.words, ended.output
        line = report.read_text().split() if report.exists() else []
        if mode == "read-count":
            return int(line[1]), is_done, words, output
        return " ".join(line[2:]), is_done, words, output

    def trial(self, number):
        rng = self.ground.random("read error", number)
        name = self.commands[number % len(self.commands)]
        # Early reads are of small files, late ones of frames.
        at = max(1, min(self.totals[name], int(2 ** rng.uniform(0, self.totals[name].bit_length()))))

        def run(place):
            data = folder.copy(self.ledger.data, place / "data")
            before = folder.digests(data)
            call, is_done, words, output = self.perform(name, place, "read-error", at)
            if not call:
                return []
            self.met += 1
            changed = folder.changes(before, folder.digests(data))
            if not is_done and not all(name == "serve" and BEGUN.fullmatch(file) for file in changed):
                return [f"`{name}` refused and changed {', '.join(changed)}"]
            if gone := lost(self.ledger.data, data, changed) if not is_done else []:
                return [f"{call}: `{name}` refused and lost bytes of {', '.join(gone)}"]
            if not is_done and not any(text in words.lower() for text in NAMED):
                return [f"{call}: `{name}` does not say that a read failed: {words}"]
            if is_done and name == "log" and output != self.ledger.log:
                return [f"{call}: `log` took it for the end: {output.count(10)} events, status 0"]
            written = self.ledger.journal if name == "serve" else None
            return self.ground.opened_whole(data, None if written else self.ledger.log, written)
        return f"trial {number}, {name}, read {at} of {self.totals[name]}", run


def run(ground, n=20):
    errors = ReadErrors(ground)
    number = 0
    while errors.met < n and number < 4 * n and not ground.faults:
        batch = range(number, number + max(ground.workers, n - errors.met))
        ground.side_by_side([errors.trial(each) for each in batch])
        number = batch.stop
    if errors.met < n and not ground.faults:
        ground.fault("read errors", f"only {errors.met} of {number} trials met one")
    return f"{errors.met} read errors"
