"""A master without TLS behind the real nginx and the real HAProxy, configured as docs/security.md has it.

    tests/tls/terminators.py

A line for each check, and a count, as tests/run reads it. The configurations are taken out of docs/security.md, so that
what is printed there is what runs. One that hands on what clients say of themselves must be found. `SLAPLEDGER_BIN`
names the binary.
"""

import pathlib
import re
import ssl
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients"))
from master import Master, Visitor  # noqa: E402
from server import Http, free_port  # noqa: E402

SECRET = "a secret of sixteen bytes or more"
START_SECONDS = 20


class Plain(Master):
    """A master that somebody else ends TLS for."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def command(self):
        return [*super().command(), "--plain-http", "--config", "serve.toml"]


def documented(name):
    """The configuration of a terminator in docs/security.md."""
    text = (ROOT / "docs" / "security.md").read_text()
    found = re.search(rf"<!-- {name} -->\n\n((?:    .*\n|\n)+)", text)
    if not found:
        raise RuntimeError(f"docs/security.md has no configuration of {name}")
    return re.sub(r"(?m)^    ", "", found.group(1))


class Terminator(Http):
    """A program that ends TLS, running."""

    def __init__(self, name, master, change=lambda text: text):
        self.port, self.master = free_port(), master
        self.folder = master.folder / f"{name}-{self.port}"
        self.folder.mkdir()
        # Those who run it as root drop to somebody who must come in.
        for folder in (master.folder, self.folder):
            folder.chmod(0o755)
        self.certificate = self.folder / "server.pem"
        key = self.folder / "server.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out",
             self.certificate], check=True, capture_output=True)
        clients = self.folder / "clients.pem"
        clients.write_text("".join((master.data / "ca" / name).read_text() for name in ("root.pem", "intermediate.pem")))
        both = self.folder / "both.pem"
        both.write_text(self.certificate.read_text() + key.read_text())
        places = {
            "/etc/ssl/server.pem": str(both if name == "haproxy" else self.certificate),
            "/etc/ssl/server.key": str(key),
            "/etc/slapledger/clients.pem": str(clients),
            "THE SECRET": SECRET,
            "127.0.0.1:5000": f"127.0.0.1:{master.port}",
            ":443": f":{self.port}",
            " 443 ssl": f" 127.0.0.1:{self.port} ssl",
            "master.example.com": "localhost",
        }
        text = change(documented(name))
        for place, filled in places.items():
            text = text.replace(place, filled)
        if name == "nginx":
            text = f"daemon off; pid {self.folder}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{text}\n}}\n"
            command = ["/usr/sbin/nginx", "-p", str(self.folder), "-c"]
        else:
            text = f"defaults\n    mode http\n    timeout client 1m\n    timeout server 1m\n    timeout connect 5s\n\n{text}\n"
            command = ["/usr/sbin/haproxy", "-db", "-f"]
        configuration = self.folder / "configuration"
        configuration.write_text(text)
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([*command, str(configuration)], stdout=self.log, stderr=self.log)
        self.url = f"https://localhost:{self.port}/"
        self.wait()

    def wait(self):
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.visitor().get("healthz")
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.1)

    def visitor(self, identity=None, token=None, address="127.0.0.1"):
        return Guest(self, identity, token, address)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


class Guest(Visitor):
    """Somebody who comes through a terminator, from one of the addresses of this machine."""

    def __init__(self, terminator, identity, token, address):
        self.url, self.token, self.address = terminator.url, token, address
        self.context = ssl.create_default_context(cafile=terminator.certificate)
        if identity:
            self.context.load_cert_chain(identity.certificate, identity.key)

    def open(self, request, timeout):
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        handler = From(self.address, self.context)
        return urllib.request.build_opener(handler).open(request, timeout=timeout)


class From(urllib.request.HTTPSHandler):
    def __init__(self, address, context):
        super().__init__(context=context)
        self.address, self.kept = address, context

    def https_open(self, request):
        def connection(host, **more):
            return urllib.request.http.client.HTTPSConnection(host, source_address=(self.address, 0), context=self.kept, **more)
        return self.do_open(connection, request)


def check_identity(master, terminator):
    """A certificate is who it is of; without one there is nobody."""
    ada = master.identity(master.party("Ada"), "customer")
    assert terminator.visitor(ada).get("v1/instances").status == 200
    assert terminator.visitor().get("v1/instances").status == 401


def check_token(master, terminator):
    """A token is as good as without a terminator."""
    token = master.issue(master.party("Tom"), "customer", purpose="access")
    assert terminator.visitor(token=token).get("v1/instances").status == 200


def check_claim(master, terminator):
    """What a client says of itself in the headers of a terminator counts for nothing."""
    eve = master.identity(master.party("Eve"), "customer")
    der = ssl.PEM_cert_to_DER_cert(re.search(r"-----BEGIN.*?END CERTIFICATE-----", eve.certificate.read_text(), re.S).group())
    import base64
    claim = {"Client-Cert": f":{base64.b64encode(der).decode()}:"}
    assert terminator.visitor().call("GET", "v1/instances", **claim).status == 401
    assert terminator.visitor().call("GET", "v1/instances", **claim, **{"Slapledger-Terminator": SECRET}).status == 401
    # Nor past the terminator.
    assert Visitor(master).call("GET", "v1/instances", **claim).status == 401


def check_revoked(master, terminator):
    """What was revoked is nobody at the next request."""
    bob = master.party("Bob")
    guest = terminator.visitor(master.identity(bob, "customer"))
    assert guest.get("v1/instances").status == 200
    master.made(master.post_json(f"v1/parties/{bob}/revoke-credentials", {}), 200)
    assert guest.get("v1/instances").status == 401


def check_guesses(master, terminator):
    """Who guesses is slowed, and nobody else who comes the same way."""
    wrong = f"slap_{'0' * 32}_{'0' * 64}"
    address = f"127.1.{terminator.port >> 8}.{terminator.port & 255}"
    seen = []
    while 429 not in seen and len(seen) < 100:
        # On a slow machine some of the guesses are forgiven meanwhile.
        seen.append(terminator.visitor(token=wrong, address=address).get("v1/instances").status)
    assert seen[:10] == [401] * 10 and seen[-1] == 429, seen
    assert terminator.visitor(token=wrong, address="127.0.0.3").get("v1/instances").status == 401


def check_many(master, terminator):
    """More connections than one address may have are those of many clients."""
    streams = [terminator.visitor() for _ in range(150)]
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(150) as pool:
        seen = list(pool.map(lambda guest: guest.get("healthz").status, streams))
    assert set(seen) <= {200, 429}, sorted(set(seen))


CHECKS = [check_identity, check_token, check_claim, check_revoked, check_guesses, check_many]


def careless(text):
    """A configuration that hands on what clients say."""
    return text.replace("$ssl_client_escaped_cert", "$http_client_cert")


def failed(check, master, terminator):
    """Why a check failed, or nothing."""
    try:
        check(master, terminator)
    except AssertionError as error:
        return str(error) or "an assertion"
    return None


def main():
    counts = {"ok": 0, "FAILED": 0}

    def told(text, problem):
        outcome = "FAILED" if problem else "ok"
        counts[outcome] += 1
        print(f"{outcome:<8}{text}{f': {problem}' if problem else ''}", flush=True)

    master = Plain()
    secret = master.folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    (master.folder / "serve.toml").write_text(
        f'names = ["localhost"]\n[terminator]\naddresses = ["127.0.0.1"]\nsecret_file = "{secret}"\n')
    running = []
    try:
        master.start()
        for name in ("nginx", "haproxy"):
            terminator = Terminator(name, master)
            running.append(terminator)
            for check in CHECKS:
                told(f"{name}: {check.__doc__}", failed(check, master, terminator))
        planted = Terminator("nginx", master, careless)
        running.append(planted)
        found = failed(check_claim, master, planted)
        told("planted: one that hands on what clients say is found", None if found else "it was not")
    except BaseException:
        print(f"--- log of the server\n{master.log()}\n---", flush=True)
        raise
    finally:
        for terminator in running:
            terminator.stop()
        master.stop()
        master.remove()
    print(f"COUNT {counts['ok']} passed, {counts['FAILED']} failed, 0 skipped")
    return int(counts["FAILED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
