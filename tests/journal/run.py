"""The books of real masters, read by hledger, ledger and beancount.

    python3 tests/journal/run.py --binary target/release/slapledger

The demo's month, and months that the scenarios of the oracle play (several currencies, fees in advance, adjustments,
credit notes, and whatever else the binary has), are exported over HTTP, whole and from a day in the middle on. Each
program accepts every text; refuses it when one cent of one posting is changed, or the last digit of another; and what it
adds up is what `GET /v1/trial-balance` says, account by account; and that, before anything is closed, what the documents
themselves add up to. A program that is missing is a failure.

    COUNT 60 passed, 0 failed, 0 skipped
"""

import argparse
import collections
import os
import pathlib
import random
import re
import sys
import tempfile
import time
import traceback
import urllib.parse
from decimal import Decimal
from fractions import Fraction

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "oracle"), str(ROOT / "tests" / "clients")]

import features  # noqa: E402
import peers  # noqa: E402
import zones  # noqa: E402
from play import play  # noqa: E402
from scenario import BEGIN, Scenario  # noqa: E402
from server import Server  # noqa: E402
from wire import Wire  # noqa: E402
from zones import text as instant  # noqa: E402

POSTING = re.compile(r"^ +([A-Z]\S*) +(-?[0-9.]+) ([A-Z]{3})$", re.MULTILINE)


class Demo(Server):
    """A master that has played the demo's month."""

    def command(self):
        return [super().command()[0], "demo", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"]


class Books:
    """What a master says of its books, over HTTP."""

    def __init__(self, name, server):
        self.name, self.server = name, server

    def read(self, path, **query):
        path += "?" + urllib.parse.urlencode(query) if query else ""
        answer = self.server.get(path)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer!r}")
        return answer

    def export(self, program, **query):
        return self.read("v1/journal", format=program, **query).text

    def items(self, path, **query):
        found, cursor = [], {}
        while True:
            page = self.read(path, limit=1000, **query, **cursor).json()
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    def transactions(self):
        return self.items("v1/journal")

    def trial_balance(self, **query):
        """By account and currency, as the server names them."""
        found = {}
        for book in self.read("v1/trial-balance", **query).json()["books"]:
            amounts = {}
            for account in book["accounts"]:
                amounts[account["account"], book["currency"]] = Decimal(account["balance"])
            if sum(amounts.values()) != 0:
                raise AssertionError(f"{self.name}: the trial balance in {book['currency']} does not add up")
            found.update(amounts)
        return found


def names(text):
    """What the accounts of an export in hledger's format are called in the journal."""
    found, resource = {}, None
    for line in text.splitlines():
        if line.startswith("; "):
            resource = line[2:]
        elif line.startswith("account "):
            name = line.removeprefix("account ").split("  ")[0]
            if name.startswith("Income:Usage:"):
                found[name] = f"Income:Usage:{resource}"
            elif name.startswith("Liabilities:Tax:"):
                found[name] = name.replace("-", ".")
            else:
                found[name] = name
    return found


def altered(text, place, step):
    """The text with the amount of one posting larger by a step."""
    found = list(POSTING.finditer(text))[place]
    amount = Decimal(found[2]) + step
    start, end = found.span(2)
    return text[:start] + f"{amount:f}" + text[end:]


def cent(currency):
    """What cannot be overlooked in a currency."""
    return Decimal(1 if currency == "JPY" else "0.01")


def last_digit(amount):
    """One in the last place of an amount as it is written."""
    return Decimal(1).scaleb(Decimal(amount).as_tuple().exponent)


# Where lines of a document earn.
EARNED = {"recurring": "Recurring", "advance": "Recurring", "percentage": "Percentage", "minimum": "Minimum",
          "discount": "Discounts", "maximum": "Maximum", "adjustment": "Adjustments", "one_off": "OneOff",
          "correction": "OneOff"}


# The income accounts in the order of the chart of accounts; those of usage are in the order of their resources.
CHART = ("Recurring", "Usage", "Percentage", "Minimum", "Discounts", "Maximum", "Adjustments", "OneOff")


def kind_of(line):
    """The income account of a line."""
    return f"Usage:{line['resource']}" if line["kind"] == "usage" else EARNED[line["kind"]]


def tax_within(document):
    """What of the tax that the lines of a document contain is of each income account: that of each category and rate is
    divided among them in the order of the chart, each boundary rounded half away from zero to the minor unit."""
    for tax in document["tax"]:
        sums = collections.defaultdict(Decimal)
        for line in document["lines"]:
            if (line["tax"]["category"], line["tax"]["rate"]) == (tax["category"], tax["rate"]):
                sums[kind_of(line)] += Decimal(line["amount"])
        whole, amount = sum(sums.values()), Decimal(tax["amount"])
        digits = Decimal(1).scaleb(amount.as_tuple().exponent)
        so_far = before = Decimal(0)
        for kind in sorted(sums, key=lambda kind: (CHART.index(kind.partition(":")[0]), kind)) if whole else ():
            so_far += sums[kind]
            until = Decimal(half_up(Fraction(amount) * Fraction(so_far) / Fraction(whole), digits))
            yield kind, until - before
            before = until


