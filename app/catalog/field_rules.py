"""What is known about one field of a task: its type, values and limits, also of what lies inside it.

Owns the shape of a rule and how a model's own facts narrow what holds for all. Checking values is `generation`'s.
"""

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, field_validator

FieldType = Literal["integer", "number", "string", "boolean", "object", "array", "true_or_object"]
Scalar: TypeAlias = bool | int | float | str


def _to_step(value: object) -> object:
    # By its text: the float 0.05 itself is a little more, and no value would be a multiple of it.
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


Step = Annotated[
    Decimal,
    BeforeValidator(_to_step),
    PlainSerializer(float, return_type=float),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]


class FieldRule(BaseModel):
    """The facts of one field; what is unknown is absent.

    The rest concerns members of an object, by name or dotted path; `/name` is a field of the task itself.
    `exclusive`: at most one of each group may be given. `less` and `at_most`: the first must be smaller than, or not
    larger than, the second. `iff`: the first must be given if, and only if, the second has the value that follows.
    """

    # A misspelled limit would be no limit at all.
    model_config = ConfigDict(frozen=True, extra="forbid")

    type: FieldType | None = None
    values: tuple[Scalar, ...] | None = None
    pattern: str | None = None
    minimum: float | int | None = None
    maximum: float | int | None = None
    step: Step | None = None
    default: Scalar | None = None
    min_chars: int | None = Field(None, ge=0)
    max_chars: int | None = Field(None, ge=1)
    min_items: int | None = Field(None, ge=0)
    max_items: int | None = Field(None, ge=1)
    only_on: str | None = Field(None, description="The AIR id of the only model that takes this field.")
    items: "FieldRule | None" = None
    members: "dict[str, FieldRule] | None" = None
    required: tuple[str, ...] = ()
    exclusive: tuple[tuple[str, ...], ...] = ()
    less: tuple[tuple[str, str], ...] = ()
    at_most: tuple[tuple[str, str], ...] = ()
    iff: tuple[tuple[str, str, Scalar], ...] = ()

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, value: str | None) -> str | None:
        try:
            # When the catalog is read, not when a caller pays.
            re.compile(value or "")
        except re.error as error:
            message = f"it is no regular expression: {error}"
            raise ValueError(message) from None
        return value

    def narrowed(self, own: "FieldRule | None") -> "FieldRule":
        """This rule with a model's own facts over it, down to what lies inside."""
        if own is None:
            return self
        # Only what the model states: a default here is silence, not a fact.
        update = {name: getattr(own, name) for name in own.model_fields_set}
        if own.items is not None and self.items is not None:
            update["items"] = self.items.narrowed(own.items)
        if own.members is not None and self.members is not None:
            common = self.members
            inner = {
                name: common[name].narrowed(rule) if name in common else rule for name, rule in own.members.items()
            }
            update["members"] = {**common, **inner}
        return self.model_copy(update=update)

    def nearest(self, number: float) -> float | int:
        """The legal value nearest to a number; ties go to the larger."""
        # Where the values are listed, bounds have nothing to add.
        options = [value for value in self.values or () if isinstance(value, int | float)]
        if options:
            return min(options, key=lambda option: (abs(option - number), -option))
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        near = min(max(number, low), high)
        if self.type == "integer":
            return round(near)
        # What lies on the grid keeps its spelling: 1 does not become 1.0.
        if self.step is not None and Decimal(str(near)) % self.step:
            return float((Decimal(str(near)) / self.step).to_integral_value() * self.step)
        return near


def resolve_fields(
    names: Iterable[str], common: Mapping[str, FieldRule], limits: Mapping[str, FieldRule]
) -> dict[str, FieldRule]:
    """The rule of each field, raising KeyError for one that has no type anywhere."""
    resolved = {}
    for name in dict.fromkeys([*names, *limits]):
        rule = common[name].narrowed(limits.get(name)) if name in common else limits[name]
        # Without a type every value would pass.
        if rule.type is None and rule.values is None:
            raise KeyError(name)
        resolved[name] = rule
    return resolved
