"""A ClientHello made by hand, for what no library of today would offer any more; and how a server takes it."""

import os
import socket
import struct

SSL3, TLS1, TLS11, TLS12 = 0x0300, 0x0301, 0x0302, 0x0303
NAMES = {SSL3: "SSL 3.0", TLS1: "TLS 1.0", TLS11: "TLS 1.1", TLS12: "TLS 1.2"}

# With forward secrecy and authenticated encryption (RFC 9325, 4.2), and those of TLS 1.3.
STRONG = {0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9, 0xCCAA, 0x009E, 0x009F, 0x1301, 0x1302, 0x1303, 0x1304, 0x1305}
# The blocks in which IANA has given numbers to suites; 0x00FF and 0x5600 are signals, not suites.
SUITES = [*range(0x0000, 0x00FF), *range(0xC001, 0xC0FF), *range(0xCC13, 0xCCAF), *range(0x1301, 0x1306), *range(0xFEFE, 0xFF00)]
WEAK = [suite for suite in SUITES if suite not in STRONG]


def extension(number, content):
    return struct.pack(">HH", number, len(content)) + content


def listed(width, content):
    return len(content).to_bytes(width, "big") + content


def client_hello(version, suites, name):
    groups = struct.pack(">6H", 29, 23, 24, 25, 30, 256)
    signatures = struct.pack(">14H", 0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201, 0x0202, 0x0402)
    extensions = extension(0, listed(2, b"\x00" + listed(2, name.encode())))
    extensions += extension(10, listed(2, groups)) + extension(11, b"\x01\x00")
    extensions += extension(13, listed(2, signatures)) + extension(23, b"") + extension(0xFF01, b"\x00")
    body = struct.pack(">H", version) + os.urandom(32) + b"\x00"
    body += listed(2, b"".join(struct.pack(">H", suite) for suite in suites)) + b"\x01\x00"
    if version > SSL3:
        body += listed(2, extensions)
    message = b"\x01" + listed(3, body)
    return b"\x16" + struct.pack(">H", min(version, TLS1)) + listed(2, message)


def taken(address, version, suites, name):
    """(version, suite) that the server chose, or None when it refused."""
    with socket.create_connection(address, timeout=5) as stream:
        stream.sendall(client_hello(version, suites, name))
        answer = b""
        try:
            while len(answer) < 5 + 4 + 2 + 32 + 1 or len(answer) < 5 + 4 + 35 + answer[43] + 2:
                part = stream.recv(4096)
                if not part:
                    return None
                answer += part
                if answer[0] != 0x16:
                    return None
        except ConnectionResetError:
            return None
    (chosen,) = struct.unpack(">H", answer[9:11])
    session = answer[43]
    (suite,) = struct.unpack(">H", answer[44 + session:46 + session])
    return chosen, suite
