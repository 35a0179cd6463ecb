"""Power cuts: what is on the disk at a moment, and nothing that is only in memory, must open with every event that was
acknowledged before.

A master on an ext4 of its own is under load, or is being started; all its threads are stopped for a moment; the image of the
disk is copied, mounted elsewhere (the file system recovers from its journal) and opened. Between cuts the master goes on, or is
killed or stopped and started again.
"""

import os
import pathlib
import signal
import time

import disks
import folder
from journal import Journal, Load

MEGABYTES = 768
# A quarter of the cuts are made while the folder is being opened.
OPENING_EVERY = 4


def stand_still(process):
    """Stops all threads of a process; calls that are under way end first."""
    process.send_signal(signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{process.pid}/task")
    while any(state(task) not in "TtZX" for task in tasks.iterdir()):
        time.sleep(0.001)


def state(task):
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


class Power:
    def __init__(self, ground, place, disk):
        self.ground, self.place, self.disk = ground, place, disk
        self.data = folder.copy(ground.ledger.data, disk.folder / "data")
        disks.command("sync", "-f", disk.folder)
        self.written = Journal.of(ground.ledger.journal.acknowledged)

    def server(self, **more):
        return self.ground.program.serve(self.data, self.ground.ledger.token, **more)

    def opened(self, name, before):
        """Opens the copy of the image."""
        image = self.place / "cut.image"
        try:
            with disks.Image(self.place / "cut", image) as cut:
                for fault in self.ground.opened_whole(cut.folder / "data", written=before):
                    self.ground.fault(name, fault)
        finally:
            image.unlink()

    def under_load(self, numbers):
        server = self.server().start()
        rng = self.ground.random("power")
        try:
            for number in numbers:
                with Load(server, self.written, f"{self.ground.seed}/{number}") as load:
                    enough = self.written.count() + rng.randrange(20, 200)
                    while self.written.count() < enough and any(thread.is_alive() for thread in load.threads):
                        time.sleep(0.002)
                    stand_still(server.process)
                    before = self.written.until_now()
                    if rng.random() < 0.5:
                        self.disk.commit_something_else()
                    self.disk.cut(self.place / "cut.image")
                    server.process.send_signal(signal.SIGCONT)
                self.opened(f"cut {number}, under load", before)
                how = rng.choice(("goes on", "SIGKILL", "SIGTERM"))
                if how != "goes on":
                    server.stop(signal.Signals[how])
                    server = self.server().start()
        finally:
            server.stop(signal.SIGKILL)

    def opening(self, numbers):
        """Cuts while a master is being started: it stands still before one of its calls."""
        report = self.place / "report"
        rng = self.ground.random("power", "opening")

        def start(mode, number):
            report.unlink(missing_ok=True)
            before = [self.ground.intercept, "-m", mode, "-n", str(number), "-d", str(self.data), "-o", str(report)]
            return self.server(before=before).spawn()

        with start("count", 0) as server:
            server.is_ready()
            server.stop()
        # The calls of the stop are among them; most are of the start.
        total = int(report.read_text().split()[1])
        for number in numbers:
            # One in each part of the start, so that all of it is met.
            at = 1 + int((number + rng.random()) * total / len(numbers))
            with start("pause", at) as server:
                # It stands still, or is ready because it makes fewer calls this time.
                while not report.exists() and not self.is_answering(server):
                    time.sleep(0.005)
                self.disk.commit_something_else()
                self.disk.cut(self.place / "cut.image")
                at_call = report.read_text().split()[2] if report.exists() else "the end of the start"
            self.opened(f"cut {number}, opening, {at_call} (call {at})", self.written.until_now())

    def is_answering(self, server):
        try:
            return server.process.poll() is not None or server.get("readyz", timeout=1).status == 200
        except OSError:
            return False


def run(ground, n=20):
    place = ground.work / "power"
    place.mkdir(exist_ok=True)
    disks.need_loop(place)
    with disks.Image(place / "disk", place / "disk.image", MEGABYTES) as disk:
        power = Power(ground, place, disk)
        openings = n // OPENING_EVERY
        power.opening(range(openings))
        power.under_load(range(openings, n))
        count = power.written.count()
    os.unlink(place / "disk.image")
    return f"{n} power cuts, {openings} of them during opening; {count} things acknowledged"
