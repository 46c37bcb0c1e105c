"""What is shipped beside our own code: a page of licenses, and a bill of materials in CycloneDX's form.

Usage: python -m scripts.list_packages licenses            writes docs/licenses.md
       python -m scripts.list_packages sbom [LOCK] > FILE  the packages of a lock, with the hashes of their files

Both read the lock and what the installed packages say of themselves. Tests compare them with the lock.
"""

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.markers import Marker

from app import __version__

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PAGE = ROOT / "docs" / "licenses.md"
_PIN = re.compile(
    r"^([a-z0-9._-]+)==(\S+?)(?: ; (.+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)", re.MULTILINE
)
_HASH = re.compile("[0-9a-f]{64}")
_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "License :: OSI Approved :: MIT License": "MIT",
}
"""Words of packages whose metadata are older than license expressions."""

_PAGE = """\
# Licenses

What runs beside Spillway's own code (MIT, [LICENSE](../LICENSE)), as the packages say of themselves. psycopg is used as
it is, as a library (LGPL). `python -m scripts.list_packages licenses` writes this page from `requirements.lock`; a test
compares the two, and allows no license that asks more of an operator than to keep its notice.

| package | version | license |
|---|---|---|
{rows}

Pinned for other platforms, and not in the image: {elsewhere}.

`python -m scripts.list_packages sbom` prints the same as a bill of materials (CycloneDX) with the hashes of all files.
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned package. `license` is an SPDX expression, None where it is not installed on this platform."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]
    license: str | None

    @property
    def url(self) -> str:
        """Its name in the form of package URLs."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(lock: Path = LOCK) -> list[Package]:
    """Everything a lock pins, in its order."""
    return [
        Package(name, version, marker or None, tuple(_HASH.findall(hashes)), _license_of(name, marker))
        for name, version, marker, hashes in _PIN.findall(lock.read_text(encoding="utf-8"))
    ]


def licenses_page(packages: list[Package]) -> str:
    """The page of licenses."""
    rows = [
        f"| {package.name} | {package.version} | {package.license} |"
        for package in packages
        if package.license is not None
    ]
    elsewhere = ", ".join(package.name for package in packages if package.license is None)
    return _PAGE.format(rows="\n".join(rows), elsewhere=elsewhere)


def bill_of_materials(lock: Path) -> dict[str, object]:
    """The packages of a lock, by CycloneDX 1.6."""
    components = [
        {
            "type": "library",
            "bom-ref": package.url,
            "name": package.name,
            "version": package.version,
            "purl": package.url,
            "hashes": [{"alg": "SHA-256", "content": value} for value in package.hashes],
        }
        | ({} if package.license is None else {"licenses": [{"expression": package.license}]})
        for package in read_lock(lock)
    ]
    # By its content: the same lock gives the same bytes, on whatever day.
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    serial = f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    product = {"type": "application", "bom-ref": "spillway", "name": "spillway", "version": __version__}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": product},
        "components": components,
    }


def _license_of(name: str, marker: str | None) -> str | None:
    if marker and not Marker(marker).evaluate():
        return None
    try:
        said = metadata(name)
    except PackageNotFoundError:
        sys.exit(f"{name} is not installed: run `make install` first.")
    words = (said.get("License-Expression"), said.get("License"), *(said.get_all("Classifier") or ()))
    found = next(word for word in words if word and (word in words[:2] or word.startswith("License ::")))
    return _SPDX.get(found, found)


def main() -> None:
    """One of the two."""
    match sys.argv[1:]:
        case ["licenses"]:
            PAGE.write_text(licenses_page(read_lock()), encoding="utf-8")
        case ["sbom", *lock] if len(lock) <= 1:
            json.dump(bill_of_materials(Path(lock[0]) if lock else LOCK), sys.stdout, indent=2)
            print()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
