"""Where a drill happens: the program, the folder that it begins with, a place for copies, the seed; trials side by side."""

import concurrent.futures
import os
import pathlib
import random
import shutil
import tempfile
import time

import folder

MEMORY = pathlib.Path("/dev/shm")
MEMORY_BYTES = 4 << 30
MOST_FAULTS = 5


class Skipped(Exception):
    """A drill cannot be held here."""


class Ground:
    """See the module. Faults are sentences; each begins with the trial that it was seen in."""

    def __init__(self, program, seed, workers=None):
        self.program, self.seed = program, seed
        self.workers = workers or os.cpu_count() or 1
        # Copies are made and thrown away by the hundred: in memory, where there is enough of it.
        has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
        self._temporary = tempfile.TemporaryDirectory(prefix="slapledger-storage-", dir=MEMORY if has_room else None)
        self.work = pathlib.Path(self._temporary.name)
        self.faults = []
        # One fault is enough to know that a planted program was noticed.
        self.is_over_at_first_fault = False
        self._ledger = self._intercept = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._temporary.cleanup()

    def fresh(self, program=None):
        """The same ground for another drill, or another program: with a place of its own, and nothing seen yet."""
        # Both are made once.
        self.ledger
        other = object.__new__(Ground)
        other.__dict__.update(self.__dict__)
        other.program = program or self.program
        other.work = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        other.faults = []
        return other

    @property
    def ledger(self):
        """The closed folder that drills begin with; only copies of it are opened."""
        if self._ledger is None:
            self._ledger = folder.begin(self.program, self.work / "ledger", self.seed)
        return self._ledger

    @property
    def intercept(self):
        """The program of intercept.c."""
        if self._intercept is None:
            self._intercept, why = folder.compile_intercept(self.work)
            if why:
                raise Skipped(why)
        return self._intercept

    def random(self, *names):
        """The random numbers of one trial: the seed alone repeats them."""
        return random.Random("/".join(map(str, (self.seed, *names))))

    def fault(self, trial, what):
        self.faults.append(f"{trial}: {what}")

    def side_by_side(self, trials, budget_seconds=None):
        """Runs each `(name, function)` with a folder of its own; `function(place)` returns faults. How many ran; a trial
        that would begin after the budget does not."""
        began = time.monotonic()

        def one(trial):
            name, run = trial
            if budget_seconds is not None and time.monotonic() - began > budget_seconds:
                return 0
            if self.is_over_at_first_fault and self.faults:
                return 0
            place = pathlib.Path(tempfile.mkdtemp(dir=self.work))
            try:
                for what in run(place) or ():
                    self.fault(name, what)
            finally:
                shutil.rmtree(place, ignore_errors=True)
            return 1

        with concurrent.futures.ThreadPoolExecutor(self.workers) as pool:
            return sum(pool.map(one, trials))

    def opened_whole(self, data, expected=None, written=None, deep=False):
        """Faults of a folder that must open with everything: `expected` is what its log must read as, `written` a journal
        of what must be in it."""
        log = self.program.log(data)
        if not log.is_done:
            return [f"the folder does not open: {log.words}"]
        if expected is not None and log.output != expected:
            return [f"the log reads otherwise: {log.output.count(10)} events instead of {expected.count(10)}"]
        if written is not None:
            faults = written.faults(log.events())
            if faults:
                return [f"{faults[0]} ({len(faults)} faults)"]
        return self.verified(data, deep)

    def verified(self, data, deep=False):
        """Faults of a folder that `verify` must call whole."""
        if not self.program.has("verify"):
            return []
        verify = self.program.verify(data, *(["--deep"] if deep else []))
        return [] if verify.is_done else [f"verify does not call the folder whole: {verify.words}"]