def half_up(exact, step):
    """A fraction rounded to a step, half away from zero."""
    units = abs(exact) / Fraction(step)
    rounded = (2 * units + 1) // 2
    return step * int(rounded) * (-1 if exact < 0 else 1)


def from_documents(documents):
    """The balances that invoices and credit notes make, worked out from the documents alone (docs/invoices.md)."""
    found = collections.Counter()
    for document in documents:
        sign = 1 if document["document"] == "invoice" else -1

        def add(account, amount):
            found[account, document["currency"]] += sign * amount

        # What was due when it was issued: `due` of an invoice follows its credit notes, which are documents of their own.
        prepaid = sum((Decimal(used["amount"]) for used in document.get("prepaid", [])), Decimal(0))
        add(f"Assets:Receivable:{document['buyer']['party']}", Decimal(document["total"]) - prepaid)
        for tax in document["tax"]:
            add(f"Liabilities:Tax:{tax['category']}:{tax['rate']}", -Decimal(tax["amount"]))
        add("Income:Rounding", -Decimal(document["rounding"]))
        for line in document["lines"]:
            add(f"Income:{kind_of(line)}", Decimal(line["residue"]) - Decimal(line["amount"]))
            add("Income:Rounding", -Decimal(line["residue"]))
        if document.get("price_tax") == "inclusive":
            for kind, tax in tax_within(document):
                add(f"Income:{kind}", tax)
    return {key: value for key, value in found.items() if value}


# Prepaid credit is in no document as a whole: its grant, its rest, and what of it expired.
OF_CREDIT = ("Assets:Clearing", "Liabilities:Prepaid:", "Expenses:Promotions", "Income:Breakage")


class Checks:
    """What was checked, and what failed."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, wrong):
        """`wrong` says what is wrong; nothing, if all is right."""
        self.passed, self.failed = self.passed + (not wrong), self.failed + bool(wrong)
        print(f"{'FAILED' if wrong else 'ok':>7}  {name}" + (f"\n{wrong}" if wrong else ""), flush=True)

    def documents(self, books):
        """The books say what the documents say, while nothing is closed."""
        expected = from_documents(books.items("v1/invoices", state="final"))
        found = {(account, currency): sum for (account, currency), sum in books.trial_balance().items()
                 if not account.startswith(OF_CREDIT)}
        wrong = sorted(set(expected.items()) ^ set(found.items()))
        self.check(f"{books.name}: {len(expected)} balances are those of the documents",
                   f"    only one of them has {wrong[:4]}" if wrong else None)

    def books(self, books, folder, changes):
        """All that is to be true of the books of a master."""
        transactions = books.transactions()
        kinds = collections.Counter(transaction["kind"] for transaction in transactions)
        currencies = sorted({transaction["currency"] for transaction in transactions})
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        print(f"{books.name}: {told} in {', '.join(currencies)}", flush=True)
        if not transactions:
            return self.check(f"{books.name} has transactions", "there is none")
        off = [item["id"] for item in transactions if sum(Decimal(posting["amount"]) for posting in item["postings"])]
        self.check(f"{books.name}: {len(transactions)} transactions balance", f"    all but {off[:4]}" if off else None)
        days = sorted({transaction["day"] for transaction in transactions})
        middle = days[len(days) // 2]
        for peer in (peer(folder) for peer in peers.ALL):
            self.texts(books, peer, middle)
            self.refusals(books, peer, changes)

    def texts(self, books, peer, middle):
        """A program accepts all texts, and adds up what the server does; a cent that is in another account is seen."""
        whole, rest = books.export(peer.name), books.export(peer.name, **{"from": middle})
        for name, text in (("all", whole), (f"from {middle} on", rest)):
            self.check(f"{books.name}: {peer.name} accepts {name}", peer.complaint(text))
        own = names(books.export("hledger"))

        def differences(text, end=None):
            expected = books.trial_balance(**({"at": end} if end else {}))
            found = {(own[name], currency): sum for (name, currency), sum in peer.balances(text, end).items()}
            return len(expected), sorted(set(expected.items()) ^ set(found.items()))

        for name, text, end in (("all", whole, None), (f"all before {middle}", whole, middle), ("the rest", rest, None)):
            accounts, wrong = differences(text, end)
            self.check(f"{books.name}: {peer.name} adds {name} up to {accounts} balances, as the server does",
                       f"    only one of them has {wrong[:4]}" if wrong else None)
        # The first two postings are of one transaction, which balances as before.
        step = cent(POSTING.search(whole)[3])
        moved = altered(altered(whole, 0, step), 1, -step)
        seen = peer.complaint(moved) is None and differences(moved)[1]
        self.check(f"{books.name}: {peer.name} adds up otherwise when {step} is in another account", None if seen else "    it does not")

    def refusals(self, books, peer, changes):
        """A program refuses what is a cent off, or a digit."""
        text = books.export(peer.name)
        postings = POSTING.findall(text)
        missed, tried = [], 0
        for place in changes.sample(range(len(postings)), min(6, len(postings))):
            _, amount, currency = postings[place]
            step = cent(currency)
            for step in {step, -step, last_digit(amount)}:
                tried += 1
                if peer.complaint(altered(text, place, step)) is None:
                    missed.append(f"    accepted with {step} more in {' '.join(postings[place])}")
        self.check(f"{books.name}: {peer.name} refuses {tried} texts with one posting changed", "\n".join(missed))


def in_another_currency(wire):
    """Invoices the first run's period once more, by a price book in another currency."""
    first = wire.items("/v1/invoice-runs")[0]
    known = {item["currency"] for item in wire.items("/v1/price-books")}
    currency = next(code for code in ("JPY", "EUR", "TND") if code not in known)
    rate = {"kind": "recurring", "every": "hour", "when": "arrears", "price": "0.123456789"}
    wire.call("POST", "/v1/price-books", {"name": "another", "currency": currency, "rates": [rate],
                                          "valid_from": "2020-01-01T00:00:00Z", "rounding": "half_even"})
    wire.call("POST", "/v1/invoice-runs", {"period": first["period"], "price_book": "another", "finalise": True})


