"""What the log says, folded from GET /v1/events up to a cut-off: parties, instances, usage, taxes, credit, charges.

A type of event that is not known here is a fault: the oracle must not pass over what could matter.
"""

import collections
import dataclasses

from exact import number, toward_zero
from meters import Part
from zones import Calendar, instant

IGNORED = {
    "LedgerCreated", "WriterStarted", "ComputerRegistered", "ComputerConfigured", "PartitionOffered", "PartitionWithdrawn",
    "AllocationScopeSet", "SoftwareSupplied", "SoftwareReported", "InstanceStateReported", "InstanceReported",
    "InstanceRenamed", "InstanceBanged", "ComputerBanged", "ConnectionPublished", "UsageSuspended",
    "SuspendedUsageDismissed", "PriceBookPublished", "PriceOverrideSet", "PriceOverrideEnded", "ComputerSilent", "ComputerHeard", "ComputerRetired", "PartyDescribed",
    "AccountsClosed", "SealedPartRecorded", "LogKeySet", "CatalogueEntryRecorded", "CatalogueEntryRemoved",
    "SoftwareSchemaSupplied", "CreditExpired", "TopUpSet", "TopUpRequested",
}
IGNORED_PREFIXES = ("Invoice",)


@dataclasses.dataclass
class Instance:
    """One instance and its attributes, each with the instants at which it got another value."""

    id: str
    owner: str
    allocated: int | None = None
    ended: int | None = None
    computer: str | None = None
    changes: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))


@dataclasses.dataclass(frozen=True)
class TaxRate:
    """What a seller charges from an instant on, in percent."""

    seller: str
    rate: object
    valid_from: int
    sequence: int


@dataclasses.dataclass(frozen=True)
class Treatment:
    """How a customer is taxed from an instant on."""

    party: str
    category: str
    valid_from: int
    sequence: int


@dataclasses.dataclass(frozen=True)
class ProductTax:
    """What a seller charges for a product from an instant on; `rate` is none where its own rate counts."""

    seller: str
    release: str | None
    resource: str | None
    category: str
    rate: object
    valid_from: int
    sequence: int


@dataclasses.dataclass(frozen=True)
class Charge:
    """A one-off charge, below zero if it is a discount."""

    id: str
    customer: str
    currency: str
    amount: object
    sequence: int
    cites: tuple | None  # document, line


@dataclasses.dataclass(frozen=True)
class Credit:
    """Prepaid credit, as it was granted."""

    id: str
    customer: str
    currency: str
    amount: object
    sequence: int
    priority: int = 50
    expires_at: int | None = None


def divided(quantity, times):
    """A quantity over several times: cumulatively, each boundary rounded toward zero to nine digits."""
    whole, passed, before, found = sum(stop - start for start, stop in times), 0, 0, []
    for start, stop in times:
        passed += stop - start
        until = toward_zero(quantity * passed / whole, 9)
        found.append(until - before)
        before = until
    return found


