"""Keys that stand in the settings, each with the name its operator gave it: `name=key`, or the key alone."""

import re
from dataclasses import dataclass

from pydantic import SecretStr

# Base64 ends in one or two equals signs: what has nothing but these behind the first is a key without a name.
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63})=(.*[^=].*)")


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key and its name, which is empty where it has none."""

    key: SecretStr
    name: str = ""


def split_key(text: str) -> tuple[str, str]:
    """The name and the key."""
    match = _NAMED.fullmatch(text.strip())
    return (match[1], match[2].strip()) if match else ("", text.strip())


def read_keys(value: object) -> object:
    """The keys of a setting; anything but text is left as it is."""
    if not isinstance(value, str):
        return value
    pairs = (split_key(part) for part in value.split(",") if part.strip())
    return tuple(NamedKey(SecretStr(key), name) for name, key in pairs)
