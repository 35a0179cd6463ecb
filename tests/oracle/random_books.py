"""Random price books, in which no two rates can tie.

Rates of a subject form a chain: each level names the members of the one before and one more, and rates of one level differ
in a value. So of all rates that fit, one names most members.
"""

PRICES = ("10.00", "0.002", "0.0005", "0.005", "1.23456789", "3.333333333", "0.01", "0.125", "7", "0")
CODES = ("SPRING", "FALL")
USAGE = ("per_unit", "graduated", "volume", "package")
CURRENCIES = ("EUR", "USD", "JPY", "TND", "BHD", "CHF")
# name, kind, unit reported, unit it may be turned into, what dimensions its usage has
RESOURCES = (
    ("requests", "counter", None, None, ("region",)),
    ("traffic", "counter", "MB", "GB", ("direction", "region")),
    ("jobs", "counter", None, None, ("user",)),
    ("cpu", "gauge", "percent", "core", ()),
    ("memory", "gauge", "MiB", "GiB", ("tier",)),
    ("bandwidth", "gauge", "Mbit", "Gbit", ("user",)),
)
DIMENSIONS = {"region": ("eu", "us", "asia"), "direction": ("in", "out"), "user": ("ann", "bob", "cy", "dee"), "tier": ("hot",)}


