"""SIGKILL at file system calls: the program is killed before each call that changes something in its folder, in turn, and
in the middle of writes. Calls that only read are left out, as the disk is then as it was before them; of a command that changes
nothing, some of them are taken.

After each kill the folder opens, every acknowledged event is in it once, and `verify` calls it whole. A command that was
killed can be done again.
"""

import shutil
import threading

import folder
import journal

# How many calls are tried of each command in CI; nothing: all of them.
CALLS = {"init": None, "log": None, "rotate": None, "serve": 60, "seal": 60, "upgrade": 40, "backup": 40, "restore": 40}
# How many reads are tried of a command that makes no such call.
READS = 20
# A master: started on a folder of this format, or of the oldest one, or with such short epochs that some are sealed; under a
# little load; stopped.
SERVERS = ("serve", "seal", "upgrade")
SHORT_EPOCHS = "[disk]\nepoch_bytes = 65536\n"


class Killed:
    """One command that is killed, each time on a fresh folder."""

    def __init__(self, ground, command):
        self.ground, self.program, self.command = ground, ground.program, command
        self.once = threading.Lock()

    def prepare(self, place):
        """Makes what the command works on; the folder whose calls count."""
        data = place / "data"
        if self.command == "upgrade":
            oldest = folder.fixtures()[0]
            folder.unpack(oldest, place / "oldest")[0].rename(data)
        elif self.command != "init":
            folder.copy(self.ground.ledger.data, data)
        if self.command == "restore":
            folder.copy(self.backed_up(), place / "backup")
        return place

    def backed_up(self):
        """A backup of the ledger; made once."""
        made = self.ground.work / "backed-up"
        with self.once:
            if not made.exists():
                data = folder.copy(self.ground.ledger.data, self.ground.work / "to-back-up")
                backed_up = self.program.run("backup", made, "--data", data, "--with-keys")
                if not backed_up.is_done:
                    raise RuntimeError(f"backup: {backed_up.words}")
        return made

    def arguments(self, place):
        data = place / "data"
        return {
            "init": ["init", "--data", data, "--token-file", place / "token"],
            "log": ["log", "--json", "--data", data],
            "rotate": ["keys", "rotate", "--data", data],
            "backup": ["backup", place / "backup", "--data", data, "--with-keys"],
            "restore": ["restore", place / "backup", place / "restored"],
        }[self.command]

    def perform(self, place, mode, number):
        """Runs the command with call `number` interfered with; the line of the report, and a journal."""
        report = place / "report"
        # The log of a server is beside its folder and no part of what is drilled.
        within = place / "data" if self.command in (*SERVERS, "log", "rotate") else place
        before = [self.ground.intercept, "-m", mode, "-n", str(number), "-d", str(within), "-o", str(report)]
        written = journal.Journal()
        if self.command in SERVERS:
            token, written = self.known(place)
            config = None
            if self.command == "seal":
                config = place / "serve.toml"
                config.write_text(SHORT_EPOCHS)
            server = self.program.serve(place / "data", token, config=config, before=before)
            with server.spawn():
                if server.is_ready():
                    try:
                        client = journal.Client(server, written, f"{self.ground.seed}/{number}")
                        for _ in range(3 if self.command == "seal" else 0):
                            client.usage(500)
                        client.once()
                    except OSError:
                        pass  # killed
                server.stop()
        else:
            self.program.run(*self.arguments(place), before=before)
        return report.read_text().strip() if report.exists() else "", written

    def known(self, place):
        """The token of an admin, and what was acknowledged before."""
        if self.command == "upgrade":
            return place / "oldest" / "token", journal.Journal.of(folder.facts(folder.fixtures()[0])["acknowledged"])
        return self.ground.ledger.token, journal.Journal.of(self.ground.ledger.journal.acknowledged)

    def count(self, mode="count"):
        """How many calls the command makes when nothing happens to it."""
        place = self.ground.work / f"{mode}-{self.command}"
        place.mkdir()
        try:
            line, _ = self.perform(self.prepare(place), mode, 0)
            return int(line.split()[1])
        finally:
            shutil.rmtree(place)

    def trial(self, mode, number):
        def run(place):
            line, written = self.perform(self.prepare(place), mode, number)
            if not line:
                return []  # fewer calls than before: nothing was interfered with
            at = " ".join(line.split()[2:]).replace(str(place), "")
            return [f"killed at {at}: {fault}" for fault in self.faults(place, written)]
        return f"{self.command}, {mode} at call {number}", run

    def faults(self, place, written):
        """What is wrong after the kill."""
        ground, data = self.ground, place / "data"
        if self.command == "init":
            again = self.program.run(*self.arguments(place))
            if not again.is_done and (place / "token").exists():
                # It was killed after its last step: the token that it wrote is good.
                return ground.opened_whole(data) or self.token_is_good(place)
            # Killed between making an admin and writing the token, it says how to make another.
            if not again.is_done and "token issue" not in again.words:
                return [f"init done again: {again.words}"]
            issue = ["token", "issue", "--role", "admin", "--all-projects", "--data", data]
            issued = again if again.is_done else self.program.run(*issue)
            return ground.opened_whole(data) if issued.is_done else [f"the advice of init, followed: {issued.words}"]
        if self.command in SERVERS:
            return ground.opened_whole(data, written=written)
        found = ground.opened_whole(data, expected=ground.ledger.log)
        if self.command == "rotate" and not found:
            keys = self.program.run("keys", "show", "--data", data)
            found += [] if keys.is_done else [f"keys show: {keys.words}"]
        if self.command == "backup" and not found:
            again = self.program.run(*self.arguments(place))
            found += [] if again.is_done else [f"backup done again: {again.words}"]
            found = found or self.restored(place, place / "restored")
        if self.command == "restore" and not found:
            found += self.half_restored(place)
        return found

    def token_is_good(self, place):
        with self.program.serve(place / "data", place / "token").spawn() as server:
            if not server.is_ready():
                return [f"the server does not start: {server.said()}"]
            answer = server.get("v1/instances")
            server.stop()
        return [] if answer.status == 200 else [f"the token that init wrote is answered {answer!r}"]

    def half_restored(self, place):
        """A restore that was killed is no ledger yet, or a whole one; done again it is whole."""
        half = place / "restored"
        if half.exists() and (half / "log").exists():
            log = self.program.log(half)
            if log.is_done and not self.holds_all(log):
                return [f"a restore that was killed opens with {log.output.count(10)} events"]
        again = self.program.run(*self.arguments(place))
        if again.is_done:
            return self.opened_restored(half)
        if str(half) not in again.errors:
            return [f"restore done again does not say which folder is in its way: {again.words}"]
        return self.restored(place, place / "restored-again")

    def restored(self, place, target):
        restored = self.program.run("restore", place / "backup", target)
        return self.opened_restored(target) if restored.is_done else [f"restore: {restored.words}"]

    def opened_restored(self, data):
        log = self.program.log(data)
        if not log.is_done:
            return [f"a restored folder does not open: {log.words}"]
        if not self.holds_all(log):
            return [f"a restored folder holds {log.output.count(10)} events, not {self.ground.ledger.log.count(10)}"]
        return self.ground.verified(data)

    def holds_all(self, log):
        """Whether a log begins with all events of the ledger; a restore adds its own."""
        return log.output.startswith(self.ground.ledger.log)


def run(ground, command, n=None, budget_seconds=None):
    """Kills one command at each of its calls, or at `n` of them; what to say of it."""
    if command in ("backup", "restore") and not ground.program.has(command):
        ground.fault(command, f"the program has no command `{command}`")
        return "no such command"
    killed = Killed(ground, command)
    total = killed.count()
    rng = ground.random("kill", command)
    if total == 0:
        reads = killed.count("read-count")
        numbers = sorted(rng.sample(range(1, reads + 1), min(reads, n or READS)))
        done = ground.side_by_side([killed.trial("read-kill", number) for number in numbers], budget_seconds)
        return f"it changes nothing; {done} kills at {reads} reads"
    numbers = range(1, total + 1)
    if n is not None and n < total:
        numbers = sorted(rng.sample(numbers, n))
    trials = [killed.trial("kill", number) for number in numbers]
    # What a killed write leaves may also be half of it.
    trials += [killed.trial("tear", number) for number in sorted(rng.sample(numbers, (len(numbers) + 2) // 3))]
    rng.shuffle(trials)
    done = ground.side_by_side(trials, budget_seconds)
    return f"{done} kills at {len(numbers)} of {total} calls"
