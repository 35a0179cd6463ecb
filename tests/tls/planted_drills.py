"""drills.py, checked: a server that bears nothing must fail its drills.

It waits for heads for ever, has one thread for all connections once there are many, believes what it reads and keeps it.
Prints a line for each drill that must fail and counts them, as tests/run reads it.
"""

import contextlib
import io
import subprocess
import sys

import drills

# A thread for each connection up to a few; past them the next one waits. What looks like a bomb is unpacked and kept.
CARELESS = """
import socket, threading
listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listener.getsockname()[1], flush=True)
kept = []
def answer(stream):
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        part = stream.recv(65536)
        if not part:
            return
        data += part
    head, _, body = data.partition(b"\\r\\n\\r\\n")
    length = int((head.lower().split(b"content-length: ") + [b"0"])[1].split(b"\\r")[0])
    while len(body) < length:
        body += stream.recv(65536)
    if b"DOCTYPE" in body:
        kept.append(bytearray(b"ha" * 4_000_000))
    stream.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    stream.close()
places = threading.Semaphore(100)
def one(stream):
    try:
        answer(stream)
    except OSError:
        pass
    finally:
        places.release()
while True:
    stream, _ = listener.accept()
    places.acquire()
    threading.Thread(target=one, args=(stream,), daemon=True).start()
"""

MUST_FAIL = ("bombs are refused", "memory stays bounded beside bombs", "slow heads are cut off",
             "others are answered beside slow heads")


def main():
    drills.PATIENCE_SECONDS = 3
    process = subprocess.Popen([sys.executable, "-c", CARELESS], stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline())
        options = drills.options([f"127.0.0.1:{port}", "--pid", str(process.pid), "--head-timeout", "1", "--most-mebibytes", "64"])
        options.token = "any"
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            planted = drills.Drills(options)
            planted.bombs()
            planted.slow()
    finally:
        process.kill()
        process.wait()
    failed = {line.split("FAILED ", 1)[1].split(":")[0].strip() for line in said.getvalue().splitlines() if "FAILED " in line}
    for name in MUST_FAIL:
        print(f"ok      planted: {name}" if name in failed else f"FAILED  planted: {name} was not found\n{said.getvalue()}")
    found = len(failed & set(MUST_FAIL))
    print(f"COUNT {found} passed, {len(MUST_FAIL) - found} failed, 0 skipped")
    return 1 if found < len(MUST_FAIL) else 0


if __name__ == "__main__":
    sys.exit(main())
