"""What the simulated service charges for one image, by its own price data, apart from the gateway's catalog. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

JSONObject = dict[str, Any]  # wire JSON
Size = tuple[int, int]

_DEFAULT = Decimal("0.0019")
_MEGAPIXEL = 1024 * 1024
_SETTINGS = frozenset({"quality", "renderingSpeed", "thinkingLevel"})


def price_image(price: Mapping[str, Any], wire: JSONObject, references: Sequence[Size], made: Size) -> Decimal:
    """US dollars for one image of `made` pixels from `references`; a default where no price was ever seen."""
    output = _output_price(price, wire, references, made)
    return output + sum(_input_prices(price, references), Decimal(0))


def _output_price(price: Mapping[str, Any], wire: JSONObject, references: Sequence[Size], made: Size) -> Decimal:
    # The most exact rule first; what is left is a price for each image.
    if "first_mp" in price:
        further = _units(price, made) - 1
        return _money(price["first_mp"]) + further * _money(price.get("extra_mp", price["first_mp"]))
    if "per_output_mp" in price:
        return _units(price, made) * _money(price["per_output_mp"])
    if "by_size" in price:
        return _by_size(price["by_size"], made)
    if "tiers" in price:
        return _by_tier(price["tiers"], wire, made)
    by_quality = price.get("quality_size") or price.get("speed") or price.get("quality")
    return _flat(price, wire, references) if by_quality is None else _by_quality(by_quality, wire, made)


def _by_quality(table: Mapping[str, Any], wire: JSONObject, made: Size) -> Decimal:
    """By the quality or speed that was asked for, and by size where the table goes so deep."""
    usual = next((table[name] for name in ("DEFAULT", "medium") if name in table), next(iter(table.values())))
    found = table.get(_chosen(wire) or "", usual)
    if isinstance(found, Mapping):
        found = found.get(f"{made[0]}x{made[1]}", max(found.values()))
    return _money(found)


def _by_size(table: Mapping[str, Any], made: Size) -> Decimal:
    """The price of a size, or of the largest one in proportion to its pixels."""
    named = f"{made[0]}x{made[1]}"
    largest, highest = max(table.items(), key=lambda item: Decimal(item[1]))
    width, height = map(int, largest.split("x"))
    return _money(table.get(named, round(_money(highest) * made[0] * made[1] / (width * height), 6)))


def _by_tier(tiers: Mapping[str, Any], wire: JSONObject, made: Size) -> Decimal:
    if wire.get("resolution") in tiers:
        return _money(tiers[wire["resolution"]])
    side = math.sqrt(made[0] * made[1]) / 1024
    return _money(tiers[min(tiers, key=lambda tier: abs(math.log(float(tier[:-1]) / side)))])


def _flat(price: Mapping[str, Any], wire: JSONObject, references: Sequence[Size]) -> Decimal:
    wanted = [("with_lora", bool(wire.get("lora"))), ("edit", bool(references)), ("first_reference", bool(references))]
    for key, applies in (*wanted, ("per_image", True), ("observed", True), ("edit", True)):
        if applies and key in price:
            return _money(price[key])
    if "range" in price:
        return sum(map(_money, price["range"]), Decimal(0)) / 2
    return _DEFAULT


def _input_prices(price: Mapping[str, Any], references: Sequence[Size]) -> Iterator[Decimal]:
    if not references:
        return
    if "per_reference" in price:
        yield len(references) * _money(price["per_reference"])
    for key in ("per_extra_reference", "extra_reference"):
        if key in price:
            yield (len(references) - 1) * _money(price[key])
    units = sum(_units(price, size) for size in references)
    if "per_reference_mp" in price:
        yield units * _money(price["per_reference_mp"])
    if "first_reference_mp" in price:
        yield _money(price["first_reference_mp"]) + (units - 1) * _money(price["extra_reference_mp"])


def _units(price: Mapping[str, Any], size: Size) -> int:
    """Megapixels as they are billed: each 1024x1024 where a page says so, else further ones of a million."""
    pixels = size[0] * size[1]
    # Written down a second time on purpose: shared code would share the gateway's mistakes.
    if price.get("whole_mp"):
        return min(math.ceil(pixels / _MEGAPIXEL), int(price.get("cap_mp", pixels)))
    return 1 + max(0, math.ceil((pixels - _MEGAPIXEL) / 1_000_000))


def _chosen(wire: JSONObject) -> str | None:
    """The quality, speed or effort a task asks for, wherever its model keeps that."""
    settings = [wire.get("settings"), *(wire.get("providerSettings") or {}).values()]
    for one in settings:
        if isinstance(one, dict):
            for name in _SETTINGS & one.keys():
                return str(one[name])
    return None


def _money(value: object) -> Decimal:
    return Decimal(str(value))
