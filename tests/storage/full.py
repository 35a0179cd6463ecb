"""Full disks: nothing acknowledged is lost, opening needs no room, and a folder opens when there is room again.

A master under a little load finds its disk full, is stopped or killed, is started twice on the full disk, and then has room.
`reserve` is about the time before: a master refuses writes while there is still some room, answers reads, and takes writes
again without a restart.
"""

import shutil
import signal
import time

import disks
import folder
from journal import Client, Journal

# KiB that are left when the disk gets full, by the number of the trial.
LEFT = (0, 4, 16, 64, 128, 256, 512, 1024, 4096, 16384)
INSUFFICIENT_STORAGE = 507
# How long a master may need to see that there is too little room, and that there is room again.
SEEN_SECONDS = 10
RESUME_SECONDS = 30


# A disk gets really full where nothing is kept free.
NO_RESERVE = "[disk]\nreserve_bytes = 0\n"
RESERVE_MEBIBYTES = 16


class Full:
    def __init__(self, ground):
        self.ground, self.ledger = ground, ground.ledger

    def trial(self, number):
        left, sign = LEFT[number // 2 % len(LEFT)], (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)[number % 3]

        def run(place):
            with disks.Small(place / "disk") as disk:
                return self.faults(disk, number, left, sign)
        return f"trial {number}, {left} KiB left, {sign.name}", run

    def faults(self, disk, number, left, sign):
        data = folder.copy(self.ledger.data, disk.folder / "data")
        written = Journal.of(self.ledger.journal.acknowledged)
        # Beside the disk, which will be full.
        token = self.ledger.token
        config = None
        if number % 2:
            config = disk.folder.with_name("serve.toml")
            config.write_text(NO_RESERVE)
        server = self.ground.program.serve(data, token, config=config)
        server.log_path = disk.folder.with_name("server-log")
        with server.start():
            client = Client(server, written, f"{self.ground.seed}/{number}")
            client.once()
            disk.fill(left)
            try:
                for _ in range(3):
                    client.usage(size=20)
            except OSError:
                pass  # it has ended by itself
            server.stop(sign)
        for start in (1, 2):
            with server.spawn():
                server.is_ready()  # or not: what counts is what it leaves
                server.stop()
            # What only reads works without any room.
            found = self.ground.opened_whole(data, written=written)
            if found:
                return [f"after start {start} on the full disk: {fault}" for fault in found]
        disk.grow()
        found = self.ground.opened_whole(data, written=written)
        if found:
            return found
        with server.spawn():
            if not server.is_ready():
                return [f"the server does not start although there is room: {server.said()}"]
            if client.usage() is None:
                return [f"there is room, and usage is refused: {written.refused}"]
            server.stop()
        return self.ground.opened_whole(data, written=written)


def run(ground, n=20):
    disks.need_small(ground.work)
    full = Full(ground)
    done = ground.side_by_side([full.trial(number) for number in range(n)])
    return f"{done} full disks with two starts each"


def charge(server):
    return server.post_json("v1/charges", {
        "customer": "PARTY-2", "currency": "EUR", "amount": "1.00", "description": "on a disk that gets full"})


def reserve(ground):
    """Writes end before the room does."""
    disks.need_small(ground.work)
    with disks.Small(ground.work / "reserve") as disk:
        data = folder.copy(ground.ledger.data, disk.folder / "data")
        written = Journal.of(ground.ledger.journal.acknowledged)
        config = ground.work / "serve.toml"
        config.write_text(f"[disk]\nreserve_bytes = {RESERVE_MEBIBYTES << 20}\n")
        with ground.program.serve(data, ground.ledger.token, config=config).start() as server:
            client = Client(server, written, ground.seed)
            # What is left is less than the reserve, and more than a few requests take.
            disk.fill(RESERVE_MEBIBYTES * 1024 // 2)
            free = shutil.disk_usage(disk.folder).free
            # The server looks every second.
            deadline = time.monotonic() + SEEN_SECONDS
            while charge(server).status != INSUFFICIENT_STORAGE and time.monotonic() < deadline:
                time.sleep(0.05)
            answers = [charge(server) for _ in range(5)]
            statuses = {answer.status for answer in answers}
            if statuses != {INSUFFICIENT_STORAGE}:
                ground.fault("below the reserve", f"writes are answered {sorted(statuses)}, not {INSUFFICIENT_STORAGE}: "
                             f"{answers[-1]!r}")
            if server.get("v1/instances").status != 200:
                ground.fault("below the reserve", "reads are refused")
            if shutil.disk_usage(disk.folder).free < free // 2:
                ground.fault("below the reserve", "the room that was left is used up")
            disk.grow()
            deadline = time.monotonic() + RESUME_SECONDS
            while not client.usage(size=1):
                if time.monotonic() > deadline:
                    ground.fault("with room again", f"writes are refused without a restart: {written.refused}")
                    break
                time.sleep(0.05)
            server.stop()
        for fault in ground.opened_whole(data, written=written):
            ground.fault("afterwards", fault)
    return "507 below the reserve, 200 with room"