class Facts:
    """The fold; `cut_off` is the last sequence that counts."""

    def __init__(self, events, cut_off=None):
        self.zones = collections.defaultdict(list)
        self.instances, self.regions = {}, collections.defaultdict(list)
        self.usage, self.replaced = {}, {}  # what took whose place
        self.codes = collections.defaultdict(dict)  # when customers redeemed codes
        self.tax_rates, self.treatments, self.product_taxes, self.charges, self.credits = [], [], [], {}, {}
        for event in events:
            if cut_off is None or event["sequence"] <= cut_off:
                self._take(event)
        self.parts = self._parts()
        self.calendars = {party: Calendar(zones) for party, zones in self.zones.items()}

    def _take(self, event):
        name = event["type"]
        method = getattr(self, f"on_{name}", None)
        if method:
            method(event["sequence"], event["data"])
        elif name not in IGNORED and not name.startswith(IGNORED_PREFIXES):
            raise ValueError(f"event {event['sequence']} is of a type that the oracle does not know: {name}")

    def owned_by(self, party):
        """Instances of a party in the order of their numbers."""
        return sorted((one for one in self.instances.values() if one.owner == party and one.allocated is not None),
                      key=lambda one: int(one.id.rsplit("-", 1)[1]))

    # Parties and computers.

    def on_PartyRegistered(self, _, data):
        self.zones[data["party"]].append((instant(data["at"]), data.get("time_zone") or "UTC"))

    def on_PartyTimeZoneSet(self, _, data):
        # From when on it counts is worked out, and not taken from the event.
        self.zones[data["party"]].append((instant(data["at"]), data["time_zone"]))

    def on_ComputerDescribed(self, _, data):
        if data.get("attributes") is not None:
            self.regions[data["computer"]].append((instant(data["at"]), dict(data["attributes"]).get("region")))

    # Instances.

    def on_InstanceRequested(self, _, data):
        one = self.instances[data["instance"]] = Instance(data["instance"], data["owner"])
        self._attributes(one, data)

    def _attributes(self, one, data):
        for key, name in (("software_release", "release"), ("software_type",) * 2, ("instance_type",) * 2, ("state",) * 2):
            if data.get(name) is not None:
                one.changes[key].append((instant(data["at"]), data[name]))

    def on_InstanceChanged(self, _, data):
        self._attributes(self.instances[data["instance"]], data)

    def on_InstanceAllocated(self, _, data):
        one = self.instances[data["instance"]]
        one.allocated, one.computer = instant(data["at"]), data["computer"]

    def on_InstanceEnded(self, _, data):
        self.instances[data["instance"]].ended = instant(data["at"])

    # Usage.

    def on_UsageRecorded(self, sequence, data):
        self.usage[sequence] = data

    def on_UsageCorrected(self, sequence, data):
        self.replaced[data["replaces"]] = sequence
        self.usage[sequence] = data["usage"]

    def on_SuspendedUsageResolved(self, sequence, data):
        if data.get("replaces") is not None:
            self.replaced[data["replaces"]] = sequence
        self.usage[sequence] = data["usage"]

    def on_UsageVoided(self, sequence, data):
        # Nothing is metered in its place.
        self.replaced[data["voided"]] = sequence

    def _parts(self):
        """The parts of all usage that still counts, by instance."""
        found = collections.defaultdict(list)
        for sequence, usage in self.usage.items():
            attribution = usage["attribution"]
            if sequence in self.replaced or not isinstance(attribution, dict):
                continue  # usage of a computer itself is nobody's
            shares = attribution.get("shares") or [{"instance": attribution["instance"], "period": usage["period"]}]
            times = [(instant(share["period"]["start"]), instant(share["period"]["stop"])) for share in shares]
            for (start, stop), share, value in zip(times, shares, divided(number(usage["quantity"]), times)):
                found[share["instance"]].append(Part(
                    sequence, usage["resource"], start, stop, number(usage["quantity"]), value,
                    tuple(sorted(map(tuple, usage["dimensions"])))))
        return found

    # Taxes, credit and charges.

    def on_TaxRateSet(self, sequence, data):
        self.tax_rates.append(TaxRate(data["seller"], number(data["rate"]), instant(data["valid_from"]), sequence))

    def on_TaxTreatmentSet(self, sequence, data):
        self.treatments.append(Treatment(data["customer"], data["category"], instant(data["valid_from"]), sequence))

    def on_ProductTaxSet(self, sequence, data):
        self.product_taxes.append(ProductTax(
            data["seller"], data.get("software_release"), data.get("resource"), data["category"],
            number(data["rate"]) if data.get("rate") else None, instant(data["valid_from"]), sequence))

    def on_ChargeRecorded(self, sequence, data):
        cites = data.get("cites")
        self.charges[data["charge"]] = Charge(
            data["charge"], data["customer"], data["currency"], number(data["amount"]), sequence,
            (cites["invoice"], cites["line"]) if cites else None)

    def on_DiscountCodeRedeemed(self, _, data):
        self.codes[data["customer"]][data["code"]] = instant(data["at"])

    def on_CreditGranted(self, sequence, data):
        self.credits[data["credit"]] = Credit(
            data["credit"], data["customer"], data["currency"], number(data["amount"]), sequence, data.get("priority", 50),
            instant(data["expires_at"]) if data.get("expires_at") else None)

    def on_CreditWithdrawn(self, sequence, data):
        self.credits.pop(data["credit"], None)
