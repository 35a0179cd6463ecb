"""The Debian package: what is in it, and its life: installed, started, upgraded with data, removed, purged.

Each life is led in a copy of this machine that is thrown away: an overlay over its root, with a network of its own. There is no
systemd in it, so the commands of the unit are run as the account of the unit, by hand. Needs root, dpkg and cargo-deb. Prints a
line for each test and the count that tests/run reads.
"""

import argparse
import ctypes
import json
import os
import pathlib
import pwd
import re
import shlex
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "docs"))
from run import own_network  # noqa: E402

MS_BIND, MS_REC = 0x1000, 0x4000
DATA, CONFIG = pathlib.Path("/var/lib/slapledger"), pathlib.Path("/etc/slapledger/slapledger.toml")
UNIT = "/usr/lib/systemd/system/slapledger.service"
URL = "https://localhost:5000"
SECONDS = 120
# The most that `systemd-analyze security` may say of the unit, times 10: 0 is the most secure.
MOST_EXPOSURE = 20
FILES = (
    "./usr/bin/slapledger", "./etc/slapledger/slapledger.toml", "./usr/share/man/man1/slapledger.1.gz",
    "./usr/share/man/man1/slapledger-serve.1.gz", "./usr/share/bash-completion/completions/slapledger",
    "./usr/share/zsh/vendor-completions/_slapledger", "./usr/share/fish/vendor_completions.d/slapledger.fish",
    f".{UNIT}", "./usr/share/doc/slapledger/docs/operations.md",
)


def run(*command, must_succeed=True, **more):
    """The end of a command, which ends well; both outputs are one."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, timeout=SECONDS * 10, check=False, **more)
    if must_succeed and done.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, command))} ended with {done.returncode}\n{done.stdout}")
    return done


def build(folder, version):
    """The package of the program that is built, under a version."""
    package = folder / f"slapledger_{version}.deb"
    run(ROOT / "packaging" / "build.sh", "--deb-version", version, "--output", package, cwd=ROOT)
    return package


class Unit:
    """The commands and the account of the unit."""

    def __init__(self):
        text = pathlib.Path(UNIT).read_text()
        value = lambda name: re.search(rf"^{name}=(.*)$", text, re.MULTILINE)[1]  # noqa: E731
        self.checks, self.serves, self.user = value("ExecStartPre"), value("ExecStart"), value("User")

    def as_user(self, command):
        home = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
        words = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", "--no-new-privs", *shlex.split(command)]
        return words, home

    def start(self):
        """Starts the service; it is ready."""
        words, environment = self.as_user(self.checks)
        run(*words, env=environment, cwd="/")
        words, environment = self.as_user(self.serves)
        log = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(words, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        trust, deadline = ssl.create_default_context(cafile=DATA / "ca" / "root.pem"), time.monotonic() + SECONDS
        while True:
            try:
                if urllib.request.urlopen(f"{URL}/readyz", timeout=5, context=trust).status == 200:
                    return process
            except (OSError, urllib.error.HTTPError):
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                said = log.read().decode(errors="replace")
                raise RuntimeError(f"the service is not ready: {process.poll()}\n{said}")
            time.sleep(0.05)

    @staticmethod
    def stop(process):
        process.send_signal(signal.SIGTERM)
        return process.wait(SECONDS)


def admin(*command):
    """A command of the first admin."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/root", "SLAPLEDGER_URL": URL, "SLAPLEDGER_CA_FILE": str(DATA / "ca/root.pem"),
                   "SLAPLEDGER_TOKEN_FILE": str(DATA / "admin.token")}
    return run("slapledger", *command, env=environment).stdout


class Package(unittest.TestCase):
    packages = ()

    def test_contents(self):
        _, package = self.packages
        listed = {line.split()[5]: line.split() for line in run("dpkg-deb", "--contents", package).stdout.splitlines()}
        for file in FILES:
            self.assertTrue(file in listed, f"{file} is not in the package")
            self.assertIn(listed[file][1], ("0/0", "root/root"))
        self.assertEqual(run("dpkg-deb", "--field", package, "Package").stdout.strip(), "slapledger")
        self.assertIn("adduser", run("dpkg-deb", "--field", package, "Depends").stdout)

    def test_completions_and_manual_pages_are_well_formed(self):
        made = ROOT / "target" / "packaging"
        for shell in ("bash", "zsh", "fish"):
            script = made / "completions" / shell
            self.assertIn("slapledger", script.read_text())
            # What no shell reads on this machine is made by the same library as the others.
            if shutil.which(shell):
                run(shell, "-n", script)
        pages = sorted((made / "man").glob("*.1"))
        self.assertGreater(len(pages), 50)
        for page in pages:
            self.assertTrue(page.read_text().lstrip().startswith((".ie", ".TH")), page)

    def test_the_unit_is_hardened(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is missing")
        unit = ROOT / "packaging" / "slapledger.service"
        with tempfile.TemporaryDirectory() as folder:
            # A unit is checked with the program that it names.
            here = pathlib.Path(folder) / "slapledger.service"
            here.write_text(unit.read_text().replace("/usr/bin/slapledger", "/bin/true").replace("Documentation=man:slapledger(1)\n", ""))
            said = run("systemd-analyze", "verify", here).stdout
            self.assertNotIn("slapledger.service", said)
            offline = run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", here, must_succeed=False)
            self.assertEqual(offline.returncode, 0, offline.stdout)

    def test_cargo_install(self):
        with tempfile.TemporaryDirectory() as folder:
            run("cargo", "install", "--locked", "--path", "api", "--root", folder, cwd=ROOT)
            self.assertIn("slapledger", run(f"{folder}/bin/slapledger", "--version").stdout)

    def test_life(self):
        """In a child: the root of this process changes."""
        with tempfile.TemporaryDirectory(prefix="slapledger-package-") as folder:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    lead_life(pathlib.Path(folder), *self.packages)
                    status = 0
                except Exception as error:  # noqa: BLE001  (whatever it is, the child must end here)
                    print(f"{type(error).__name__}: {error}", flush=True)
                finally:
                    os._exit(status)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


def enter_copy(folder):
    """Makes the root of this process a copy of this machine's, which ends with it."""
    if not own_network(folder / "hosts"):
        raise RuntimeError("a package is installed in a network of its own, which needs root")
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source, target, kind=None, flags=0, options=None):
        words = [bytes(str(word), "utf-8") if word else None for word in (source, target, kind, options)]
        if libc.mount(words[0], words[1], words[2], flags, words[3]) != 0:
            raise OSError(ctypes.get_errno(), f"mount {target}")

    space = folder / "space"
    space.mkdir()
    mount("tmpfs", space, "tmpfs")
    upper, work, root = (space / name for name in ("upper", "work", "root"))
    for made in (upper, work, root):
        made.mkdir()
    mount("overlay", root, "overlay", 0, f"lowerdir=/,upperdir={upper},workdir={work}")
    for seen in ("dev", "proc"):
        mount(f"/{seen}", root / seen, None, MS_BIND | MS_REC)
    # Files of the package and this folder are seen in the copy at their paths.
    os.chroot(root)
    os.chdir("/")


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def dpkg(*words):
    return run("dpkg", *words, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}).stdout


