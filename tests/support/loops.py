"""Runs what is asynchronous on each event loop that the gateway may run on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest
import uvloop

_T = TypeVar("_T")
Run = Callable[[Coroutine[object, object, _T]], _T]

both_loops = pytest.mark.parametrize("run", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])
"""The one of production, and the standard library's, which writes and pauses in its own way."""
