"""The schemas of price books (docs/price-book.schema.json and the served OpenAPI document) against the program.

What `slapledger price-book check` accepts, the schema accepts; what the schema refuses, the check refuses.
"""

import copy
import datetime
import json
import pathlib
import subprocess
import tempfile
import tomllib
import unittest

import jsonschema

from server import ROOT, ServerTestCase, binary, slapledger_only

FOLDER = ROOT / "fixtures" / "price-books"
ABSENT = object()


def book(name):
    """A book as JSON has it: an instant of TOML is a text."""
    text = (FOLDER / f"{name}.toml").read_text()
    return json.loads(json.dumps(tomllib.loads(text), default=datetime.datetime.isoformat))


def changed(whole, path, value):
    """The book with another value at a path; `ABSENT` takes the member away."""
    whole = copy.deepcopy(whole)
    place = whole
    for step in path[:-1]:
        place = place[step]
    if value is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return whole


def toml(value):
    """A value of JSON as TOML has it inline: what is a text in one is the same text in the other."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value).replace("\x7f", "\\u007f")


def check(whole):
    """What the check says of a book: nothing, if there is nothing wrong with it."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "book.toml"
        file.write_text("".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in whole.items()))
        done = subprocess.run([binary(), "price-book", "check", file], capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else None


def rate(kind, **members):
    return {"kind": kind, **members}


MEMORY = "service_module/memory_used"
FEE = rate("recurring", every="month", when="arrears", price="1", item="x")
TIERS = [{"up_to": "1", "price": "1"}, {"price": "1"}]
USER = {"resource": "u", "kind": "counter", "meter": "unique_count", "dimension": "d", "unit": "user"}
P95 = {"resource": "p", "kind": "gauge", "meter": "percentile", "unit": "Mbit"}

# A rate or a resource that is put in the place of the last one; the schema and the check refuse it.
WRONG_RATES = [
    rate("per_piece"),
    {},
    {"price": "1"},
    "a text",
    {**FEE, "price": 1},
    {**FEE, "price": "-1"},
    {**FEE, "price": "1e3"},
    {**FEE, "price": ".5"},
    {**FEE, "price": "1000000000"},
    {**FEE, "price": "0.0000000001"},
    {**FEE, "every": "fortnight"},
    {**FEE, "per": "seller"},
    {**FEE, "proration": "none"},
    {**FEE, "anchor": "birthday"},
    {**FEE, "every": "day", "anchor": "anniversary"},
    {**FEE, "when": "advance", "per": "customer"},
    {**FEE, "when": "advance", "proration": "whole"},
    {**FEE, "when": "advance", "anchor": "2026-01-31"},
    {**FEE, "owed": "always"},
    rate("base_fee", price="1"),
    rate("base_fee", price="1", every="month", when="arrears"),
    rate("base_fee", price="1", every="month", per="customer"),
    rate("base_fee", price="1", every="month", owed="always"),
    rate("base_fee", price="1", every="month", match={"region": "eu"}),
    rate("base_fee", price="1", every="hour", anchor="2026-01-31"),
    rate("base_fee", price="1", every="month", owed="always", anchor="anniversary", match={"customer": "PARTY-2"}),
    {**FEE, "every": "year", "when": "advance"},
    {**FEE, "item": "a\u0007"},
    {**FEE, "resource": MEMORY},
    {**FEE, "match": {"dimensions": {"zone": "eu"}}},
    {**FEE, "match": {"planet": "mars"}},
    {**FEE, "match": {"customer": "PARTY-0"}},
    {**FEE, "match": {"customer": "2"}},
    {**FEE, "match": {"instance_type": "slave"}},
    {**FEE, "match": {"computer": ""}},
    {**FEE, "match": "all"},
    rate("recurring", every="month", price="1"),
    rate("per_unit", resource=MEMORY),
    rate("per_unit", price="1"),
    rate("per_unit", resource=MEMORY, price="1", free="-1"),
    rate("per_unit", resource=MEMORY, price="1", free=5),
    rate("per_unit", resource=MEMORY, price="1", free="1000000000000000"),
    rate("per_unit", resource=MEMORY, price="1", per="seller"),
    rate("per_unit", resource=MEMORY, price="1", tiers=TIERS),
    rate("per_unit", resource=MEMORY, price="1", every="month"),
    rate("graduated", resource=MEMORY, price="1"),
    rate("graduated", resource=MEMORY, tiers=[]),
    rate("graduated", resource=MEMORY, tiers="1"),
    rate("volume", resource=MEMORY, tiers=[{"up_to": "0", "price": "1"}, {"price": "1"}]),
    rate("volume", resource=MEMORY, tiers=[{"up_to": "1", "price": "1", "fee": "1"}, {"price": "1"}]),
    rate("volume", resource=MEMORY, tiers=[{"up_to": "1"}, {"price": "1"}]),
    rate("package", resource=MEMORY, price="1"),
    rate("package", resource=MEMORY, price="1", size="0.000"),
    rate("package", resource=MEMORY, price="1", size=100),
    rate("percentage", of="usage"),
    rate("percentage", percent="0"),
    rate("percentage", percent="1000.1"),
    rate("percentage", percent="1001"),
    rate("percentage", percent=10),
    rate("percentage", percent="10", of="fees"),
    rate("percentage", percent="10", of="usage", resource=MEMORY),
    rate("percentage", percent="10", match={"region": "eu"}),
    rate("minimum"),
    rate("minimum", price="1", of="usage", resource=MEMORY),
    rate("minimum", price="1", match={"customer": "PARTY-2", "instance_type": "testing"}),
    rate("maximum", price="1"),
    rate("maximum", price="1", per="line", of="usage", resource=MEMORY),
    rate("maximum", price="1", per="book"),
    rate("maximum", price="1", per="customer", match={"instance_type": "testing"}),
    rate("discount"),
    rate("discount", percent="0"),
    rate("discount", percent="100.1"),
    rate("discount", percent="5", amount="1"),
    rate("discount", amount="0.00"),
    rate("discount", percent="5", months=0),
    rate("discount", percent="5", invoices=0),
    rate("discount", percent="5", order="1"),
    rate("discount", percent="5", until="2027-01-01"),
    rate("discount", percent="5", code=""),
    rate("discount", percent="5", match={"region": "eu"}),
    {**FEE, "trial": {}},
    {**FEE, "trial": {"days": 0}},
    {**FEE, "trial": {"days": 14, "quantity": "1"}},
    {**FEE, "trial": {"quantity": "1"}},
    rate("per_unit", resource=MEMORY, price="1", trial={"quantity": "0"}),
    rate("minimum", price="1", trial={"days": 1}),
]
WRONG_RESOURCES = [
    {},
    {**P95, "resource": ""},
    {**P95, "kind": "counter"},
    {**P95, "meter": "sum"},
    {**P95, "meter": "median"},
    {**P95, "unit": ""},
    {**P95, "carry_over": "yes"},
    {**USER, "carry_over": True},
    {**P95, "unit": "a\u0000"},
    {**P95, "unit": "x" * 101},
    {**P95, "percent": 0},
    {**P95, "percent": 101},
    {**P95, "percent": "95"},
    {**P95, "percent": 95.5},
    {**P95, "sample_minutes": 7},
    {**P95, "sample_minutes": 0},
    {**P95, "dimension": "zone"},
    {**P95, "multiply_by": 0},
    {**P95, "divide_by": 1_000_000_000_001},
    {**P95, "divide_by": "1024"},
    {**P95, "divide_by": -1},
    {**P95, "reported_in": "bit", "divide_by": 2},
    {**P95, "group_by": "zone"},
    {**P95, "group_by": ["zone", "zone"]},
    {**P95, "group_by": [""]},
    {**P95, "group_by": [str(n) for n in range(9)]},
    {**P95, "meter": "max", "percent": 95},
    {**P95, "meter": "max", "sample_minutes": 5},
    {**USER, "dimension": ""},
    {key: value for key, value in USER.items() if key != "dimension"},
    {**USER, "meter": "count"},
    {**USER, "reported_in": "1", "unit": "thousand"},
]
WRONG_BOOKS = [
    (["name"], ABSENT),
    (["name"], ""),
    (["name"], 5),
    (["currency"], ABSENT),
    (["currency"], "eur"),
    (["valid_from"], ABSENT),
    (["valid_from"], "2026-01-01"),
    (["rounding"], "sideways"),
    (["rates"], ABSENT),
    (["rates"], []),
    (["rates"], {}),
    (["resources"], {}),
    (["colour"], "red"),
]
# The check alone knows these.
WRONG_TO_THE_CHECK = [
    (["currency"], "XXQ"),
    (["resources", -1, "resource"], MEMORY),
    (["resources", 0, "reported_in"], "hour"),
    (["resources", 0, "reported_in"], "furlong"),
    (["rates", -1], rate("minimum", price="1")),
    (["rates", -1], rate("per_unit", resource="nothing", price="1")),
    (["rates", -1], rate("volume", resource=MEMORY, tiers=[{"price": "1"}, {"price": "1"}])),
    (["rates", -1], rate("volume", resource=MEMORY, tiers=[TIERS[0], TIERS[0], TIERS[1]])),
    (["rates", -1], rate("per_unit", resource=MEMORY, price="1", match={"dimensions": {"zone": "eu"}})),
]
# Nobody refuses these.
RIGHT = [
    (["rounding"], ABSENT),
    (["valid_from"], "2026-01-01t01:00:00.5+01:00"),
    (["rates", -1], {**FEE, "price": "007.5000000000000"}),
    (["rates", -1], {**FEE, "item": ""}),
    (["rates", -1], {**FEE, "match": {}}),
    (["rates", -1], {**FEE, "match": {"dimensions": {}}}),
    (["rates", -1], {**FEE, "price": "0"}),
    (["rates", -1], rate("percentage", percent="1000.000", of="recurring")),
    (["rates", -1], rate("percentage", percent="0.000000001", of="recurring", match={"customer": "PARTY-7"})),
    (["rates", -1], rate("minimum", price="1", resource=MEMORY)),
    (["rates", -1], rate("maximum", price="1", per="instance", match={"computer": "COMP-7", "region": "eu"})),
    (["rates", -1], rate("discount", item="new", percent="100.0", months=65535, invoices=1, code="A", order=9)),
    (["rates", -1], {**FEE, "item": "new", "trial": {"days": 14}}),
    (["rates", -1], rate("per_unit", resource=MEMORY, price="1", match={"region": "eu"}, trial={"quantity": "0.5"})),
    (["rates", -1], rate("per_unit", resource=MEMORY, price="999999999.999999999", match={"region": "eu"})),
    (["resources", -1], {**P95, "resource": "service_module/licences", "sample_minutes": 1440, "percent": 1}),
]


@slapledger_only
class Schema(unittest.TestCase):
    """docs/price-book.schema.json."""

    @classmethod
    def setUpClass(cls):
        printed = subprocess.run([binary(), "price-book", "schema"], capture_output=True, text=True, check=True)
        cls.schema = json.loads(printed.stdout)
        jsonschema.Draft202012Validator.check_schema(cls.schema)
        cls.validator = jsonschema.Draft202012Validator(cls.schema)
        cls.everything = book("everything")

    def test_the_file_is_what_is_printed(self):
        self.assertEqual(json.loads((ROOT / "docs" / "price-book.schema.json").read_text()), self.schema)

    def test_every_fixture_satisfies_it(self):
        files = sorted(file.stem for file in FOLDER.glob("*.toml"))
        self.assertIn("everything", files)
        for name in files:
            with self.subTest(name):
                self.validator.validate(book(name))
                self.assertIsNone(check(book(name)))

    def assertRefusedByBoth(self, whole):
        self.assertFalse(self.validator.is_valid(whole), "the schema accepts it")
        self.assertIsNotNone(check(whole), "the check accepts it")

    def test_both_refuse_what_is_wrong(self):
        for list_name, wrong in [("rates", WRONG_RATES), ("resources", WRONG_RESOURCES)]:
            for item in wrong:
                with self.subTest(item=item):
                    self.assertRefusedByBoth({**self.everything, list_name: [*self.everything[list_name], item]})
        for path, value in WRONG_BOOKS:
            with self.subTest(path=path, value=value):
                self.assertRefusedByBoth(changed(self.everything, path, value))

    def test_the_check_knows_more(self):
        for path, value in WRONG_TO_THE_CHECK:
            with self.subTest(path=path, value=value):
                whole = changed(self.everything, path, value)
                self.validator.validate(whole)
                self.assertIsNotNone(check(whole), "the check accepts it")

    def test_both_accept_what_is_right(self):
        for path, value in RIGHT:
            with self.subTest(path=path, value=value):
                whole = changed(self.everything, path, value)
                self.validator.validate(whole)
                self.assertIsNone(check(whole))

    def test_the_check_names_file_and_place(self):
        priced = max(n for n, rate in enumerate(self.everything["rates"]) if "price" in rate)
        told = check(changed(self.everything, ["rates", priced, "price"], "x"))
        self.assertRegex(told, r"book\.toml: line \d+, column \d+: rates\[\d+\]\.price must be a decimal number")


@slapledger_only
class Served(ServerTestCase):
    """What the routes answer satisfies both schemas, and can be published again."""

    def test_a_book_with_everything(self):
        document = self.server.get("openapi.json").json()
        name = "/v1/price-books"

        def validator(pointer):
            # References in the document are from its root.
            return jsonschema.Draft202012Validator({**document, "$ref": pointer})

        def under(method, path, rest):
            return "#/paths/" + path.replace("/", "~1") + f"/{method}/{rest}"

        media = "content/application~1json/schema"
        wanted, everything = validator(under("post", name, f"requestBody/{media}")), book("everything")
        shown = validator(under("get", name + "/{name}", f"responses/200/{media}"))
        wanted.validate(everything)
        for item in [rate("per_piece"), {**FEE, "resource": MEMORY}, rate("minimum", price="1", tiers=TIERS)]:
            self.assertFalse(wanted.is_valid({**everything, "rates": [item]}), item)

        published = self.server.post_json(name, everything)
        self.assertEqual(published.status, 201, published)
        answer = self.server.get(f"{name}/everything").json()
        shown.validate(answer)
        self.assertFalse(shown.is_valid(changed(answer, ["rates", 0, "colour"], "red")), "planted")
        said = {key: value for key, value in answer.items() if key not in ("version", "sequence", "versions")}
        jsonschema.validate(said, json.loads((ROOT / "docs" / "price-book.schema.json").read_text()))
        wanted.validate(said)
        again = self.server.post_json(name, said)
        self.assertEqual((again.status, again.json()["version"]), (200, 1), again)


if __name__ == "__main__":
    unittest.main()
