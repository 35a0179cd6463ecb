"""hledger, ledger and beancount, asked about a text: whether they accept it, and what balances they make of it."""

import csv
import decimal
import os
import pathlib
import subprocess
import sys
from decimal import Decimal

# More digits than any sum of amounts has.
decimal.getcontext().prec = 100


class Peer:
    """A program for accounting in plain text."""

    name = version_of = None

    def __init__(self, folder):
        self.folder = folder

    def run(self, *command):
        """Its exit status, what it prints, and what it complains of. Nobody's own settings are read."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def version(self):
        status, out, error = self.run(*self.version_of)
        if status != 0:
            raise RuntimeError(f"{self.name} does not start: {error}")
        return out.splitlines()[0]

    def write(self, text):
        path = self.folder / f"books.{self.name}"
        path.write_text(text)
        return str(path)

    def complaint(self, text):
        """What it has against a text; nothing, if it accepts it."""
        status, _, error = self.run(*self.check(self.write(text)))
        return error.strip() or f"status {status}" if status != 0 or error.strip() else None


class Hledger(Peer):
    """Strict: accounts and commodities are declared; days in order; no transaction balances by prices alone."""

    name = "hledger"
    version_of = ("hledger", "--version")

    def check(self, path):
        return "hledger", "-f", path, "--strict", "check", "ordereddates", "balancednoautoconversion"

    def balances(self, text, end=None):
        """By account and currency, without those that are zero; before a day, if one is given."""
        before = ("-e", end) if end else ()
        # Its JSON has ten digits after the point; its CSV has those of the commodity, which are those of the finest amount.
        form = ("--flat", "-N", "-O", "csv", "--layout", "bare")
        status, out, error = self.run("hledger", "-f", self.write(text), "balance", *form, *before)
        if status != 0:
            raise RuntimeError(error)
        rows = csv.DictReader(out.splitlines())
        found = {(row["account"], row["commodity"]): Decimal(row["balance"]) for row in rows}
        return {key: value for key, value in found.items() if value}


class Ledger(Peer):
    """Pedantic: what is not declared is an error."""

    name = "ledger"
    version_of = ("ledger", "--version")

    def check(self, path):
        return "ledger", "--args-only", "-f", path, "--pedantic", "balance"

    def balances(self, text, end=None):
        before = ("-e", end) if end else ()
        columns = "%(account)\t%(quantity(amount))\t%(commodity(amount))\n"
        command = ("ledger", "--args-only", "-f", self.write(text), "--pedantic", *before, "register", "--format", columns)
        status, out, error = self.run(*command)
        if status != 0:
            raise RuntimeError(error)
        found = {}
        for line in out.splitlines():
            name, quantity, commodity = line.split("\t")
            key = name, commodity.strip()
            found[key] = found.get(key, 0) + Decimal(quantity)
        return {key: value for key, value in found.items() if value}


class Beancount(Peer):
    """Without any tolerance, as the text asks for."""

    name = "beancount"
    version_of = (str(pathlib.Path(sys.executable).parent / "bean-check"), "--version")

    def check(self, path):
        return self.version_of[0], "--no-cache", path

    def balances(self, text, end=None):
        from beancount import loader
        from beancount.core.data import Transaction

        entries, errors, _ = loader.load_string(text)
        if errors:
            raise RuntimeError(str(errors[0]))
        found = {}
        for entry in entries:
            if isinstance(entry, Transaction) and (end is None or entry.date.isoformat() < end):
                for posting in entry.postings:
                    key = posting.account, posting.units.currency
                    found[key] = found.get(key, 0) + posting.units.number
        return {key: value for key, value in found.items() if value}


ALL = (Hledger, Ledger, Beancount)
