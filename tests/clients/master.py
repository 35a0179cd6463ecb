"""`slapledger serve` over TLS, made by `slapledger init`: asked by its admin, by others with certificates, and by nobody.

What the server offers is held against `ca/root.pem`, which the clients of slapos.core do not do. Those clients come as
`Master.credentials` where a test has one user alone: an admin who is a party, and sees all that the local user of a
proxy sees.
"""

import datetime
import http.client
import json
import ssl
import subprocess
import urllib.parse

import urllib3

from server import START_TIMEOUT_SECONDS, Http, Server, ServerTestCase, binary, free_port
from slap_case import run_slapos

# slapos.core never verifies who the master is, and its library says so at every request.
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


class Identity:
    """A certificate and its key, in files of a folder."""

    def __init__(self, folder, certificate=None, key=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = folder / "client.crt", folder / "client.key"
        for path, content in ((self.certificate, certificate), (self.key, key)):
            if content is not None:
                path.write_text(content)

    @property
    def files(self):
        """As slapos.slap takes them."""
        return {"cert_file": str(self.certificate), "key_file": str(self.key)}


class Visitor(Http):
    """Somebody who asks a master: with a certificate, with a token, or with neither."""

    def __init__(self, master, identity=None, token=None):
        self.url, self.token = master.url, token
        self.context = ssl.create_default_context(cafile=master.root)
        if identity:
            self.context.load_cert_chain(identity.certificate, identity.key)

    def open(self, request, timeout):
        if self.token and not request.has_header("Authorization"):
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        return super().open(request, timeout, context=self.context)


class Master(Server):
    """A master and its folder; what it is asked directly, its admin asks."""

    def __init__(self, *options):
        super().__init__()
        self.options = options
        self.token_file = self.folder / "token"
        self.identities = self.folder / "identities"

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}/"

    @property
    def root(self):
        return self.data / "ca" / "root.pem"

    def command(self):
        return [binary(), "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}", *self.options]

    def start(self):
        self.port = self.port or free_port()
        is_new = not self.data.exists()
        if is_new:
            command = [binary(), "init", "--data", str(self.data), "--token-file", str(self.token_file)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_SECONDS)
            if done.returncode != 0:
                raise RuntimeError(f"slapledger init ended with {done.returncode}\n{done.stdout}{done.stderr}")
        self.admin = Visitor(self, token=self.token_file.read_text().strip())
        super().start()
        if is_new:
            self.credentials = self.identity("PARTY-1", "admin", "customer", "provider").files
        return self

    def open(self, request, timeout):
        return self.admin.open(request, timeout)

    def connect(self, identity):
        """A connection that stays open, of somebody with a certificate."""
        context = Visitor(self, identity).context
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=60)

    # Who is let in.

    def party(self, name):
        """Enters a party; its id."""
        return self.made(self.post_json("v1/parties", {"name": name}))["id"]

    def issue(self, holder, *roles, purpose="get_certificate", by=None, **more):
        """A token."""
        wanted = {"holder": holder, "purpose": purpose, **({"roles": roles} if roles else {}), **more}
        return self.made((by or self).post_json("v1/tokens", wanted))["token"]

    def identity(self, party, *roles):
        """A certificate for a party, got by a token as `slapos configure client` does."""
        token = self.issue(party, *roles)
        return self.handed_out(self.present(token, "Person_getCertificate"))

    def present(self, token, path, **form):
        """What somebody is answered who has no certificate, and shows a token for one."""
        body = urllib.parse.urlencode(form).encode()
        content_type = "application/x-www-form-urlencoded"
        return Visitor(self).call("POST", path, body, content_type, **{"X-Access-Token": token})

    def handed_out(self, answer):
        """The identity in an answer."""
        pair = self.made(answer, 200)
        folder = self.identities / str(len(list(self.identities.glob("*"))))
        return Identity(folder, pair["certificate"], pair["key"])

    def active(self, holder, kind="certificate"):
        """Ids of the credentials of somebody that are good."""
        items = self.made(self.get("v1/credentials", limit=1000), 200)["items"]
        return [item["id"] for item in items
                if (item["holder"], item["kind"], item["state"]) == (holder, kind, "active")]

    def revoke(self, holder):
        """Ends every certificate of somebody."""
        ended = self.active(holder)
        for credential in ended:
            self.made(self.post_json(f"v1/credentials/{credential}/revoke", {}), 200)
        return ended

    def made(self, answer, status=201):
        if answer.status != status:
            raise AssertionError(f"status {answer.status} instead of {status}: {answer!r}")
        return answer.json()


