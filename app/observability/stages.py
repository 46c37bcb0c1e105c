"""Which stage of which request is running, and on what image: every line of the log says it, a fault's line above all.

A fault is often told far above the stage in which it happened; so it carries what was known there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

_FACTS = "_spillway_facts"


@contextmanager
def stage(name: str, **facts: str | int | None) -> Iterator[None]:
    """Run a stage; `facts` are what it works on. Inner stages come last in the name."""
    outer = get_contextvars().get("stage")
    named = f"{outer} > {name}" if outer else name
    known = {fact: value for fact, value in facts.items() if value is not None}
    with bound_contextvars(stage=named, **known):
        try:
            yield
        except Exception as error:
            if not facts_of(error):  # the innermost stage knows most
                # On the error itself: by the time it is logged, the stage's own context is gone.
                setattr(error, _FACTS, get_contextvars())
            raise


def begin_request(request_id: str) -> None:
    """Every line of this task, and of those it starts, is about this request."""
    bind_contextvars(request=request_id)


def facts_of(error: BaseException | None) -> Mapping[str, object]:
    """What was known where an error was raised."""
    facts: Mapping[str, object] = getattr(error, _FACTS, {})
    return facts
