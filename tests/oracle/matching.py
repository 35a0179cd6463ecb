"""Which rate an instance gets (docs/price-books.md, "Rates"): of those that fit, the one that names most members."""


def members(rate):
    """What a rate's `match` names, each dimension a member of its own."""
    found = {}
    for key, value in (rate.get("match") or {}).items():
        if value is None:
            continue
        if key == "dimensions":
            found.update({("dimension", name): wanted for name, wanted in dict(value).items()})
        else:
            found[key] = value
    return found


def best(rates, attributes):
    """The number and the rate that fits best among numbered rates, or nothing; `attributes` maps members to values."""
    fitting = []
    for index, rate in rates:
        wanted = members(rate)
        if all(attributes.get(key) == value for key, value in wanted.items()):
            fitting.append((len(wanted), index, rate))
    if not fitting:
        return None
    most = max(count for count, _, _ in fitting)
    winners = [(index, rate) for count, index, rate in fitting if count == most]
    if len(winners) > 1:
        raise ValueError(f"rates {[index for index, _ in winners]} tie for {attributes}; the book should have been refused")
    return winners[0]
