"""Runs image work in separate processes: bounded, killable, and isolated from crashes.

A decoder that dies or hangs takes down one conversion, never the gateway. Owns the limit and the timeout; what is
done to images is in `inputs`, `masks` and `convert`.
"""

import math
import os
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_process
from anyio import BrokenWorkerProcess, CapacityLimiter

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")
_DEFAULT_SECONDS = 60.0


class WorkerError(Exception):
    """The work could not be finished: the process died or took too long."""


class Workers:
    """A bounded pool of image processes. Processes start when first needed; waiting for one is not timed."""

    def __init__(self, processes: int | None = None, timeout_seconds: float = _DEFAULT_SECONDS) -> None:
        self._processes = processes or max(1, os.cpu_count() or 1)
        self._timeout_seconds = timeout_seconds
        self._places: CapacityLimiter | None = None
        self._unlimited: CapacityLimiter | None = None

    async def run(self, work: Callable[[*_Arguments], _T], *arguments: *_Arguments) -> _T:
        """`work(*arguments)` in a process, raising WorkerError when it crashes twice or hangs, else what it raises."""
        if self._places is None:  # made here: limiters belong to the loop that runs
            self._places, self._unlimited = CapacityLimiter(self._processes), CapacityLimiter(math.inf)
        async with self._places:
            try:
                return await self._run(work, *arguments)
            except BrokenWorkerProcess:  # it may have died of something else, such as a shortage of memory
                try:
                    return await self._run(work, *arguments)
                except BrokenWorkerProcess as error:
                    raise WorkerError(type(error).__name__) from error

    async def _run(self, work: Callable[[*_Arguments], _T], *arguments: *_Arguments) -> _T:
        try:
            with anyio.fail_after(self._timeout_seconds):
                return await anyio.to_process.run_sync(work, *arguments, cancellable=True, limiter=self._unlimited)
        except TimeoutError as error:
            raise WorkerError(type(error).__name__) from error
