"""Programs that break the promise on purpose: each drill must notice each of them.

    tests/storage/run.py --planted

They stand for what was seen of a log that sled opens by itself: after a refused open, or a read error, the rest of the epoch is
overwritten; a shorter log opens without a word; what is damaged is served. Each drill is held with a few trials against each
program that it must see through.
"""

import contextlib
import json
import pathlib

import folder
from program import Ended, Program


def end_of_log(data):
    """The file that holds the newest frames, and how far it is written."""
    kinds = folder.by_kind(data)
    tails = [name for name in kinds.get("tail", []) if (data / name).read_bytes().strip(b"\0")]
    for name in tails[-1:]:
        return data / name, folder.end_of_tail((data / name).read_bytes())
    for name in kinds.get("open", []):
        if name.name == "db":
            return data / name, len((data / name).read_bytes().rstrip(b"\0"))
    return None, 0


def overwrite_end(data, bytes_lost=1500):
    """Overwrites the newest frames, as sled does with what follows a block that it cannot read."""
    path, end = end_of_log(data)
    if path is not None:
        with open(path, "r+b") as file:
            # The header of a tail stays.
            start = max(64, end - bytes_lost)
            file.seek(start)
            file.write(bytes(max(0, end - start)))


def forget_end(data, bytes_lost=1500):
    """Loses the newest frames, and everything that knows of them."""
    overwrite_end(data, bytes_lost)
    for path in (data / "log" / "head", *(data / "log").glob("*.clean")):
        path.unlink(missing_ok=True)
    for cache in folder.CACHES:
        for path in sorted((data / cache).rglob("*"), reverse=True) if (data / cache).exists() else ():
            path.unlink() if path.is_file() else path.rmdir()


class OverwritesWhatItRefuses(Program):
    """A refusal, or a failed read, costs the rest of the epoch."""

    def left(self, data, status):
        if status not in (0, -9, 137) and (data / "log").is_dir():
            overwrite_end(data)


class Forgets(Program):
    """Once it was killed or stopped, a folder opens without its newest events and says nothing."""

    def left(self, data, status):
        if status in (0, -9, 137) and (data / "log").is_dir() and not (data / "forgotten").exists():
            # Once is enough; the drill begins with a folder that is whole. On a full disk it may have to wait for room.
            with contextlib.suppress(OSError):
                forget_end(data)
                (data / "forgotten").touch()


class ForgetsCopies(Program):
    """Opens a copy without its newest events and says nothing."""

    def log(self, data, **more):
        # More than what comes in while a copy is made.
        forget_end(pathlib.Path(data), bytes_lost=1 << 20)
        return super().log(data, **more)


class ServesDamage(Program):
    """Where the log is refused, it is shown as far as it goes, with something else in it."""

    def __init__(self, truth):
        super().__init__()
        self.truth = truth

    def log(self, data, **more):
        ended = super().log(data, **more)
        if ended.is_done:
            return ended
        events = [json.loads(line) for line in self.truth.splitlines()]
        events[len(events) // 2]["recorded_at"] = "2027-01-01T00:00:00Z"
        return Ended(0, b"".join(json.dumps(event).encode() + b"\n" for event in events), "")


class EndsAtDamage(Program):
    """Where the log is refused, it ends, and nothing is said."""

    def log(self, data, **more):
        ended = super().log(data, **more)
        return ended if ended.is_done else Ended(0, ended.output, "")


class FindsNothing(Program):
    """Its `verify` calls everything whole."""

    def has(self, command):
        return command == "verify" or super().has(command)

    def verify(self, data, *options, **more):
        return Ended(0, b"whole", "")


class RefusesWithoutAdvice(Program):
    """Refuses every copy, and says nothing that helps."""

    def log(self, data, **more):
        return Ended(1, b"", "the folder does not open") if "copy-" in str(data) else super().log(data, **more)


class SaysNothing(Program):
    """Refuses without saying what is damaged."""

    def log(self, data, **more):
        ended = super().log(data, **more)
        return ended if ended.is_done else Ended(ended.status, ended.output, "something is wrong")


def plants(truth):
    """Which drill must see through which program, and what it must say of it; `truth` is the log that drills begin with."""
    lost = r"acknowledged|does not open|reads otherwise|is refused|init done again|advice of init|holds \d+ events|does not start"
    return [
        ("kill init", Forgets(), lost),
        ("kill log", Forgets(), lost),
        ("kill rotate", Forgets(), lost),
        ("kill serve", Forgets(), lost),
        ("kill seal", Forgets(), lost),
        ("kill upgrade", Forgets(), lost),
        ("kill backup", Forgets(), lost),
        ("kill restore", Forgets(), lost),
        ("power", ForgetsCopies(), lost),
        ("flips", ServesDamage(truth), "read otherwise than in truth"),
        ("flips", EndsAtDamage(), "read otherwise than in truth"),
        ("flips", FindsNothing(), "verify does not find it"),
        ("flips", SaysNothing(), "does not say what is damaged"),
        ("refused", OverwritesWhatItRefuses(), "refused it and changed"),
        ("read-errors", OverwritesWhatItRefuses(), "refused and changed"),
        ("read-errors", EndsAtDamage(), "took it for the end"),
        ("full", Forgets(), lost),
        ("copies", ForgetsCopies(), "it opens, but acknowledged"),
        ("copies", RefusesWithoutAdvice(), "refused without advice"),
    ]