def rebuilt():
    """What `rebuild` says of the data folder; it fails if a projection is not what the log gives."""
    return json.loads(run("slapledger", "rebuild", "--json", "--data", DATA).stdout.splitlines()[-1])


def account():
    try:
        return pwd.getpwnam("slapledger")
    except KeyError:
        return None


def lead_life(folder, previous, package):
    """Installs the previous package, uses it, upgrades it with what it holds, and takes it away."""
    enter_copy(folder)
    expect(account() is None, "the account is there before the package")
    dpkg("--install", previous)
    there = account()
    expect(there is not None and there.pw_uid < 1000, "the package has no account of its own")
    expect(DATA.owner() == "slapledger" and mode(DATA) == 0o700, f"{DATA}: {DATA.owner()} {mode(DATA):o}")
    token = DATA / "admin.token"
    expect(token.owner() == "slapledger" and mode(token) == 0o600, f"{token}: {token.owner()} {mode(token):o}")
    first_token = token.read_text()
    expect("SLAPLEDGER" in run("man", "slapledger").stdout.upper() if shutil.which("man") else True, "no manual page")

    unit = Unit()
    service = unit.start()
    admin("user", "add", "Ada")
    expect("Ada" in admin("user", "list"), "a user is added")
    CONFIG.write_text(CONFIG.read_text().replace("names = []", 'names = ["master.example.com"]'))
    expect(Unit.stop(service) == 0, "the service stops")
    before = rebuilt()

    said = dpkg("--install", package)
    expect("upgrad" in said or "Setting up" in said, said)
    expect("master.example.com" in CONFIG.read_text(), "a changed configuration is kept")
    expect(token.read_text() == first_token, "no second ledger is made")
    service = unit.start()
    expect("Ada" in admin("user", "list"), "the data of the previous package is there")
    expect(Unit.stop(service) == 0, "the service stops after the upgrade")
    after = rebuilt()
    expect(after["sequence"] > before["sequence"], "the ledger goes on")
    run("slapledger", "verify", "--data", DATA)

    # A wrong file keeps the service from its start, and is named.
    right = CONFIG.read_text()
    CONFIG.write_text("listens = 1\n")
    words, environment = unit.as_user(unit.checks)
    refused = run(*words, env=environment, must_succeed=False)
    expect(refused.returncode == 1 and "listens: unknown field" in refused.stdout, refused.stdout)
    CONFIG.write_text(right)

    dpkg("--remove", "slapledger")
    expect(DATA.is_dir() and CONFIG.is_file(), "a removed package leaves data and configuration")
    expect(not pathlib.Path("/usr/bin/slapledger").exists(), "the program is removed")
    dpkg("--install", package)
    expect(token.read_text() == first_token, "data is found again")
    dpkg("--purge", "slapledger")
    expect(not DATA.exists() and not CONFIG.parent.exists() and account() is None, "a purged package leaves something")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", help="folder with cargo-deb")
    options = parser.parse_args()
    if options.tools:
        os.environ["PATH"] = f"{options.tools}:{os.environ['PATH']}"
    import importlib.util
    spec = importlib.util.spec_from_file_location("client_run", ROOT / "tests" / "clients" / "run.py")
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    if os.getuid() != 0 or run("unshare", "--mount", "--net", "true", must_succeed=False).returncode != 0:
        print("SKIPPED package: it is installed in a copy of this machine, which needs root and the right to mount")
        print("COUNT 0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory(prefix="slapledger-deb-") as folder:
        folder = pathlib.Path(folder)
        version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
        Package.packages = (build(folder, f"{version}~previous-1"), build(folder, f"{version}-1"))
        return runner.report(unittest.TestLoader().loadTestsFromTestCase(Package))


if __name__ == "__main__":
    sys.exit(main())
