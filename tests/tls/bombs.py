"""Small documents that would become large: entities in XML, and nesting in XML and JSON, in each place that reads them.

Each is sent with the token of an admin, so that it reaches the reader, and must be refused in time: by a status (400, 413
or 422), or, where a list of what became of each event is the answer, in that list.
"""

import json
import socket
import ssl
import urllib.parse

PATIENCE_SECONDS = 30
REJECTED = "200, rejected"
REFUSED = {"400", "413", "422", REJECTED}
DEEP = 100_000

LAUGHS = "<!DOCTYPE z [<!ENTITY a0 \"ha\">" + "".join(
    f"<!ENTITY a{n} \"{f'&a{n - 1};' * 10}\">" for n in range(1, 10)) + "]>"
FILE = '<!DOCTYPE z [<!ENTITY a9 SYSTEM "file:///etc/passwd">]>'
REMOTE = '<!DOCTYPE z SYSTEM "http://127.0.0.1:9/z.dtd" [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]>'


def in_xml(before, after):
    """The bombs that XML knows, in a document whose innermost text is between `before` and `after`."""
    yield "billion laughs", f"{LAUGHS}{before}&a9;{after}"
    yield "a file as an entity", f"{FILE}{before}&a9;{after}"
    yield "a document type from elsewhere", f"{REMOTE}{before}{after}"
    yield "deep nesting", f"{before}{'<z>' * DEEP}{'</z>' * DEEP}{after}"


def in_json():
    yield "deep lists", "[" * DEEP + "]" * DEEP
    yield "deep objects", '{"a":' * DEEP + "1" + "}" * DEEP


def form(**fields):
    return "application/x-www-form-urlencoded", urllib.parse.urlencode(fields).encode()


def bombs(computer):
    """(name, path, content type, body)."""
    for name, text in in_xml("<journal><transaction type='x'><title>", "</title></transaction></journal>"):
        yield f"{name} in TioXML", "/useComputer", *form(computer_id=computer, use_string=text)
        yield (f"{name} in a usage report", f"/usage_report_module/?computer={computer}", "application/xml", text.encode())
    for name, text in in_xml("<marshal><dictionary id='i2'><string>reference</string><string>", "</string></dictionary></marshal>"):
        yield f"{name} in a marshalled value", "/loadComputerConfigurationFromXML", *form(xml=text)
    lists = f"<marshal>{'<list>' * DEEP}{'</list>' * DEEP}</marshal>"
    yield "deep lists in a marshalled value", "/loadComputerConfigurationFromXML", *form(xml=lists)
    for name, text in in_xml("<party><name>", "</name></party>"):
        yield f"{name} in a document in XML", "/v1/parties", "application/xml", text.encode()
    for name, text in in_json():
        yield f"{name} in a document in JSON", "/v1/parties", "application/json", text.encode()
        inside = json.dumps({"title": "t", "software_release_uri": "u", "software_type": "s", "parameters": "@"})
        yield (f"{name} in JSON-RPC", "/slapos.post.v0.software_instance", "application/json",
               inside.replace('"@"', text).encode())
        yield f"{name} in an event of usage", "/v1/usage-events", "application/cloudevents+json", text.encode()


def send(options, path, content_type, body):
    """The status of the answer, or `REJECTED`."""
    with socket.create_connection(options.address, timeout=PATIENCE_SECONDS) as stream:
        if options.tls:
            stream = ssl._create_unverified_context().wrap_socket(stream)
        head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", f"Content-Length: {len(body)}",
                f"Authorization: Bearer {options.token}", "Connection: close", "", ""]
        stream.sendall("\r\n".join(head).encode() + body)
        answer = b"".join(iter(lambda: stream.recv(4096), b""))
    if not answer.startswith(b"HTTP/1.1 "):
        raise OSError(f"the answer is {answer[:60]!r}")
    status = answer[9:12].decode()
    return REJECTED if status == "200" and b'"accepted":0' in answer and b'"rejected":1' in answer else status
