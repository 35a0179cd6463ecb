"""Stored events (docs/format.md) read without the program: envelope and the payloads that proofs of invoices hold.

What is read has the shape that `GET /v1/events` shows, price books that of `GET /v1/price-books`. A payload, or a version of
one, that is not known here is a fault.
"""

import datetime
import uuid

BYTES_OF = {251: 2, 252: 4, 253: 8, 254: 16}


class Malformed(ValueError):
    """Bytes that are no event."""


class Reader:
    """Bytes in the encoding of bincode 2, standard configuration."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed("the bytes end too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def unsigned(self):
        first = self.byte()
        if first <= 250:
            return first
        if first not in BYTES_OF:
            raise Malformed(f"{first} begins no number")
        return int.from_bytes(self.take(BYTES_OF[first]), "little")

    def signed(self):
        zigzag = self.unsigned()
        return zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2

    def flag(self):
        return {0: False, 1: True}[self.byte()]

    def text(self):
        return self.take(self.unsigned()).decode()

    def option(self, read):
        return read(self) if self.flag() else None

    def many(self, read):
        return [read(self) for _ in range(self.unsigned())]


def decimal(value, digits):
    """A whole number of 10^-digits as a text."""
    sign, value = "-" if value < 0 else "", abs(value)
    if not digits:
        return sign + str(value)
    whole, part = divmod(value, 10**digits)
    return f"{sign}{whole}.{part:0{digits}}"


def billionths(r):
    digits = r.byte()
    if digits > 9:
        raise Malformed("a number with more than nine digits after the point")
    return decimal(r.signed(), digits)


def instant(r):
    micros = int.from_bytes(r.take(8), "little", signed=True)
    seconds, part = divmod(micros, 10**6)
    shown = (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{shown.rjust(19, '0')}{f'.{part:06}' if part else ''}Z"


def day(r):
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=r.signed())).isoformat()


def amount(r):
    minor = r.signed()
    return decimal(minor, r.byte())


def exact(r):
    whole, attos = r.signed(), r.unsigned()
    return decimal(whole * 10**18 + attos, 18)


def named(prefix):
    return lambda r: f"{prefix}-{r.unsigned()}"


def one_of(*words):
    def read(r):
        number = r.unsigned()
        if number >= len(words):
            raise Malformed(f"variant {number} of {len(words)}")
        return words[number]
    return read


def either(*variants):
    """An enumeration whose variants hold something: (name, how it is read), or a word."""
    def read(r):
        number = r.unsigned()
        if number >= len(variants):
            raise Malformed(f"variant {number} of {len(variants)}")
        variant = variants[number]
        return variant if isinstance(variant, str) else {variant[0]: variant[1](r)}
    return read


def record(**members):
    return lambda r: {name: read(r) for name, read in members.items()}


def optional(read):
    return lambda r: r.option(read)


def listed(read):
    return lambda r: r.many(read)


def fixed(count):
    return lambda r: r.take(count).hex()


text, unsigned, flag, byte = Reader.text, Reader.unsigned, Reader.flag, Reader.byte
party, instance, run, project = named("PARTY"), named("SOFTINST"), named("RUN"), named("PROJ")
credit, charge, override = named("CREDIT"), named("CHARGE"), named("OVERRIDE")
currency, country = (lambda r: r.take(3).decode()), (lambda r: r.take(2).decode())
period = record(start=instant, stop=instant)
pairs = listed(lambda r: [r.text(), r.text()])
sealed = record(key=fixed(16), digest=fixed(16), nonce=fixed(24), ciphertext=listed(byte))
state = one_of("started", "stopped", "destroyed")
instance_type = one_of("production", "testing")
category = one_of("O", "S", "Z", "E", "AE", "K", "G")
tax = record(category=category, rate=billionths)
exemption = record(reason=text, code=optional(text))
line_ref = record(invoice=text, line=unsigned)
share = record(instance=instance, period=period)


def usage_id(r):
    if r.unsigned() == 0:
        return str(uuid.UUID(bytes=r.take(16)))
    return r.text()


usage = record(
    id=usage_id, subject=text, resource=text, quantity=billionths, period=period, start_found=flag,
    attribution=either("computer", ("instance", instance), ("shares", listed(share))), dimensions=pairs,
    node_sequence=optional(unsigned))
bound = either(("day", day), ("instant", instant))

# Price books.
of = either("all", "recurring", "usage", ("resource", text))
per = one_of("instance", "customer")
proration = one_of("allocated", "none")
tier = record(up_to=optional(billionths), price=billionths, flat=billionths)
anchor = either("calendar", "anniversary", ("day", day))
terms = record(per=per, anchor=anchor, proration=one_of("time", "whole"))
every = one_of("hour", "day", "month", "year", "week", "quarter")
matching = record(
    software_release=optional(text), software_type=optional(text), computer=optional(text),
    instance_type=optional(instance_type), customer=optional(party), region=optional(text), state=optional(state),
    dimensions=pairs)
tariff = either(
    ("per_unit", record(price=billionths)), ("graduated", record(tiers=listed(tier))), ("volume", record(tiers=listed(tier))),
    ("package", record(size=billionths, price=billionths)))
model = either(
    ("recurring", record(item=text, price=billionths, every=every, when=one_of("arrears", "advance"),
                         until=one_of("destroy_requested", "destroyed"), terms=terms)),
    ("usage", record(resource=text, per=per, free=billionths, tariff=tariff)),
    ("percentage", record(percent=billionths, of=of)),
    ("minimum", record(price=billionths, of=of, proration=proration)),
    ("base_fee", record(item=text, price=billionths, every=every, terms=terms, owed=one_of("allocated", "always"))),
    ("discount", record(
        item=text, reduction=either(("percent", billionths), ("amount", billionths)), of=of, order=unsigned,
        code=optional(text),
        limits=record(months=optional(unsigned), invoices=optional(unsigned), until=optional(instant),
                      minimum_spend=optional(billionths)))),
    ("maximum", record(price=billionths, of=of, per=one_of("line", "instance", "customer"), proration=proration)))
rate = record(model=model, trial=optional(either(("days", unsigned), ("quantity", billionths))), match=matching)
resource = record(
    resource=text, kind=one_of("counter", "gauge"),
    meter=either("sum", "time_integral", "count", "min", "max", "average", "latest",
                 ("unique_count", record(dimension=text)), ("percentile", record(percent=byte, sample_minutes=unsigned))),
    unit=text, conversion=record(multiply_by=unsigned, divide_by=unsigned), group_by=listed(text), most=optional(billionths),
    carry_over=flag)
price_book = record(
    name=text, currency=currency, valid_from=instant, rounding=one_of("half_up", "half_even"),
    on_change=one_of("restart", "continue"),
    terms=record(tax=one_of("exclusive", "inclusive"), on_tax_change=one_of("last_instant", "cut"),
                 zero_invoices=one_of("issue", "skip"), threshold=optional(billionths)),
    resources=listed(resource), rates=listed(rate))

# Documents.
line = record(
    n=unsigned,
    kind=either("recurring", ("usage", text), "advance", "percentage", "minimum", "adjustment", ("one_off", charge), "discount",
                "maximum", ("correction", charge)),
    instance=optional(instance), dimensions=pairs, description=text, period=period, quantity=billionths, unit=text,
    unit_price=optional(billionths),
    steps=listed(record(quantity=billionths, price=billionths, flat=billionths, up_to=optional(billionths))), amount=amount,
    residue=exact, price_book=optional(record(name=text, version=unsigned)), rate=unsigned, price_override=optional(override),
    reduces=optional(either("all", ("fee", text), ("resource", text))), tax=tax,
    events=record(count=unsigned, first_sequence=unsigned, last_sequence=unsigned, digest=fixed(32)), cites=optional(line_ref))
invoice_party = record(party=party, name=sealed, details=optional(sealed), country=optional(country), vat_id=flag)
invoice = record(
    id=text, document=one_of("invoice", "credit_note"), run=run,
    cites=optional(record(invoice=text, reason=text, all=flag)), seller=invoice_party, buyer=invoice_party, currency=currency,
    period=period, issued_at=instant, due_at=instant, lines=listed(line), price_tax=one_of("exclusive", "inclusive"),
    net=amount, tax=listed(record(category=category, rate=billionths, base=amount, amount=amount, exemption=optional(exemption))),
    rounding=amount, total=amount, prepaid=listed(record(credit=credit, amount=amount)), due=amount)

PAYLOADS = {
    (1, 1): ("LedgerCreated", record(ledger=fixed(16), format=unsigned, mode=one_of("demo", "proxy", "serve"),
                                     key_ring=fixed(16), at=instant)),
    (10, 1): ("PartyRegistered", record(party=party, name=sealed, time_zone=text, at=instant)),
    (11, 1): ("PartyDescribed", record(party=party, details=optional(sealed), country=optional(country), vat_id=flag,
                                       series=optional(text), terms_days=optional(unsigned), at=instant)),
    (12, 1): ("PartyTimeZoneSet", record(party=party, time_zone=text, **{"from": instant}, at=instant)),
    (13, 1): ("TaxRateSet", record(seller=party, rate=billionths, valid_from=instant, at=instant)),
    (14, 1): ("TaxTreatmentSet", record(customer=party, category=category, exemption=optional(exemption), valid_from=instant,
                                        at=instant)),
    (24, 1): ("ComputerDescribed", record(computer=text, title=optional(text), attributes=pairs, at=instant)),
    (40, 2): ("InstanceRequested", record(
        instance=instance, requester=either(("party", party), ("instance", instance)), owner=party, root=instance,
        reference=text, release=text, software_type=text, instance_type=instance_type, parameters=sealed, filter=pairs,
        state=state, shared=flag, at=instant)),
    (41, 2): ("InstanceChanged", record(
        instance=instance, release=optional(text), software_type=optional(text), instance_type=optional(instance_type),
        parameters=optional(sealed), state=optional(state), wish=optional(state), filter=optional(pairs),
        requester=optional(instance), at=instant)),
    (42, 2): ("InstanceAllocated", record(instance=instance, computer=text, partition=text, host=optional(instance), at=instant)),
    (43, 1): ("InstanceEnded", record(instance=instance, at=instant)),
    (60, 1): ("UsageRecorded", usage),
    (61, 1): ("UsageCorrected", record(replaces=unsigned, usage=usage)),
    (63, 1): ("SuspendedUsageResolved", record(suspended=unsigned, replaces=optional(unsigned), usage=usage)),
    (65, 1): ("UsageVoided", record(voided=unsigned, voids=usage_id, id=optional(usage_id), reason=text)),
    (80, 5): ("PriceBookPublished", record(version=unsigned, book=price_book)),
    (90, 3): ("InvoiceRunOpened", record(
        run=run, seller=party, period=record(start=bound, stop=bound), cut_off=unsigned, price_book=text, versions=unsigned,
        payers=listed(party), reason=one_of("period", "threshold"), grace_until=optional(instant), finalise=flag, at=instant)),
    (91, 3): ("InvoiceLinesRecorded", record(invoice=text, part=unsigned, lines=listed(line))),
    (92, 3): ("InvoiceFinalised", record(invoice=invoice, parts=unsigned, lines_digest=fixed(32))),
    (93, 1): ("InvoiceRunFinalised", record(run=run, invoices=unsigned, at=instant)),
    (94, 1): ("InvoiceRunRefreshed", record(run=run, cut_off=unsigned, versions=unsigned, at=instant)),
    (95, 1): ("InvoiceRunWithdrawn", record(run=run, at=instant)),
    (96, 2): ("CreditGranted", record(
        credit=credit, seller=party, customer=party, currency=currency, amount=amount, description=text,
        kind=one_of("paid", "promotional"), priority=byte, expires_at=optional(instant), at=instant)),
    (97, 1): ("CreditWithdrawn", record(credit=credit, amount=amount, reason=text, at=instant)),
    (98, 1): ("ChargeRecorded", record(charge=charge, seller=party, customer=party, currency=currency, amount=amount,
                                       description=text, cites=optional(line_ref), at=instant)),
    (102, 1): ("DiscountCodeRedeemed", record(customer=party, code=text, at=instant)),
    (103, 1): ("ProductTaxSet", record(
        seller=party, software_release=optional(text), resource=optional(text), category=category, rate=optional(billionths),
        exemption=optional(exemption), valid_from=instant, at=instant)),
    (104, 1): ("PriceOverrideSet", record(
        override=override, price_book=text, customer=party, valid_from=instant, valid_until=optional(instant), rate=rate,
        at=instant)),
    (105, 1): ("PriceOverrideEnded", record(override=override, price_book=text, valid_until=instant, at=instant)),
    (106, 1): ("CreditExpired", record(credit=credit, amount=amount, at=instant)),
    (110, 1): ("LogKeySet", record(public=fixed(32), at=instant)),
}

META = record(
    project=project, actor=record(kind=one_of("system", "person", "computer", "instance", "operator"), id=text,
                                  credential=optional(text)),
    command=fixed(16), named_by_sender=flag, digest=fixed(16), causation=optional(unsigned), correlation=optional(text),
    rules=unsigned)
STREAMS = [lambda r: None, party, text, instance, text, text, run, text, text, fixed(16), project]


def envelope(data):
    """What stands before a payload, and the reader that has read it."""
    r = Reader(data)
    if r.byte() != 1:
        raise Malformed("the envelope is of another version")
    meta = META(r)
    kind = r.byte()
    if kind >= len(STREAMS):
        raise Malformed("the stream is of an unknown kind")
    STREAMS[kind](r)
    return meta, r.unsigned(), r.unsigned(), instant(r), r.unsigned(), r.byte(), r


def number_of(data):
    """Number and version of the payload of an event, and its sequence."""
    _, sequence, _, _, number, version, _ = envelope(data)
    return (number, version), sequence


def event(sequence, data):
    """The event of stored bytes that stand at a sequence."""
    meta, told, _, recorded_at, number, version, r = envelope(data)
    if told != sequence:
        raise Malformed(f"event {sequence} says that it is event {told}")
    if (number, version) not in PAYLOADS:
        raise Malformed(f"event {sequence} is of number {number} version {version}, which is not known here")
    name, read = PAYLOADS[number, version]
    found = read(r)
    if r.at != len(data):
        raise Malformed(f"event {sequence} has {len(data) - r.at} bytes too many")
    return {"sequence": sequence, "type": name, "recorded_at": recorded_at, "rules": meta["rules"], "project": meta["project"],
            "data": found}


def without_none(members):
    return {name: value for name, value in members.items() if value is not None}


def shown_rate(stored):
    """A rate as price books are served."""
    (kind, found), = stored["model"].items()
    found = dict(found)
    terms_of = found.pop("terms", None)
    if terms_of:
        day_of = terms_of["anchor"]
        found |= {"per": terms_of["per"], "proration": terms_of["proration"],
                  "anchor": day_of["day"] if isinstance(day_of, dict) else day_of}
    if kind == "usage":
        (kind, more), = found.pop("tariff").items()
        found |= more
        if not any(digit in found["free"] for digit in "123456789"):
            del found["free"]
    if kind == "discount":
        found |= found.pop("reduction") | found.pop("limits")
    subject = found.get("of")
    if isinstance(subject, dict):
        del found["of"]
        found |= subject
    elif subject == "all":
        del found["of"]
    # As it is served: what is usual is left out.
    if kind == "base_fee" or kind != "maximum" and found.get("per") == "instance":
        found.pop("per", None)
    if found.get("item") == "":
        del found["item"]
    members = without_none(stored["match"])
    if members.pop("dimensions", None):
        members["dimensions"] = dict(stored["match"]["dimensions"])
    if members:
        found["match"] = members
    if stored["trial"]:
        found["trial"] = stored["trial"]
    return without_none({"kind": kind, **found})


def shown_book(stored, version, sequence):
    """A version of a price book as it is served."""
    resources = []
    for declared in stored["resources"]:
        declared = dict(declared)
        if isinstance(declared["meter"], dict):
            (meter, more), = declared["meter"].items()
            declared |= {"meter": meter, **more}
        resources.append(without_none(declared | declared.pop("conversion")))
    return without_none({
        **stored, **stored["terms"], "resources": resources, "rates": [shown_rate(one) for one in stored["rates"]],
        "version": version, "sequence": sequence})


def shown_line(stored):
    """A line as documents are served."""
    line_of = {**stored, "dimensions": dict(stored["dimensions"]), "rate": stored["rate"] or None}
    if isinstance(stored["kind"], dict):
        (kind, about), = stored["kind"].items()
        line_of |= {"kind": kind, "resource" if kind == "usage" else "charge": about}
    return without_none(line_of)
