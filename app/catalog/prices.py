"""What is known of a model's price: the typed form of `pricing` in a catalog entry, and how it reads in words.

Amounts are US dollars. A member that is absent is unknown, never zero. Computing what a request will cost is
`ledger.pricing`'s.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# A bound, so that a lost decimal point is a fault of the file and not of a bill.
Price = Annotated[Decimal, Field(ge=0, lt=1000)]
SizeName = Annotated[str, Field(pattern=r"^\d{1,5}x\d{1,5}$")]
Confidence = Literal["published", "estimated", "unknown"]


class Pricing(BaseModel):
    """What Runware charges for one image, and for what it is made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_image: Price | None = None
    per_edit: Price | None = Field(None, description="An image made from others, where that differs.")
    with_lora: Price | None = Field(None, description="An image made with a LoRA, where that differs.")
    per_tier: dict[str, Price] | None = None
    per_size: dict[SizeName, Price] | None = Field(None, description="These sizes only; others are unknown.")
    per_quality: dict[str, Price] | None = Field(None, description="By the value the model's own setting gets.")
    quality_size: SizeName | None = Field(None, description="The size the prices by quality are published for.")
    quality_tier: str | None = Field(None, description="The tier the prices by quality are published for.")
    default_quality: str | None = Field(None, description="The quality Runware takes when none is asked for.")
    per_quality_size: dict[str, dict[SizeName, Price]] | None = None
    first_megapixel: Price | None = None
    further_megapixel: Price | None = None
    per_output_megapixel: Price | None = Field(None, description="Each megapixel of the result, the first among them.")
    first_input_megapixel: Price | None = Field(None, description="The first megapixel of all input images together.")
    further_input_megapixel: Price | None = None
    per_reference: Price | None = Field(None, description="Each input image.")
    per_extra_reference: Price | None = Field(None, description="Each input image after the first.")
    per_reference_megapixel: Price | None = None
    tokens: dict[str, Price] | None = Field(None, description="A million tokens, by their kind: nobody can count them.")
    observed: tuple[Price, Price] | None = Field(None, description="The lowest and the highest bill seen; no rule.")

    megapixel: Literal["1024x1024"] | None = Field(
        None,
        description="Every megapixel counts so many pixels; absent: the first one so many, further ones a million.",
    )
    max_megapixels: int | None = Field(None, ge=1, description="Larger images are scaled down to so many megapixels.")
    output: Literal["input", "outpaint"] | None = Field(
        None, description="What the size of the result follows where the task names none."
    )
    compute: bool = Field(default=False, description="Runware bills computing time: other steps and sizes differ.")
    steps: int | None = Field(None, ge=1, description="The steps these prices are published for.")
    not_with: tuple[str, ...] = Field((), description="Fields that change the bill in ways that are not published.")
    uncertain: str | None = Field(None, description="Why what is published still gives an estimate only.")
    third_party: tuple[str, ...] = Field((), description="Members that others saw and Runware does not publish.")
    seen: str | None = Field(None, description="When others saw them.")
    note: str | None = None

    @model_validator(mode="after")
    def _check_third_party(self) -> "Pricing":
        # A mark on a price that is not there would make a published price look estimated.
        absent = [name for name in self.third_party if name not in AMOUNTS or getattr(self, name) is None]
        if absent:
            message = f"`third_party` names {absent[0]}, which is no price here"
            raise ValueError(message)
        return self

    @property
    def amounts(self) -> tuple[str, ...]:
        """The members that say what something costs."""
        return tuple(name for name in AMOUNTS if getattr(self, name) is not None)


