"""Encodes tasks for the wire without holding up the event loop."""

import asyncio

from app.runware.tasks import ImageTask, encode_task

_INLINE_BYTES = 256 * 1024
"""Base64 of less than this takes less time than a change of threads."""


async def encode_off_loop(task: ImageTask) -> bytes:
    """The body that sends `task`; large images are encoded in a thread."""
    if task.inline_bytes <= _INLINE_BYTES:
        return encode_task(task)
    return await asyncio.to_thread(encode_task, task)
