"""Ed25519 (RFC 8032) with the standard library. For tests: slow, and not safe against who measures times."""

import base64
import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def x_of(y, sign):
    """The x of a point, if there is one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (not x and sign):
        return None
    return P - x if x % 2 != sign else x


BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = x_of(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
NEUTRAL = (0, 1, 1, 0)


def add(one, other):
    """The sum of two points, each as X, Y, Z and T = XY/Z."""
    a = (one[1] - one[0]) * (other[1] - other[0])
    b = (one[1] + one[0]) * (other[1] + other[0])
    c, d = 2 * one[3] * other[3] * D, 2 * one[2] * other[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(count, point):
    found = NEUTRAL
    while count:
        if count & 1:
            found = add(found, point)
        point, count = add(point, point), count >> 1
    return found


def same(one, other):
    return not ((one[0] * other[2] - other[0] * one[2]) % P or (one[1] * other[2] - other[1] * one[2]) % P)


def packed(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def unpacked(data):
    number = int.from_bytes(data, "little")
    y = number & (1 << 255) - 1
    x = x_of(y, number >> 255) if y < P else None
    return None if x is None else (x, y, 1, x * y % P)


def number_of(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


def verifies(public, message, signature):
    """Whether a signature is one of a message."""
    if len(signature) != 64 or len(public) != 32:
        return False
    key, r, s = unpacked(public), unpacked(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= ORDER:
        return False
    return same(times(s, BASE), add(r, times(number_of(signature[:32], public, message), key)))


class SecretKey:
    """A key that signs."""

    def __init__(self, seed):
        digest = hashlib.sha512(seed).digest()
        number = int.from_bytes(digest[:32], "little")
        self.number = number & (1 << 254) - 8 | 1 << 254
        self.prefix, self.public = digest[32:], packed(times(self.number, BASE))

    @classmethod
    def of_pem(cls, text):
        """From PKCS #8 in PEM, as the program writes it (RFC 8410)."""
        data = base64.b64decode("".join(text.decode().strip().splitlines()[1:-1]))
        at = data.index(b"\x04\x22\x04\x20") + 4
        return cls(data[at:at + 32])

    def sign(self, message):
        r = number_of(self.prefix, message)
        begin = packed(times(r, BASE))
        return begin + ((r + number_of(begin, self.public, message) * self.number) % ORDER).to_bytes(32, "little")
