"""The settings of what runs at once, and of what may be spent."""

from decimal import Decimal

from pydantic import Field

from app.settings.groups import MIB, SettingsGroup


class LoadSettings(SettingsGroup):
    """What runs at once."""

    max_in_flight: int = Field(
        512, alias="SPILLWAY_MAX_IN_FLIGHT", ge=1, description="How many Runware tasks run at once."
    )
    max_queued: int = Field(
        1024,
        alias="SPILLWAY_MAX_QUEUED",
        ge=0,
        description="How many requests wait for their turn, shared fairly by API keys; then 429 overloaded.",
    )
    max_bytes_in_flight: int | None = Field(
        None,
        alias="SPILLWAY_MAX_BYTES_IN_FLIGHT",
        ge=MIB,
        description="How many bytes of request bodies and images are held at once; beyond it requests wait unread, "
        "then 429 overloaded. For each process; unset: together a third of the memory of the machine or its control "
        "group.",
    )
    # Below the whole queue: one busy key must leave room for the others.
    max_queued_per_key: int = Field(
        256,
        alias="SPILLWAY_MAX_QUEUED_PER_KEY",
        ge=0,
        description="How many requests of one API key wait for their turn, so that one key cannot fill the queue.",
    )


class SpendingSettings(SettingsGroup):
    """What keys may spend."""

    unpriced_reserve: Decimal = Field(
        Decimal("0.25"),
        alias="SPILLWAY_UNPRICED_RESERVE",
        ge=0,
        le=1000,
        max_digits=12,
        decimal_places=9,
        allow_inf_nan=False,
        description="What is reserved of a budget for each image whose price nobody knows, in US dollars; once such a "
        "model has cost more, the most that one image of it cost.",
    )
