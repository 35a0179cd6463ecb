"""What a TLS server lets in, asked from outside: versions, suites, certificate, names, clients.

    tests/tls/check.py HOST:PORT --root root.pem --name NAME [--name NAME] [--client CERTIFICATE KEY]

A line for each check; the last line counts them, as tests/run reads it:

    ok      TLS 1.1 is refused
    FAILED  weak suites are refused: AES128-SHA
    COUNT 12 passed, 1 failed, 0 skipped

Only the standard library and the command openssl are used. tests/tls/planted.py holds it against servers that must fail.
"""

import argparse
import concurrent.futures
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile

import hello

PATIENCE_SECONDS = 10
# Any path: that there is an answer is enough.
REQUEST = b"GET / HTTP/1.1\r\nHost: check\r\nConnection: close\r\n\r\n"


class Wrong(Exception):
    """A check that failed, and why."""


class Server:
    """The server that is asked."""

    def __init__(self, address, root, names, client=None):
        self.address, self.root, self.names, self.client = address, root, names, client

    def context(self, check_hostname=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = check_hostname
        context.load_verify_locations(self.root)
        return context

    def request(self, context, name):
        """The beginning of an answer."""
        with socket.create_connection(self.address, timeout=PATIENCE_SECONDS) as plain:
            with context.wrap_socket(plain, server_hostname=name) as stream:
                stream.sendall(REQUEST)
                return stream.recv(4096)

    def s_client(self, *arguments):
        """Whether openssl comes to the end of a handshake."""
        host, port = self.address
        command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", self.names[0], *arguments]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=PATIENCE_SECONDS * 3)
        said = done.stdout + done.stderr
        if b"unknown option" in said.lower() or b"Error with command" in said:
            raise RuntimeError(f"{' '.join(command)}: {said.decode(errors='replace')}")
        return done.returncode == 0 and b"Cipher is (NONE)" not in said and b"New, " in said


def check_old_versions(server, version):
    chosen = hello.taken(server.address, version, hello.SUITES[1:], server.names[0])
    if chosen:
        raise Wrong(f"{hello.NAMES.get(chosen[0], hex(chosen[0]))} with suite {chosen[1]:04X} was taken")


def check_ssl2(server):
    """An SSL 2.0 hello: 2-byte header, message 1, version 2, seven kinds of ciphers, a challenge."""
    ciphers = b"\x01\x00\x80\x02\x00\x80\x03\x00\x80\x04\x00\x80\x05\x00\x80\x06\x00\x40\x07\x00\xc0"
    body = b"\x01\x00\x02" + len(ciphers).to_bytes(2, "big") + b"\x00\x00\x00\x10" + ciphers + bytes(16)
    with socket.create_connection(server.address, timeout=PATIENCE_SECONDS) as stream:
        stream.sendall((0x8000 | len(body)).to_bytes(2, "big") + body)
        try:
            answer = stream.recv(4096)
        except ConnectionResetError:
            return
    if len(answer) > 2 and answer[0] & 0x80 and answer[2] == 4:
        raise Wrong("an SSL 2.0 hello was answered")


def check_new_version(server, version):
    context = server.context()
    context.minimum_version = context.maximum_version = version
    answer = server.request(context, server.names[0])
    if not answer.startswith(b"HTTP/1.1 "):
        raise Wrong(f"the answer is {answer[:40]!r}")


def check_weak_suites(server):
    """All numbers of suites that are not strong, in one hello."""
    chosen = hello.taken(server.address, hello.TLS12, hello.WEAK, server.names[0])
    if chosen:
        raise Wrong(f"suite {chosen[1]:04X} was taken")


def check_openssl_suites(server):
    """Each suite that openssl has, by itself."""
    listing = ["openssl", "ciphers", "-V", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    lines = subprocess.run(listing, capture_output=True, check=True, text=True).stdout.splitlines()
    numbers = {}
    for line in lines:
        number, _, suite, version = line.split()[:4]
        if version != "TLSv1.3":
            numbers[suite] = int(number.replace("0x", "").replace(",", ""), 16)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        takes = pool.map(lambda suite: server.s_client("-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0"), numbers)
        taken = [suite for suite, does in zip(numbers, takes) if does]
    weak = [suite for suite in taken if numbers[suite] not in hello.STRONG]
    strong = [suite for suite in taken if numbers[suite] in hello.STRONG]
    if weak:
        raise Wrong(", ".join(weak))
    if not strong:
        raise Wrong("no suite at all was taken")


def check_name(server, name):
    """Chain, dates and name, as a client checks them."""
    server.request(server.context(), name)


def check_wrong_name(server):
    try:
        server.request(server.context(), "other.invalid")
    except ssl.SSLCertVerificationError:
        return
    raise Wrong("the certificate is good for other.invalid")


def check_key(server):
    with socket.create_connection(server.address, timeout=PATIENCE_SECONDS) as plain:
        with server.context(check_hostname=False).wrap_socket(plain, server_hostname=server.names[0]) as stream:
            pem = ssl.DER_cert_to_PEM_cert(stream.getpeercert(binary_form=True))
            if stream.compression():
                raise Wrong("what is sent is compressed")
    done = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem, capture_output=True, check=True, text=True)
    text = done.stdout
    bits = int(text.split("Public-Key: (")[1].split(" bit")[0])
    if bits < (256 if "id-ecPublicKey" in text or "ED25519" in text else 2048):
        raise Wrong(f"a key of {bits} bits")
    signature = text.split("Signature Algorithm: ")[1].split("\n")[0].strip()
    if "sha1" in signature.lower() or "md5" in signature.lower():
        raise Wrong(f"it is signed by {signature}")


def check_plain(server):
    """Nothing is answered in the clear."""
    with socket.create_connection(server.address, timeout=PATIENCE_SECONDS) as stream:
        stream.sendall(REQUEST)
        try:
            answer = stream.recv(4096)
        except ConnectionResetError:
            return
    if answer.startswith(b"HTTP/"):
        raise Wrong(f"the answer is {answer[:40]!r}")


def check_stranger(server):
    """A client that shows a certificate of nobody known."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = make_certificate(pathlib.Path(folder), "stranger")
        context = server.context()
        context.load_cert_chain(certificate, key)
        try:
            answer = server.request(context, server.names[0])
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
            return
    if answer:
        raise Wrong(f"it was answered {answer[:40]!r}")


def check_client(server):
    """A client that shows a certificate of this authority."""
    context = server.context()
    context.load_cert_chain(*server.client)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, version
        if not server.request(context, server.names[0]).startswith(b"HTTP/1.1 "):
            raise Wrong("it was not answered")


def make_certificate(folder, name):
    """A certificate that signs itself; for strangers, and for planted servers."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
               "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, check=True)
    return certificate, key


EACH_SUITE = "weak suites of openssl are refused"


def checks(server, each_suite=True):
    yield "SSL 2.0 is refused", lambda: check_ssl2(server)
    for version in (hello.SSL3, hello.TLS1, hello.TLS11):
        yield f"{hello.NAMES[version]} is refused", lambda version=version: check_old_versions(server, version)
    for name, version in (("TLS 1.2", ssl.TLSVersion.TLSv1_2), ("TLS 1.3", ssl.TLSVersion.TLSv1_3)):
        yield f"{name} is spoken", lambda version=version: check_new_version(server, version)
    yield "weak suites are refused", lambda: check_weak_suites(server)
    if each_suite:
        yield EACH_SUITE, lambda: check_openssl_suites(server)
    for name in server.names:
        yield f"the chain is valid for {name}", lambda name=name: check_name(server, name)
    yield "the certificate is not good for other names", lambda: check_wrong_name(server)
    yield "key and signature are strong", lambda: check_key(server)
    yield "nothing is answered in the clear", lambda: check_plain(server)
    yield "a client with a certificate of others is refused", lambda: check_stranger(server)
    if server.client:
        yield "a client with a certificate of ours is served", lambda: check_client(server)


def run(server, stream=sys.stdout, each_suite=True):
    """Runs all checks, each suite of openssl among them if wanted; the names of those that failed."""
    passed, failed = 0, []
    for name, check in checks(server, each_suite):
        try:
            check()
            passed += 1
            print(f"ok      {name}", file=stream, flush=True)
        except (Wrong, OSError, RuntimeError, subprocess.SubprocessError) as error:
            failed.append(name)
            print(f"FAILED  {name}: {error}", file=stream, flush=True)
    print(f"COUNT {passed} passed, {len(failed)} failed, 0 skipped", file=stream)
    return failed


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", type=address, metavar="HOST:PORT")
    parser.add_argument("--root", required=True, help="PEM of the root that the server's certificate comes from")
    parser.add_argument("--name", action="append", required=True, help="a name that the certificate must be good for")
    parser.add_argument("--client", nargs=2, metavar=("CERTIFICATE", "KEY"), help="of a client that must be served")
    options = parser.parse_args(arguments)
    return 1 if run(Server(options.address, options.root, options.name, options.client)) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
