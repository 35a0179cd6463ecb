"""A log made from a scenario without a server: enough to see that all that a scenario may hold can be rated.

Nothing is proved by it: the shapes of the events are those that facts.py reads.
"""

import copy

from play import filled
from zones import instant, text


class Log:
    """Events and price books as a server would show them; runs are opened and final at once."""

    def __init__(self, scenario):
        self.events, self.books, self.runs, self.known = [], {}, [], {"c0": {"id": "PARTY-1"}}
        self.lives, self.usage, self.overrides = {}, {}, {}
        self.add(scenario.steps[0]["at"], "PartyRegistered", party="PARTY-1", time_zone="UTC")
        for step in scenario.steps:
            if "give_back" not in step:
                self.step(step["at"], step["path"].split("?")[0].split("/")[2:], step["method"], copy.deepcopy(step))

    def add(self, at, name, **data):
        self.events.append({"sequence": len(self.events) + 1, "type": name, "data": {**data, "at": text(at)}})
        return len(self.events)

    def step(self, at, path, method, step):
        body, keep = filled(step["body"], self.known), step.get("keep")
        if path == ["parties"]:
            self.known[keep] = {"id": f"PARTY-{int(keep[1:]) + 1}"}
            self.add(at, "PartyRegistered", party=self.known[keep]["id"], time_zone=body["time_zone"])
        elif path[0] == "parties" and path[-1] == "tax-treatments":
            self.add(at, "TaxTreatmentSet", customer=filled(path[1], self.known), **body)
        elif path[0] == "parties":
            if "time_zone" in body:
                self.add(at, "PartyTimeZoneSet", party=filled(path[1], self.known), time_zone=body["time_zone"])
        elif path[0] == "computers" and "attributes" in body:
            self.add(at, "ComputerDescribed", computer=path[1], attributes=list(body["attributes"].items()))
        elif path[0] == "instances":
            self.instance(at, path, method, body, keep)
        elif path[0] == "price-books" and path[-1] == "overrides":
            name = f"OVERRIDE-{len(self.overrides) + 1}"
            self.known[keep], self.overrides[name] = {"id": name}, body["rate"]
            self.add(at, "PriceOverrideSet", override=name, price_book=path[1], **body)
        elif path[0] == "price-books" and path[-1] == "end":
            self.add(at, "PriceOverrideEnded", override=filled(path[3], self.known), price_book=path[1], **body)
        elif path == ["price-books"]:
            versions = self.books.setdefault(body["name"], [])
            sequence = self.add(at, "PriceBookPublished")
            versions.append({**body, "version": len(versions) + 1, "sequence": sequence})
        elif path == ["usage-events"]:
            # As the server does: what a body voids it voids after all that it reports.
            for event in sorted(body, key=lambda event: event["type"] != "org.slapos.usage"):
                if event["type"] == "org.slapos.usage":
                    self.report(at, event)
                else:
                    self.void(at, event["data"])
        elif path == ["tax-rates"]:
            self.add(at, "TaxRateSet", **body)
        elif path == ["product-taxes"]:
            self.add(at, "ProductTaxSet", seller="PARTY-1", **body)
        elif path == ["credits"]:
            self.known[keep] = {"id": f"CREDIT-{len(self.events)}"}
            self.add(at, "CreditGranted", credit=self.known[keep]["id"], **body)
        elif path[0] == "credits":
            self.add(at, "CreditWithdrawn", credit=filled(path[1], self.known), amount="0")
        elif path == ["charges"]:
            self.add(at, "ChargeRecorded", charge=f"CHARGE-{len(self.events)}", **body)
        elif path == ["discount-codes", "redeem"]:
            rates = [rate for versions in self.books.values() for book in versions for rate in book["rates"]]
            if any(rate.get("code") == body["code"] for rate in rates):
                self.add(at, "DiscountCodeRedeemed", **body)
        elif path == ["invoice-runs"]:
            self.known[keep] = {"id": f"RUN-{len(self.runs) + 1}"}
            self.runs.append({"id": self.known[keep]["id"], "state": "final", "seller": "PARTY-1", "price_book": "standard",
                              "period": body["period"], "payers": body.get("payers", []), "cut_off": len(self.events), "opened_at": text(at),
                              "sequence": self.add(at, "InvoiceRunOpened")})

    def instance(self, at, path, method, body, keep):
        if method == "POST" and len(path) == 1:
            name = f"SOFTINST-{len(self.lives) + 1}"
            self.known[keep] = {"id": name, "partition": name}
            self.lives[name] = [at, 10**18]
            self.add(at, "InstanceRequested", instance=name, owner=body.get("owner", "PARTY-1"),
                     release=body["software_release"], software_type=body["software_type"], instance_type=body["instance_type"],
                     state="started")
            self.add(at, "InstanceAllocated", instance=name, computer=body["sla"]["computer_guid"])
            return
        name = filled(path[1], self.known)
        if method == "PATCH":
            self.add(at, "InstanceChanged", instance=name, release=body.get("software_release"),
                     software_type=body.get("software_type"), instance_type=body.get("instance_type"),
                     state=body.get("state"))
        elif method == "DELETE":
            self.add(at, "InstanceChanged", instance=name, state="destroyed")
        elif path[-1] == "reports":
            self.lives[name][1] = at
            self.add(at, "InstanceEnded", instance=name)

    def report(self, at, event):
        data, name = event["data"], event["subject"]
        start, stop = instant(data["start"]), instant(data["stop"])
        low, high = max(start, self.lives[name][0]), min(stop, self.lives[name][1])
        replaces = data.get("replaces")
        if stop > at or low >= high or event["id"] in self.usage or replaces and replaces not in self.usage:
            return
        attribution = {"instance": name}
        if (low, high) != (start, stop):
            attribution = {"shares": [{"instance": name, "period": {"start": text(low), "stop": text(high)}}]}
        usage = {"id": event["id"], "resource": data["resource"], "quantity": data["quantity"],
                 "period": {"start": data["start"], "stop": data["stop"]}, "attribution": attribution,
                 "dimensions": list(data.get("dimensions", {}).items())}
        if replaces and self.usage[replaces] is not None:
            self.usage[event["id"]] = self.add(at, "UsageCorrected", replaces=self.usage[replaces], usage=usage)
            self.usage[replaces] = self.usage[event["id"]]
        else:
            self.usage[event["id"]] = self.add(at, "UsageRecorded", **usage)

    def void(self, at, data):
        held = self.usage.get(data["voids"])
        if held is None:
            return  # it is not known, or void already
        self.add(at, "UsageVoided", voided=held, voids=data["voids"], reason=data["reason"])
        self.usage.update({name: None for name, sequence in self.usage.items() if sequence == held})