class User:
    """Somebody with the real `slapos` and files of their own."""

    def __init__(self, master, name, *roles):
        self.master, self.name = master, name
        self.folder = master.folder / name
        self.folder.mkdir()
        self.config = self.folder / "home" / "slapos-client.cfg"
        self.roles = roles or ("customer", "provider")
        self.party = master.party(name)

    def configure(self, token=None, web=None):
        """Runs `slapos configure client`; (status, standard output, standard error)."""
        web = web or self.master.url.rstrip("/")
        token = token or self.master.issue(self.party, *self.roles)
        return self.run("configure", "client", "--master-url", self.master.url, "--master-url-web", web,
                        "--token", token)

    def forget(self):
        """Takes the files away, as the command asks before it makes others."""
        for path in self.config.parent.iterdir():
            path.unlink()

    @property
    def identity(self):
        return Identity(self.config.parent)

    def run(self, *arguments, stdin=""):
        """Runs `slapos` with this user's file; (status, standard output, standard error)."""
        return run_slapos(self.folder, *arguments, "--cfg", str(self.config), stdin=stdin)

    def succeed(self, *arguments, stdin=""):
        """Standard output and standard error of a command that must succeed."""
        status, output, errors = self.run(*arguments, stdin=stdin)
        if status != 0:
            raise AssertionError(f"slapos {' '.join(arguments)} of {self.name} ended with {status}\n{output}\n{errors}")
        return output, errors

    def slapos(self, *arguments, **more):
        """All that a command printed."""
        return "".join(self.succeed(*arguments, **more))

    def json(self, *arguments):
        """What a command printed, as JSON."""
        return json.loads(self.succeed(*arguments)[0])


class MasterTestCase(ServerTestCase):
    """A fresh master over TLS."""

    def make_server(self):
        return Master()

    def user(self, name, *roles):
        """A user with the files that the real `slapos configure client` has written."""
        user = User(self.server, name, *roles)
        status, output, errors = user.configure()
        self.assertEqual(status, 0, output + errors)
        return user

    def assertRefused(self, text, ended):
        """A command has failed, and says why."""
        status, output, errors = ended
        self.assertNotEqual(status, 0, output + errors)
        self.assertIn(text, output + errors)


def authority(folder, name="somebody else"):
    """A certificate authority of nobody known: its files (certificate, key)."""
    certificate, key = folder / "other-ca.pem", folder / "other-ca.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign", "-keyout", key, "-out", certificate)
    return certificate, key


def forged(folder, issuer, days=(-1, 1), subject="/OU=person/CN=PARTY-1"):
    """An identity that `issuer` (certificate, key) signs: good for the client side of TLS, known to no master."""
    folder.mkdir()
    request, key = folder / "request.pem", folder / "client.key"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-keyout", key,
            "-out", request)
    (folder / "index").touch()
    (folder / "serial").write_text("4d\n")
    config = folder / "ca.cfg"
    config.write_text(
        f"[ca]\ndefault_ca = it\n[it]\ndatabase = {folder}/index\nserial = {folder}/serial\nnew_certs_dir = {folder}\n"
        "default_md = sha256\npolicy = any\nx509_extensions = of\n[any]\ncommonName = supplied\n"
        "organizationalUnitName = optional\n[of]\nbasicConstraints = CA:FALSE\nkeyUsage = critical,digitalSignature\n"
        "extendedKeyUsage = clientAuth\nauthorityKeyIdentifier = keyid\n")
    certificate = folder / "client.crt"
    openssl("ca", "-batch", "-notext", "-config", config, "-cert", issuer[0], "-keyfile", issuer[1], "-startdate",
            instant(days[0]), "-enddate", instant(days[1]), "-in", request, "-out", certificate)
    return Identity(folder)


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")


def instant(days):
    """An instant so many days from now, as `openssl ca` takes it."""
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return then.strftime("%Y%m%d%H%M%SZ")

