"""How a model's own facts narrow what holds for all, and what a rule may hold."""

import re

import pytest
from pydantic import ValidationError

from app.catalog.field_rules import FieldRule
from app.catalog.schema_rules import to_rule


def test_a_models_facts_narrow_the_common_ones_down_to_the_members_of_a_lists_items():
    common = FieldRule.model_validate(
        {
            "type": "array",
            "min_items": 1,
            "items": {"type": "object", "required": ["model"], "members": {"model": {"type": "string"}, "weight": {"type": "number", "maximum": 4}}},
        }
    )  # fmt: skip
    own = FieldRule.model_validate(
        {"max_items": 3, "items": {"members": {"model": {"values": ["a", "b"]}, "new": {"type": "boolean"}}}}
    )
    rule = common.narrowed(own)
    assert (rule.type, rule.min_items, rule.max_items) == ("array", 1, 3)
    assert (rule.items.type, rule.items.required) == ("object", ("model",))
    assert (rule.items.members["model"].type, rule.items.members["model"].values) == ("string", ("a", "b"))
    assert (rule.items.members["weight"].maximum, rule.items.members["new"].type) == (4, "boolean")
    assert common.items.members["model"].values is None, "the common rule itself is not touched"


@pytest.mark.parametrize("pattern", ["(", "[a-", "*x"])
def test_a_pattern_that_is_none_is_a_fault_of_the_catalog_and_not_of_a_request(pattern):
    with pytest.raises(ValidationError, match="no regular expression"):
        FieldRule(type="string", pattern=pattern)


@pytest.mark.parametrize(
    ("stated", "matches", "does_not"),
    [
        ("^#[0-9A-F]{6}$", ["#00FF00"], ["x#00FF00", "#00FF00x"]),
        ("^https?://", ["https://a.example/b"], ["ftp://a"]),
        ("[.]png$", ["a.png"], ["a.png.jpg"]),
        ("cat", ["a cat sat"], ["a dog"]),
        (r"^\$", ["$5"], ["5$"]),
    ],
)
def test_a_published_pattern_means_what_a_schema_means_by_it(stated, matches, does_not):
    pattern = to_rule({"type": "string", "pattern": stated})["pattern"]
    assert all(re.fullmatch(pattern, text) for text in matches)
    assert not any(re.fullmatch(pattern, text) for text in does_not)


@pytest.mark.parametrize("stated", ["(?<x>a)", "[a-", 7])
def test_a_published_pattern_we_cannot_read_is_left_out(stated):
    assert "pattern" not in to_rule({"type": "string", "pattern": stated})