AMOUNTS = (
    "per_image", "per_edit", "with_lora", "per_tier", "per_size", "per_quality", "per_quality_size", "first_megapixel",
    "further_megapixel", "per_output_megapixel", "first_input_megapixel", "further_input_megapixel", "per_reference",
    "per_extra_reference", "per_reference_megapixel", "tokens", "observed",
)  # fmt: skip
_IN_WORDS = {
    "per_image": "{} an image",
    "per_edit": "{} an edit",
    "with_lora": "{} with a LoRA",
    "first_megapixel": "{} for the first megapixel",
    "further_megapixel": "{} for each further megapixel",
    "per_output_megapixel": "{} for each megapixel of the result",
    "first_input_megapixel": "{} for the first input megapixel",
    "further_input_megapixel": "{} for each further input megapixel",
    "per_reference": "{} for each input image",
    "per_extra_reference": "{} for each input image after the first",
    "per_reference_megapixel": "{} for each megapixel of the input images",
}
# What comes on top of a price and is none by itself.
_EXTRAS = frozenset({"per_reference", "per_extra_reference", "per_reference_megapixel", "tokens"})
NOT_PUBLISHED = "not published"


def confidence_of(pricing: Pricing | None) -> Confidence:
    """Whether Runware publishes the price, or others saw all or a part of it, or nobody knows."""
    if pricing is None or not set(pricing.amounts) - _EXTRAS:
        return "unknown"
    return "estimated" if pricing.third_party or pricing.observed is not None or pricing.uncertain else "published"


def price_in_words(pricing: Pricing | None) -> str:
    """The whole price as one line, with what is only estimated marked as such."""
    if pricing is None or not pricing.amounts:
        return NOT_PUBLISHED
    # Bills that somebody saw are never a published price (0030).
    estimated = {*pricing.third_party, "observed"}
    parts = []
    for name in pricing.amounts:
        text = ", ".join(_part_in_words(pricing, name))
        parts.append(f"{text} (estimated)" if name in estimated else text)
    text = "; ".join(parts)
    return f"{text} (estimated: {pricing.uncertain.rstrip('.')})" if pricing.uncertain else text


def price_in_short(pricing: Pricing | None) -> str:
    """The range of prices of an image, for a column of a table; `~` marks an estimate, `+` that size counts."""
    if pricing is None or confidence_of(pricing) == "unknown":
        return "unknown"
    amounts = sorted({amount for name in pricing.amounts if name not in _EXTRAS for amount in _values(pricing, name)})
    if pricing.first_megapixel is not None:
        # With a sign for more, or a large image would look as cheap as a small one.
        text = f"${pricing.first_megapixel}+"
    elif pricing.per_output_megapixel is not None:
        text = f"${pricing.per_output_megapixel + (pricing.first_input_megapixel or 0)}+"
    else:
        text = f"${amounts[0]}" if len(amounts) == 1 else f"${amounts[0]}-{amounts[-1]}"
    return f"~{text}" if confidence_of(pricing) == "estimated" else text


def _part_in_words(pricing: Pricing, name: str) -> Iterator[str]:
    found: object = getattr(pricing, name)
    if name in _IN_WORDS:
        yield _IN_WORDS[name].format(f"${found}")
    elif name == "observed" and pricing.observed is not None:
        low, high = pricing.observed
        yield f"${low} an image" if low == high else f"${low} to ${high} an image"
    elif name == "per_quality_size" and pricing.per_quality_size is not None:
        for quality, sizes in pricing.per_quality_size.items():
            yield from (f"${amount} at {quality} quality and {size}" for size, amount in sizes.items())
    elif isinstance(found, Mapping):
        ending = {"per_quality": " quality", "tokens": " tokens"}.get(name, "")
        joint = "a million" if name == "tokens" else "at"
        yield from (f"${amount} {joint} {key.replace('_', ' ')}{ending}" for key, amount in found.items())


def _values(pricing: Pricing, name: str) -> Iterator[Decimal]:
    found: object = getattr(pricing, name)
    if isinstance(found, Decimal):
        yield found
    elif isinstance(found, tuple):
        yield from found
    elif isinstance(found, Mapping):
        for value in found.values():
            yield from value.values() if isinstance(value, Mapping) else (value,)
