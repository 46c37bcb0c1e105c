"""Settings of how long images stay here, and how much they may take. How long links live is in `groups`."""

from typing import Literal

from pydantic import Field

from app.settings.durations import WholeSeconds
from app.settings.groups import SettingsGroup


class RetentionSettings(SettingsGroup):
    """What is kept of answers, and how long."""

    result_ttl: WholeSeconds | None = Field(
        None,
        alias="SPILLWAY_RESULT_TTL",
        ge=60,
        description="How long the images of a request can be asked for again, in seconds. Unset: as long as an answer "
        "is remembered under its key, `SPILLWAY_IDEMPOTENCY_TTL`.",
    )
    keep_results: Literal["undelivered", "all", "none"] = Field(
        "undelivered",
        alias="SPILLWAY_KEEP_RESULTS",
        description="Which images are stored for that. `undelivered`: those under a key, in the background, or that "
        "reached nobody. `all`: those of every answer. `none`: none beyond its link; what was not received is fetched "
        "from Runware again, as long as Runware has it.",
    )
    storage_max_bytes: int | None = Field(
        None,
        alias="SPILLWAY_STORAGE_MAX_BYTES",
        ge=1024,
        description="How many bytes all stored images may take together. Beyond it what has expired goes at once, then "
        "requests whose images must be hosted here get 507 storage_full. Unset: as many as there is room for.",
    )