class Books:
    """Makes the versions of one book; `values` maps members of `match` to what they may be."""

    def __init__(self, random, features, values, newer, name="standard"):
        self.random, self.features, self.values, self.name = random, features, values, name
        self.newer = newer  # apart: what is newer leaves all else of a seed as it is
        self.currency = random.choice(CURRENCIES) if "currencies" in features else "EUR"
        self.terms = {}  # what all versions say of tax and documents
        self.kinds = random.sample(RESOURCES, random.randint(3, len(RESOURCES)))

    def version(self, valid_from):
        resources = [self.resource(*one) for one in self.kinds]
        rates = self.fees()
        for resource in resources:
            rates += self.usage(resource)
        for kind in ("percentage", "minimum"):
            if kind in self.features and self.random.random() < 0.6:
                rates += getattr(self, kind)(resources)
        restart = "on_change" in self.features and self.random.random() < 0.15
        if "maximum" in self.features and not restart and self.random.random() < 0.6:
            rates += self.maximum(resources)
        if "discount" in self.features and not restart and self.random.random() < 0.6:
            rates += self.discount(resources)
        self.random.shuffle(rates)
        rates += self.base_fees()
        made = {"name": self.name, "currency": self.currency, "valid_from": valid_from,
                "rounding": self.random.choice(["half_up", "half_even"]), "resources": resources, "rates": rates}
        if restart:
            made["on_change"] = "restart"
        made.update({name: value for name, value in self.terms.items() if not (restart and name == "on_tax_change")})
        return made

    def altered(self, book, valid_from):
        """A later version: often the same prices in another order, or one price changed, or one declaration."""
        made = {**book, "valid_from": valid_from, "rates": [dict(rate) for rate in book["rates"]]}
        self.random.shuffle(made["rates"])
        for rate in self.random.sample(made["rates"], self.random.choice([0, 0, 1, 2])) if len(made["rates"]) > 1 else ():
            if "price" in rate:
                rate["price"] = self.price()
            elif "percent" in rate:
                rate["percent"] = "7.5"
            elif "tiers" in rate:
                rate["tiers"] = [{**tier, "price": self.price()} for tier in rate["tiers"]]
        return made

    # Resources.

    def resource(self, name, kind, reported, wanted, dimensions):
        random, features = self.random, self.features
        meters = ["sum"] if kind == "counter" else ["time_integral"]
        if "meters" in features:
            meters = ["sum", "sum", "count"] if kind == "counter" else [
                "time_integral", "time_integral", "min", "max", "average", "latest", "percentile", "count"]
            if "user" in dimensions:
                meters.append("unique_count")
        meter = random.choice(meters)
        made = {"resource": name, "kind": kind, "meter": meter, "unit": f"{name}_{meter}"}
        if meter == "unique_count":
            made["dimension"] = "user"
        if meter == "percentile":
            made.update(percent=random.choice([95, 50, 100, 99, 1]), sample_minutes=random.choice([5, 15, 60, 1440]))
        counted = meter in ("count", "unique_count")
        if "units" in features and reported and not counted and random.random() < 0.5:
            made["reported_in"] = reported
            made["unit"] = wanted if meter != "time_integral" else f"{wanted}_{random.choice(['hour', 'day', 'minute'])}"
        elif "factors" in features and not counted and random.random() < 0.4:
            made.update(multiply_by=random.choice([1, 3, 1000]), divide_by=random.choice([7, 1024, 1000000]))
        if "carry_over" in features and kind == "gauge" and not counted and self.newer.random() < 0.4:
            made["carry_over"] = True
        if "group_by" in features and dimensions and random.random() < 0.5:
            made["group_by"] = random.sample(dimensions, random.randint(1, len(dimensions)))
        return made

    # What a rate may name.

    def matches(self, dimensions=(), likely=0.6):
        """Matches of a chain, as described above."""
        random = self.random
        members = [name for name in self.values if self.values[name]]
        members += [("dimensions", name) for name in dimensions if "match_dimensions" in self.features]
        random.shuffle(members)
        chain = members[:random.choice([0, 1, 1, 2, 3])]
        found, level = [], []
        if random.random() < likely or not chain:
            found.append({})
        for member in chain:
            level.append(member)
            seen = set()
            for _ in range(random.randint(1, 3)):
                match = {}
                for one in level:
                    if isinstance(one, tuple):
                        match.setdefault("dimensions", {})[one[1]] = random.choice(DIMENSIONS[one[1]])
                    else:
                        match[one] = random.choice(self.values[one])
                if repr(match) not in seen:
                    seen.add(repr(match))
                    found.append(match)
        return found

    def rated(self, match, **rate):
        return {**rate, "match": match} if match else rate

    def price(self):
        return self.random.choice(PRICES)

    # Rates.

    def fees(self):
        random, made = self.random, []
        items = [None]
        if "item" in self.features:
            items = random.choice([[None], ["base"], ["base", "support"], [None, "licence"]])
        for item in items:
            for match in self.matches():
                rate = self.rated(match, kind="recurring", every="month", when="arrears", price=self.price())
                if "every" in self.features:
                    rate["every"] = random.choice(["hour", "day", "month", "month", "year"])
                if "advance" in self.features and rate["every"] == "month" and random.random() < 0.6:
                    rate["when"] = "advance"
                if item:
                    rate["item"] = item
                if "until" in self.features and random.random() < 0.4:
                    rate["until"] = "destroyed"
                if rate["when"] == "arrears" and self.newer.random() < 0.6:
                    self.units(rate)
                    if "fees_together" in self.features and self.newer.random() < 0.4:
                        rate["per"] = "customer"
                if rate.get("per") != "customer" and "trial" in self.features and random.random() < 0.25:
                    rate["trial"] = {"days": random.choice([1, 7, 14, 40])}
                made.append(rate)
        return made

    def units(self, rate):
        """Other units for a fee."""
        newer = self.newer
        if "cadences" in self.features:
            rate["every"] = newer.choice([rate["every"], "week", "quarter", "month"])
            if rate["every"] not in ("hour", "day"):
                rate["anchor"] = newer.choice(["calendar", "anniversary", "2026-01-31", "2026-09-30", "2025-11-05"])
        if "whole_units" in self.features and newer.random() < 0.35:
            rate["proration"] = "whole"

    def base_fees(self):
        newer, made = self.newer, []
        if "base_fee" not in self.features or newer.random() < 0.4:
            return made
        for item in newer.choice([[None], ["account"], [None, "account"]]):
            for match in newer.choice([[{}], [{}, "named"], ["named"]]):
                if match == "named":
                    match = {"customer": newer.choice(self.values["customer"])}
                rate = self.rated(match, kind="base_fee", price=newer.choice(PRICES), every=newer.choice(["day", "month"]))
                self.units(rate)
                if match and rate.get("anchor") != "anniversary" and newer.random() < 0.5:
                    rate["owed"] = "always"
                if item:
                    rate["item"] = item
                made.append(rate)
        return made

    def usage(self, resource):
        made = []
        for match in self.matches(resource.get("group_by", ())):
            rate = self.rated(match, resource=resource["resource"], **self.tariff())
            if "free" in self.features and self.random.random() < 0.3:
                rate["free"] = self.random.choice(["0.5", "10", "100", "2.000000001"])
            if "per_customer" in self.features and self.random.random() < 0.3:
                rate["per"] = "customer"
            if "trial" in self.features and self.random.random() < 0.25:
                quantity = resource["meter"] in ("sum", "count", "time_integral") and self.random.random() < 0.6
                rate["trial"] = {"quantity": self.random.choice(["0.5", "20", "150.25"])} if quantity else \
                    {"days": self.random.choice([1, 7, 14, 40])}
            made.append(rate)
        return made

    def tariff(self):
        random, kinds = self.random, ["per_unit", "per_unit"]
        kinds += ["graduated", "volume"] if "tiers" in self.features else []
        kinds += ["package"] if "package" in self.features else []
        kind = random.choice(kinds)
        if kind == "per_unit":
            return {"kind": kind, "price": self.price()}
        if kind == "package":
            return {"kind": kind, "size": random.choice(["10", "0.5", "7", "1000"]), "price": self.price()}
        bounds = sorted(random.sample([1, 5, 10, 50, 100, 500, 1000, 10000], random.randint(0, 3)))
        tiers = []
        for bound in [*bounds, None]:
            tier = {"price": self.price()}
            if bound is not None:
                tier["up_to"] = str(bound)
            if random.random() < 0.4:
                tier["flat"] = random.choice(["1.00", "0.005", "2.5"])
            tiers.append(tier)
        return {"kind": kind, "tiers": tiers}

    def customers(self):
        """Matches that may name the customer alone."""
        named = self.random.sample(self.values["customer"], min(len(self.values["customer"]), self.random.randint(0, 2)))
        return ([{}] if self.random.random() < 0.7 else []) + [{"customer": one} for one in named]

    def subjects(self, resources):
        whole = self.random.sample(["all", "recurring", "usage"], self.random.randint(1, 2))
        made = [{"of": one} for one in whole]
        if self.random.random() < 0.4:
            made.append({"resource": self.random.choice(resources)["resource"]})
        return made

    def percentage(self, resources):
        return [self.rated(match, kind="percentage", percent=self.random.choice(["2.5", "10", "33.333", "0.1"]), **of)
                for of in self.subjects(resources) for match in self.customers()]

    def minimum(self, resources):
        made = [self.rated(match, kind="minimum", price=self.random.choice(["5.00", "20", "100.01"]), **of)
                for of in self.subjects(resources) for match in self.customers()]
        for rate in made:
            if "proration" in self.features and self.random.random() < 0.4:
                rate["proration"] = "none"
        return made

    def maximum(self, resources):
        random, made = self.random, []
        for per in random.sample(["line", "instance", "customer"], random.randint(1, 3)):
            for of in self.subjects(resources):
                for match in self.customers() if per == "customer" else self.matches():
                    price = random.choice(["3.00", "0.5", "12.345", "40"])
                    rate = self.rated(match, kind="maximum", per=per, price=price, **of)
                    if random.random() < 0.3:
                        rate["proration"] = "none"
                    made.append(rate)
        return made

    def discount(self, resources):
        random, made = self.random, []
        for item in random.sample([None, "welcome", "partner"], random.randint(1, 3)):
            (of, *_) = random.sample(self.subjects(resources), 1)
            for match in self.customers():
                rate = self.rated(match, kind="discount", **of)
                rate.update(random.choice([{"percent": random.choice(["10", "33.333", "100", "0.7"])},
                                           {"amount": random.choice(["1.00", "0.005", "7.5"])}]))
                for name, values in (("item", [item]), ("order", [None, 1, 2]), ("months", [None, None, 1, 2]),
                                     ("invoices", [None, None, 1, 2]), ("minimum_spend", [None, None, "5", "20.01"]),
                                     ("until", [None, None, None, "2026-10-20T10:00:00Z"])):
                    value = random.choice(values)
                    if value is not None:
                        rate[name] = value
                if "code" in self.features and random.random() < 0.4:
                    rate["code"] = random.choice(CODES)
                made.append(rate)
        return made
