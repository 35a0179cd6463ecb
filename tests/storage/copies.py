"""Copies that `cp` and `tar` make of a folder while a master writes to it: each opens with everything that was
acknowledged before the copy was begun, or is refused with a sentence that says what to do."""

import re
import subprocess
import time

import folder
from journal import Journal, Load

# A refusal that helps names the command that makes good copies.
ADVICE = re.compile(r"slapledger backup|`backup`|copy it again|stop the server", re.IGNORECASE)


def copy(how, data, target):
    """Copies a folder while files in it change; tar says that they do with status 1."""
    if how == "cp":
        subprocess.run(["cp", "-a", data, target], capture_output=True, check=False)
    else:
        target.mkdir()
        packed = target.with_suffix(".tar")
        subprocess.run(["tar", "-cf", packed, "-C", data, "."], capture_output=True, check=False)
        subprocess.run(["tar", "-xf", packed, "-C", target], capture_output=True, check=True)


def run(ground, n=8):
    place = ground.work / "copies"
    place.mkdir(exist_ok=True)
    data = folder.copy(ground.ledger.data, place / "data")
    written = Journal.of(ground.ledger.journal.acknowledged)
    copies = []
    with ground.program.serve(data, ground.ledger.token).start() as server:
        with Load(server, written, ground.seed) as load:
            for number in range(n):
                # Under load means that something new was acknowledged since the copy before.
                enough = written.count() + 30
                while written.count() < enough and any(thread.is_alive() for thread in load.threads):
                    time.sleep(0.005)
                before = written.until_now()
                how = ("cp", "tar")[number % 2]
                target = place / f"copy-{number}"
                copy(how, data, target)
                copies.append((f"copy {number} by {how}", target, before))
        if load.faults:
            ground.fault("load", load.faults[0])
        server.stop()
    opened = 0
    for name, target, before in copies:
        log = ground.program.log(target)
        if log.is_done:
            opened += 1
            faults = before.faults(log.events())
            if faults:
                ground.fault(name, f"it opens, but {faults[0]} ({len(faults)} faults)")
            continue
        if not ADVICE.search(log.words):
            ground.fault(name, f"it is refused without advice: {log.words}")
    for fault in ground.opened_whole(data, written=written):
        ground.fault("the folder itself", fault)
    return f"{opened} of {len(copies)} copies open, {written.count()} things acknowledged meanwhile"
