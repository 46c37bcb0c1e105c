"""Shorter times than production's, for gateways of tests, and what all of them read at the start, read once."""

import functools

from app.catalog.loader import load_catalog
from app.catalog.registry import Registry
from app.egress.download import DownloadPolicy
from app.resources import Parts
from app.runware.retry import RetryPolicy
from app.settings.groups import ModelSettings
from app.settings.load import load_settings

BRIEF = DownloadPolicy(first_wait=0.02, longest_wait=0.05, absent=0.5, unreachable=1.0)
FAST = RetryPolicy(
    first_bill=0.2,
    looks_for_bills=0.2,
    first_backoff=0.02,
    longest_backoff=0.05,
    first_poll=0.05,
    longest_poll=0.1,
    longest_retry_after=0.2,
)
QUICK_PARTS = Parts(retries=FAST, downloads=BRIEF)
"""What tests put in the place of production's times; everything else is production's."""


@functools.cache
def _usual() -> tuple[ModelSettings, Registry]:
    models = load_settings({}).models
    return models, load_catalog(models.catalog_dir, {}, (models.default_model, models.default_edit_model))


def read_before(models: ModelSettings) -> Registry | None:
    """The catalog that comes with the gateway, where a gateway with these settings reads no other."""
    usual, registry = _usual()
    return registry if models == usual else None
