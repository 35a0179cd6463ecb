"""Writes the fixture of a format: a small data folder with sealed epochs and an open one, as this program writes it.

    tests/storage/make_folder.py FORMAT

It makes fixtures/folders/format-FORMAT.tar.xz (`data/`, a closed data folder, and `token`, an admin's),
fixtures/folders/format-FORMAT.log.xz, what `slapledger log --json` prints of it, and fixtures/folders/format-FORMAT.json,
which says what was acknowledged. A fixture is made once, by the
release that introduces the format, and never again: later programs are tested against what was written then.

The environment variable SLAPLEDGER_EPOCH_BYTES must make epochs small. No release reads it: build one for this purpose
with `epoch_bytes` of core/src/log/sled_store taken from it. What is written has the date of WRITTEN_AT, so that it is past
wherever it is opened (clock.c).
"""

import argparse
import datetime
import json
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import journal
from program import Program

FOLDERS = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "folders"
SEALED_EPOCHS = 2
WRITTEN_AT = datetime.datetime(2025, 1, 15, tzinfo=datetime.timezone.utc)


def fill(server, seed):
    """Everything that a small ledger has, until enough epochs are sealed and some events are in the open one."""
    journal.prepare(server)
    written = journal.Journal()
    client = journal.Client(server, written, seed)
    sealed = server.data / "log" / f"epoch-{SEALED_EPOCHS:06}.manifest"
    while not sealed.exists():
        client.once()
    client.once()
    token = server.post_json("v1/tokens", {"holder": "PARTY-2", "roles": ["customer"], "label": "a customer's"})
    renamed = server.call("PATCH", "v1/parties/PARTY-2", b'{"legal_name": "A customer SAS", "terms_days": 14}',
                          "application/json")
    invoice = next(things[0] for kind, things in reversed(written.acknowledged) if kind == "invoice")
    note = server.post_json(f"v1/invoices/{invoice}/credit",
                            {"reason": "a drill", "lines": [{"n": 1, "amount": "0.10"}]})
    for answer in (token, renamed, note):
        if answer.status not in (200, 201):
            raise RuntimeError(f"the folder could not be filled: {answer!r}")
    client.usage(size=20)
    if written.refused:
        raise RuntimeError(f"the server refused requests: {written.refused}")
    return written


def root_of_head(data):
    """The root in the newer slot of `head` (docs/format.md)."""
    content = (data / "log" / "head").read_bytes()
    slots = [content[at:at + 64] for at in (0, 64)]
    return max(slots, key=lambda slot: (slot[8:16], slot[48:56]))[16:48]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("format", type=int)
    options = parser.parse_args(arguments)
    program = Program()
    os.environ.setdefault("SLAPLEDGER_EPOCH_BYTES", "40000")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shim = folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, pathlib.Path(__file__).with_name("clock.c")], check=True)
        os.environ["LD_PRELOAD"] = str(shim)
        os.environ["CLOCK_SHIFT"] = str(int(WRITTEN_AT.timestamp() - time.time()))
        data, token = folder / "data", folder / "token"
        made = program.init(data, token)
        if not made.is_done:
            raise RuntimeError(made.words)
        server = program.serve(data, token).start()
        try:
            written = fill(server, options.format)
            if server.stop() != 0:
                raise RuntimeError(server.said())
        finally:
            server.stop()
        # Packed before anything opens it again.
        FOLDERS.mkdir(parents=True, exist_ok=True)
        archive = FOLDERS / f"format-{options.format}.tar.xz"
        subprocess.run(
            ["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--sparse", "--mtime=@0", "-cJf", archive,
             "-C", folder, "data", "token"], check=True, env={**os.environ, "XZ_OPT": "-9e"})
        log = program.log(data)
        if not log.is_done:
            raise RuntimeError(log.words)
        events = log.events()
        faults = written.faults(events)
        if faults:
            raise RuntimeError("; ".join(faults[:3]))
        if not events[-1]["recorded_at"].startswith("2025-01-15"):
            raise RuntimeError(f"the clock was not shifted: {events[-1]['recorded_at']}")
        (FOLDERS / f"format-{options.format}.json").write_text(json.dumps({
            "format": options.format, "last_sequence": events[-1]["sequence"],
            "root": root_of_head(data).hex(),
            "acknowledged": written.acknowledged,
        }) + "\n")
        (FOLDERS / f"format-{options.format}.log.xz").write_bytes(lzma.compress(log.output, preset=9))
    print(f"{archive}: {archive.stat().st_size} bytes, {len(events)} events")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
