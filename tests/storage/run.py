"""Drills of the data folder: what it goes through, and that no acknowledged event is lost or doubled.

    tests/storage/run.py [DRILL...] [--n N] [--seed SEED] [--budget SECONDS] [--quick] [--planted]

Without names all drills are held, in the sizes of CI; `--n` is for a longer run of one (`run.py flips --n 20000`; for a kill
drill, how many calls, 0 for all of them). `--planted` holds them against programs that break the promise (planted.py): each
must be noticed. The seed (SLAPLEDGER_SEED) repeats a run. `SLAPLEDGER_BIN` names the binary.

A line for each drill; the last lines name what was skipped and count, as tests/run reads it:

    ok      refused opens: 50 refused opens in 58 trials, in 20.1 s
    SKIPPED storage power cuts: a loop device needs root
    COUNT 14 passed, 0 failed, 1 skipped
"""

import argparse
import os
import random
import re
import signal
import sys
import time

import copies
import flips
import full
import kill
import planted
import power
import read_errors
import refused
from ground import MOST_FAULTS, Ground, Skipped
from program import Program


def killing(command):
    def run(ground, n=kill.CALLS[command]):
        return kill.run(ground, command, n or None)
    return run


# Name: what runs, and how many trials in a quick run and in one against a planted program.
DRILLS = {
    **{f"kill {command}": (killing(command), 6, 12) for command in kill.CALLS},
    "power": (power.run, 4, 4),
    "flips": (flips.run, 30, 40),
    "refused": (refused.run, 6, 6),
    "read-errors": (read_errors.run, 4, 6),
    "full": (full.run, 2, 4),
    "copies": (copies.run, 2, 4),
}
QUICK = ("kill init", "kill log", "flips", "refused", "read-errors")
SIZELESS = {"reserve": full.reserve}


class Run:
    def __init__(self, options):
        self.options = options
        self.passed, self.failed, self.skipped = 0, 0, []

    def say(self, is_good, name, what, began):
        self.passed += is_good
        self.failed += not is_good
        print(f"{'ok     ' if is_good else 'FAILED '} {name}: {what}, in {time.monotonic() - began:.1f} s", flush=True)

    def drill(self, ground, name):
        began = time.monotonic()
        n = self.options.n
        if n is None and self.options.quick and name in DRILLS:
            n = DRILLS[name][1]
        try:
            what = self.hold(ground, name, n)
        except Skipped as why:
            self.skipped.append((name, why))
            return
        for fault in ground.faults[:MOST_FAULTS]:
            print(f"        {fault}")
        if ground.faults:
            what += f"; {len(ground.faults)} faults"
        self.say(not ground.faults, name, what, began)

    def hold(self, ground, name, n):
        if name in SIZELESS:
            return SIZELESS[name](ground)
        return DRILLS[name][0](ground, **({} if n is None else {"n": n}))

    def planted(self, ground, name, program, wanted):
        """A drill that must fail, and say what of it is wrong."""
        began = time.monotonic()
        title = f"planted {name}, {type(program).__name__}"
        there = ground.fresh(program)
        there.is_over_at_first_fault = True
        try:
            self.hold(there, name, self.options.n or DRILLS[name][2])
        except Skipped as why:
            self.skipped.append((title, why))
            return
        noticed = [fault for fault in there.faults if re.search(wanted, fault)]
        seen = noticed[0][:200] if noticed else f"was not noticed, but {there.faults[:2]}" if there.faults else "was not noticed"
        self.say(bool(noticed), title, seen, began)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*DRILLS, *SIZELESS]
    parser.add_argument("drills", nargs="*", metavar="DRILL", help=", ".join(names))
    parser.add_argument("--n", type=int, help="how many trials")
    parser.add_argument("--seed", default=os.environ.get("SLAPLEDGER_SEED"), help="default: a new one, which is printed")
    parser.add_argument("--quick", action="store_true", help="a few trials of what is fast")
    parser.add_argument("--planted", action="store_true", help="against programs that break the promise")
    options = parser.parse_args(arguments)
    wanted = options.drills or (QUICK if options.quick else names)
    for name in wanted:
        if name not in names:
            parser.error(f"there is no drill {name!r}; there are {', '.join(names)}")
    # What is mounted is unmounted also when the run is ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = options.seed or str(random.SystemRandom().randrange(1 << 32))
    print(f"SLAPLEDGER_SEED={seed}", flush=True)
    run = Run(options)
    with Ground(Program(), seed) as ground:
        if options.planted:
            for name, program, wanted_words in planted.plants(ground.ledger.log):
                if name in wanted:
                    run.planted(ground, name, program, wanted_words)
        else:
            if not ground.program.has("verify"):
                run.say(False, "verify", "the program has no `verify`: what opens is not verified", time.monotonic())
            for name in wanted:
                run.drill(ground.fresh(), name)
    for name, why in run.skipped:
        print(f"SKIPPED storage {name}: {why}")
    print(f"COUNT {run.passed} passed, {run.failed} failed, {len(run.skipped)} skipped")
    return 1 if run.failed or not run.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
