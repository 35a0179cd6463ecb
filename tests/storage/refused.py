"""Opens that are refused for damage change nothing: once the damage is undone, everything acknowledged is there.

A bit is flipped in a file that is no cache; two commands, which open the folder, run. Where one refuses, all files are as they
were, byte for byte; where one that only reads is done, at least all files that are no caches are. The bit is flipped back; the log is
whole.
"""

import folder

AUTHORITY = ("sealed", "open", "tail", "manifest", "head", "term", "keys")
COMMANDS = ("log", "serve", "rebuild", "verify", "keys", "token", "backup")


def command(ground, name, place, data):
    """Runs a command that opens the folder; whether it refused."""
    program = ground.program
    if name == "serve":
        with program.serve(data, ground.ledger.token).spawn() as server:
            is_ready = server.is_ready()
            server.stop()
        return not is_ready
    arguments = {
        "log": ["log", "--json", "--data", data],
        "rebuild": ["rebuild", "--data", data],
        "verify": ["verify", "--data", data],
        "keys": ["keys", "show", "--data", data],
        "token": ["token", "issue", "--role", "admin", "--all-projects", "--data", data],
        "backup": ["backup", place / "backup", "--data", data],
    }[name]
    return not program.run(*arguments).is_done


class Refused:
    def __init__(self, ground):
        self.ground, self.ledger = ground, ground.ledger
        kinds = folder.by_kind(self.ledger.data)
        self.kinds = {kind: names for kind, names in kinds.items() if kind in AUTHORITY}
        self.commands = [name for name in COMMANDS
                         if name not in ("verify", "backup") or ground.program.has(name)]
        self.refusals = 0

    def trial(self, number):
        rng = self.ground.random("refused", number)
        of_kind = sorted(self.kinds)[number % len(self.kinds)]
        flip = folder.some_flip(rng, self.ledger.data, self.kinds[of_kind])
        names = rng.sample(self.commands, 2)

        def run(place):
            data = folder.copy(self.ledger.data, place / "data")
            flip.apply(data)
            for name in names:
                all_before, before = folder.digests(data, caches=True), folder.digests(data)
                is_refused = command(self.ground, name, place, data)
                if is_refused:
                    before = all_before
                changed = folder.changes(before, folder.digests(data, caches=is_refused))
                if is_refused:
                    self.refusals += 1
                    if changed:
                        return [f"`{name}` refused it and changed {', '.join(changed)}"]
                elif changed and name not in ("serve", "token"):
                    return [f"`{name}`, which only reads, changed {', '.join(changed)}"]
                elif changed:
                    # It was carried out, and wrote: the damage was in what it does not need, or has replaced.
                    break
            else:
                flip.apply(data)
                return self.ground.opened_whole(data, expected=self.ledger.log)
            log = self.ground.program.log(data)
            if log.is_done and not log.output.startswith(self.ledger.log):
                return [f"after `{name}` the log is read otherwise, {log.output.count(10)} events"]
            return []
        return f"trial {number}, {flip}, {' and '.join(names)}", run


def run(ground, n=50):
    refused = Refused(ground)
    done, number = 0, 0
    # Not every flip is one that the command meets.
    while refused.refusals < n and number < 4 * n and not ground.faults:
        batch = range(number, number + ground.workers * 4)
        done += ground.side_by_side([refused.trial(each) for each in batch])
        number = batch.stop
    if refused.refusals < n and not ground.faults:
        ground.fault("refused", f"only {refused.refusals} of {number} trials were refused")
    return f"{refused.refusals} refused opens in {done} trials"
