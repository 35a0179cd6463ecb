"""Data folders of drills: where they begin, copies, damage, and what must not change.

A drill begins with a closed folder that has sealed epochs and an open one: the newest fixture of fixtures/folders/, opened
once by the program under test, with some more events.
"""

import hashlib
import json
import lzma
import os
import pathlib
import shutil
import subprocess

import journal

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "folders"
# Kinds of files, by the first part of the path or the kind of file in `log/`. These can be derived from the rest, or hold nothing.
CACHES = ("state", "index", "derived", "clean", "spare", "scratch", "leftover")


def fixtures():
    """Numbers of the formats that there is a fixture of, in order."""
    return sorted(int(path.name.split("-")[1].split(".")[0]) for path in FIXTURES.glob("format-*.tar.xz"))


def facts(number):
    """What is written about the fixture of a format."""
    return json.loads((FIXTURES / f"format-{number}.json").read_text())


def log_then(number):
    """What the release that wrote the fixture of a format printed of its log: an event in JSON on each line."""
    return lzma.decompress((FIXTURES / f"format-{number}.log.xz").read_bytes()).splitlines()


def unpack(number, target):
    """Unpacks the fixture of a format; the data folder, the token's file, and what is written about it."""
    target.mkdir(parents=True)
    subprocess.run(["tar", "-xJf", FIXTURES / f"format-{number}.tar.xz", "-C", target], check=True)
    return target / "data", target / "token", facts(number)


class Ledger:
    """A closed data folder, the token of its admin, and the truth about it."""

    def __init__(self, data, token, written):
        self.data, self.token, self.journal = data, token, written
        self.events, self.log = [], b""

    def learn(self, program):
        """Reads what the log of the folder holds, which is the truth from now on, and checks it against the journal."""
        log = program.log(self.data)
        if not log.is_done:
            raise RuntimeError(f"the folder of a drill does not open: {log.words}")
        self.log, self.events = log.output, log.events()
        faults = self.journal.faults(self.events)
        if faults:
            raise RuntimeError(f"the folder of a drill is not whole: {faults[0]}")
        return self


def begin(program, target, seed):
    """The folder that a drill begins with."""
    data, token, known = unpack(fixtures()[-1], target)
    written = journal.Journal.of(known["acknowledged"])
    confirm_clock(program, data)
    with program.serve(data, token).start() as server:
        client = journal.Client(server, written, seed)
        for _ in range(4):
            client.once()
        if server.stop() != 0:
            raise RuntimeError(f"the server of a drill did not stop well\n{server.said()}")
    return Ledger(data, token, written).learn(program)


def confirm_clock(program, data):
    """Lets a master write to a folder whose last event was long ago, as an operator does."""
    if program.has("clock"):
        confirmed = program.run("clock", "confirm", "--data", data)
        if not confirmed.is_done:
            raise RuntimeError(f"the clock of a folder could not be confirmed: {confirmed.words}")


def copy(source, target):
    """Copies a folder as it is, holes as holes."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--sparse=always", source, target], check=True)
    return target


def files(data):
    """The files of a data folder that have content, as paths below it, in order."""
    found = [path for path in data.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_size]
    return sorted(path.relative_to(data) for path in found)


def kind(relative, names):
    """What kind of file one is; `names` are all files of the folder."""
    top = relative.parts[0]
    if top != "log":
        return top
    name = relative.parts[1]
    if name == "scratch":
        return name
    epoch = name.partition(".")[0]
    is_sealed = pathlib.Path("log", epoch + ".manifest") in names
    if len(relative.parts) > 2:
        if relative.name not in ("conf", "db"):
            return "leftover"
        has_tail = pathlib.Path("log", epoch + ".tail") in names
        return "sealed" if is_sealed else "derived" if has_tail else "open"
    of_kind = pathlib.Path(name).suffix.strip(".") or name
    return "leftover" if is_sealed and of_kind in ("tail", "clean") else of_kind


def by_kind(data):
    """The files of a folder by their kinds."""
    names = files(data)
    found = {}
    for relative in names:
        found.setdefault(kind(relative, set(names)), []).append(relative)
    return found


def is_cache(of_kind):
    return of_kind in CACHES


def digests(data, caches=False):
    """The SHA-256 of each file, by its name; of caches too, if asked for. The `lock` has no content."""
    found = {}
    for of_kind, names in by_kind(data).items():
        if caches or not is_cache(of_kind):
            for name in names:
                found[str(name)] = hashlib.sha256((data / name).read_bytes()).hexdigest()
    return found


def changes(before, after):
    """The names of files that are not as they were."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def end_of_tail(content):
    """Where the records of a tail end (docs/format.md); what follows is room."""
    epoch, at = content[8:12], 64
    while content[at:at + 8] == b"slrc" + epoch:
        at += 24 + int.from_bytes(content[at + 16:at + 20], "big")
    return at


def older_slot(content):
    """The place of the slot that counts less, in `head` or `term`: slots of 64 bytes, the newer with the greater number."""
    slots = [(content[at + 8:at + 16], content[at + 48:at + 56]) for at in (0, 64)]
    return range(64, len(content)) if slots[1] < slots[0] else range(64)


class Flip:
    """One bit of a file that is another one."""

    def __init__(self, relative, bit):
        self.relative, self.bit = relative, bit

    def apply(self, data):
        """Flips the bit; a second time, flips it back. False if the file does not reach so far any more."""
        path, at = data / self.relative, self.bit // 8
        if not path.exists() or path.stat().st_size <= at:
            return False
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << self.bit % 8]))
        return True

    def __str__(self):
        return f"bit {self.bit % 8} of byte {self.bit // 8} of {self.relative}"


def some_flip(rng, data, names):
    """A bit of one of the files: mostly where there is content, now and then anywhere."""
    relative = rng.choice(names)
    content = (data / relative).read_bytes()
    if rng.random() < 0.85:
        # A block that is not all zeros; sled's files are mostly zeros.
        blocks = [at for at in range(0, len(content), 512) if content[at:at + 512].strip(b"\0")]
        if blocks:
            at = rng.choice(blocks)
            block = content[at:at + 512]
            written = [offset for offset, byte in enumerate(block) if byte]
            return Flip(relative, (at + rng.choice(written)) * 8 + rng.randrange(8))
    return Flip(relative, rng.randrange(len(content) * 8))


def compile_intercept(folder):
    """The program that interferes with system calls, or why it cannot be had."""
    source = pathlib.Path(__file__).resolve().parent / "intercept.c"
    target = pathlib.Path(folder) / "intercept"
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler):
        return None, f"there is no {compiler}"
    built = subprocess.run([compiler, "-O2", "-o", target, source], capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise RuntimeError(f"intercept.c does not compile\n{built.stderr}")
    tried = subprocess.run([target, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return None, f"programs cannot be traced here: {tried.stderr.strip()}"
    return target, None
