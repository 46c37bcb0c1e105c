"""What an API key looks like: `sk-spw-<id>-<secret>`, with a checksum at its end. Pure.

The checksum catches typing errors, and lets scanners of secrets know a key for one; it protects nothing.
"""

import base64
import hashlib
import re
import zlib

PREFIX = "sk-spw-"
ID_PREFIX = "key_"
ID_BYTES, SECRET_BYTES = 10, 24
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH, _CHECKSUM_LENGTH = 33, 6
"""So many digits hold any secret and any checksum."""
_PATTERN = re.compile(rf"{PREFIX}([a-z2-7]{{16}})-[0-9A-Za-z]{{{_SECRET_LENGTH}}}([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})")


def make_id(random: bytes) -> str:
    """The id of a key, out of `ID_BYTES` random bytes."""
    return ID_PREFIX + base64.b32encode(random).decode().lower()


def make_key(key_id: str, random: bytes) -> str:
    """The key with this id, out of `SECRET_BYTES` random bytes."""
    secret = _to_digits(int.from_bytes(random), _SECRET_LENGTH)
    body = f"{PREFIX}{key_id.removeprefix(ID_PREFIX)}-{secret}"
    return body + _checksum(body)


def id_in(key: str) -> str | None:
    """The id that a key names; None where it is no key of this form, or was mistyped."""
    match = _PATTERN.fullmatch(key)
    if match is None or match[2] != _checksum(key[:-_CHECKSUM_LENGTH]):
        return None
    return ID_PREFIX + match[1]


def digest_of(key: str) -> str:
    """What is stored and compared instead of a key."""
    # Keys are random: a hash that is slow on purpose would slow down every request and protect nothing more.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _checksum(text: str) -> str:
    return _to_digits(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _to_digits(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
