"""check.py, checked: weak servers of Python's ssl that each must fail the checks of their weakness, and one that is well.

Prints a line for each and counts them, as tests/run reads it.
"""

import io
import pathlib
import socket
import ssl
import sys
import tempfile
import threading

import check

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NAME = "localhost"


def well(context):
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")


def old(context):
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")


def weak(context):
    context.set_ciphers("AES128-SHA:ECDHE+AESGCM:@SECLEVEL=0")


def only_old(context):
    well(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def careless(context):
    well(context)
    context.verify_mode = ssl.CERT_NONE


# What is planted, the name of its certificate, and what of check.py must fail, at least; nothing may where nothing is said.
STRANGER = "a client with a certificate of others is refused"
PLANTED = [
    ("a server without fault", well, NAME, set()),
    ("a server that speaks TLS 1.0", old, NAME, {"TLS 1.0 is refused", "TLS 1.1 is refused", "weak suites are refused",
                                                check.EACH_SUITE}),
    ("a server with a weak suite", weak, NAME, {"weak suites are refused", check.EACH_SUITE}),
    ("a server without TLS 1.3", only_old, NAME, {"TLS 1.3 is spoken"}),
    ("a server of another name", well, "elsewhere", {f"the chain is valid for {NAME}", "TLS 1.2 is spoken"}),
    ("a server that asks no client", careless, NAME, {STRANGER}),
]


class Planted:
    """A server on a free port; with `strict`, one that refuses the certificates of strangers."""

    def __init__(self, weaken, certificate, key, strict):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        if strict:
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self.context.load_verify_locations(certificate)
        weaken(self.context)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(stream,), daemon=True).start()

    def answer(self, plain):
        try:
            plain.settimeout(check.PATIENCE_SECONDS)
            with self.context.wrap_socket(plain, server_side=True) as stream:
                if stream.recv(4096):
                    stream.sendall(ANSWER)
        except OSError:
            plain.close()

    def close(self):
        self.listener.close()


def judge(folder, weaken, name, expected):
    """Why check.py is wrong about a planted server; nothing if it is right."""
    certificate, key = check.make_certificate(folder, name)
    planted = Planted(weaken, certificate, key, strict=STRANGER not in expected)
    said = io.StringIO()
    # They take seconds, and are looked at where they matter.
    each_suite = not expected or check.EACH_SUITE in expected
    failed = set(check.run(check.Server(planted.address, certificate, [NAME]), said, each_suite))
    planted.close()
    wrong = expected - failed or (failed if not expected else set())
    return f"{sorted(wrong)}\n{said.getvalue()}" if wrong else None


def main():
    failed = 0
    for number, (what, weaken, name, expected) in enumerate(PLANTED):
        with tempfile.TemporaryDirectory() as folder:
            wrong = judge(pathlib.Path(folder), weaken, name, expected)
        failed += bool(wrong)
        print(f"FAILED  {what}: {wrong}" if wrong else f"ok      {what}", flush=True)
    print(f"COUNT {len(PLANTED) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