def random_month(seed, binary, wanted):
    """A master that has played a scenario and sold in a second currency."""
    wire = Wire(binary, instant(BEGIN))
    wire.__enter__()
    try:
        play(Scenario(seed, wanted), wire)
        in_another_currency(wire)
        wait_for_expiry(wire)
        return wire
    except BaseException:
        wire.__exit__()
        raise


def wait_for_expiry(wire):
    """Waits until the rest of each credit that has expired is in the books: the server records it within a second."""
    deadline = time.monotonic() + 30
    while any(Decimal(credit["left"]) for credit in wire.items("/v1/credits") if has_expired(credit, wire)):
        if time.monotonic() > deadline:
            raise RuntimeError("credit that has expired is not recorded")
        time.sleep(0.05)


def has_expired(credit, wire):
    now = wire.server.clock_path.read_text().strip()
    return "expires_at" in credit and zones.instant(credit["expires_at"]) <= zones.instant(now)


def close(wire):
    """Closes the books up to the last day on which something happened, so that something stays open."""
    dated = sorted(item["day"] for item in wire.items("/v1/journal"))
    wire.call("POST", "/v1/accounting-periods", {"until": dated[-1]})


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6, metavar="N", help="so many months of the oracle")
    parser.add_argument("--features", default="auto", help="what the months use: auto (what the binary has), or names with commas")
    parser.add_argument("--binary", default=os.environ.get("SLAPLEDGER_BIN") or ROOT / "target/release/slapledger")
    options = parser.parse_args(arguments)
    os.environ["SLAPLEDGER_BIN"] = str(pathlib.Path(options.binary).resolve())
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="slapledger-journal-") as folder:
        folder = pathlib.Path(folder)
        for peer in peers.ALL:
            try:
                print(f"{peer.name}: {peer(folder).version()}", flush=True)
            except (OSError, RuntimeError) as error:
                checks.check(f"{peer.name} is there", f"    {error}")
        if checks.failed:
            print(f"COUNT {checks.passed} passed, {checks.failed} failed, 0 skipped")
            return 1
        demo = Demo()
        try:
            demo.start()
            books = Books("the demo", demo)
            checks.documents(books)
            checks.books(books, folder, random.Random(0))
            there = features.of_server(demo.get("openapi.json").json())
        finally:
            demo.stop()
            demo.remove()
        wanted = there if options.features == "auto" else frozenset(options.features.split(","))
        for seed in range(1, options.seeds + 1):
            name = f"seed {seed}"
            try:
                wire = random_month(seed, options.binary, wanted)
            except Exception:
                checks.check(f"{name} is played", traceback.format_exc())
                continue
            try:
                books = Books(name, wire.server)
                checks.documents(books)
                close(wire)
                checks.books(books, folder, random.Random(seed))
            finally:
                wire.__exit__()
    print(f"COUNT {checks.passed} passed, {checks.failed} failed, 0 skipped")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
