"""What scenarios may use. `of_server` reads from the OpenAPI document what a binary can do; `ALL` is everything.

An older binary gets restricted scenarios; tests/run asks for ALL, so that nothing is left out without a word.
"""

ALL = frozenset("""parties owner zone_change region match_dimensions group_by units factors meters currencies every advance
item fees_together base_fee cadences whole_units carry_over overrides product_tax tax_cut retroactive on_change until proration state tiers package free per_customer percentage minimum maximum discount code trial tax prepaid one_off adjustments credit refresh voids
tax_inclusive zero_invoices expiry payers""".split())


def of_server(document):
    """The features that a server with this OpenAPI document has."""
    schemas, paths = document["components"]["schemas"], document["paths"]

    def members(name):
        return set(schemas.get(name, {}).get("properties", {}))

    found = set()

    def have(name, condition):
        if condition:
            found.add(name)

    rates = {}
    for one in schemas["Rate"].get("oneOf", []):
        kind = one["properties"]["kind"]
        for name in kind.get("enum", [kind.get("const")]):
            rates[name] = set(one["properties"])
    have("parties", "/v1/parties" in paths)
    have("zone_change", "/v1/parties/{id}" in paths)
    have("owner", "owner" in members("InstanceWanted"))
    have("region", "region" in members("Match"))
    have("match_dimensions", "dimensions" in members("Match"))
    for name, member in (("group_by", "group_by"), ("units", "reported_in"), ("factors", "multiply_by")):
        have(name, member in members("MeasuredResource"))
    have("meters", "percentile" in str(schemas.get("Meter")))
    have("currencies", True)
    new = "percentage" in rates
    have("every", new)
    have("advance", new)
    have("item", "item" in rates.get("recurring", ()))
    have("fees_together", "per" in rates.get("recurring", ()))
    have("carry_over", "carry_over" in members("MeasuredResource"))
    have("overrides", "/v1/price-books/{name}/overrides" in paths)
    have("base_fee", "base_fee" in rates)
    have("cadences", "anchor" in rates.get("recurring", ()))
    have("whole_units", "proration" in rates.get("recurring", ()))
    publish = paths["/v1/price-books"]["post"].get("parameters", [])
    have("retroactive", any(one.get("name") == "retroactive" for one in publish))
    have("on_change", "on_change" in members("PriceBook"))
    have("until", "until" in rates.get("recurring", ()))
    have("proration", "proration" in rates.get("minimum", ()))
    have("state", "state" in members("Match"))
    have("tiers", {"graduated", "volume"} <= set(rates))
    have("package", "package" in rates)
    have("free", "free" in rates.get("per_unit", ()))
    have("per_customer", "per" in rates.get("per_unit", ()))
    have("percentage", "percentage" in rates)
    have("minimum", "minimum" in rates)
    have("maximum", "maximum" in rates)
    have("discount", "discount" in rates)
    have("code", "/v1/discount-codes/redeem" in paths)
    have("trial", "trial" in rates.get("per_unit", ()))
    have("tax", "/v1/tax-rates" in paths and "/v1/parties/{id}/tax-treatments" in paths)
    have("product_tax", "/v1/product-taxes" in paths)
    have("tax_cut", "on_tax_change" in members("PriceBook"))
    have("prepaid", "/v1/credits" in paths)
    have("one_off", "/v1/charges" in paths)
    have("credit", "/v1/invoices/{id}/credit" in paths)
    have("refresh", "/v1/invoice-runs/{id}/refresh" in paths)
    have("tax_inclusive", "tax" in members("PriceBook"))
    have("zero_invoices", "zero_invoices" in members("PriceBook"))
    have("expiry", "expires_at" in members("CreditWanted"))
    have("payers", "payers" in members("RunWanted"))
    have("voids", "/v1/usage-voids" in paths)
    have("adjustments", "adjustment" in str([schemas["LineForm"], schemas.get("LineKindName")]))
    return frozenset(found)
