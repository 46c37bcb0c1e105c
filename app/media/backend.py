"""Opens the store at an address: a folder, S3, Google Cloud Storage or Azure.

Keys and endpoints come from the variables that each service names. Leaves what is done with a store to `object_store`.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from app.media.errors import InvalidStorageError
from app.media.object_store import ANSWER_SECONDS, AnyStore, ObjectStore
from app.observability.metrics import Metrics

if TYPE_CHECKING:  # exists only in the stubs
    from obstore.store import ClientConfig, RetryConfig

_CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=3),
    # Between two reads, not for the whole: a slow reader of a large image is no fault of the store.
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(hours=1),
}
_RETRIES: "RetryConfig" = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=8),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
_HTTP_ENDPOINTS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "GOOGLE_BASE_URL",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
)


def open_store(url: str, data_dir: Path, metrics: Metrics, patience: float = ANSWER_SECONDS) -> ObjectStore:
    """The store at an address of the settings, without one the data folder; `patience` is in seconds.

    Raises InvalidStorageError, whose message is a sentence, where there can be none.
    """
    parts = urlsplit(url)
    try:
        return ObjectStore(_open(parts, data_dir), metrics, patience)
    except OSError as error:
        reason = error.strerror or "it is no folder"
        raise InvalidStorageError(f"SPILLWAY_STORAGE_URL: the folder cannot be made: {reason}.") from None
    except (BaseError, ValueError):
        place = f"{parts.scheme}://{parts.netloc}"
        # What the library says may hold a key.
        message = f"SPILLWAY_STORAGE_URL: {place} cannot be opened: set the variables that its service needs."
        raise InvalidStorageError(message) from None


def _open(parts: SplitResult, data_dir: Path) -> AnyStore:
    place, prefix = parts.netloc, parts.path.strip("/") or None
    allow_http = any(os.environ.get(name, "").startswith("http://") for name in _HTTP_ENDPOINTS)
    client: ClientConfig = {**_CLIENT, "allow_http": allow_http}
    match parts.scheme:
        case "s3":
            return S3Store(place, prefix=prefix, client_options=client, retry_config=_RETRIES)
        case "gs":
            return GCSStore(place, prefix=prefix, client_options=client, retry_config=_RETRIES)
        case "az":
            return AzureStore(place, prefix=prefix, client_options=client, retry_config=_RETRIES)
        case _:
            folder = Path(unquote(parts.path)) if parts.path else data_dir
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return LocalStore(folder)
