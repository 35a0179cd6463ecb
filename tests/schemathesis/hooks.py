"""What schemathesis has to be told of media types that it does not know."""

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/toml")
def as_text(ctx, value):
    """A text as it is."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else str(value).encode()
