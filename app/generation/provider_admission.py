"""Admits tasks to Runware: a place among those that run, and none while Runware is away."""

from app.access.admission import Admission, Ticket
from app.errors import UnavailableError
from app.runware.client import RunwareClient

_UNREACHABLE_SECONDS = 5


class ProviderAdmission:
    """`admission` counts tasks."""

    def __init__(self, admission: Admission, runware: RunwareClient) -> None:
        self._admission = admission
        self._runware = runware

    def take(self, tenant: str, weight: int) -> Ticket:
        """A place for so many tasks, raising UnavailableError or OverloadedError where there is none."""
        # Nothing is queued for a provider that is away: callers would wait for their timeout to learn it.
        if self._runware.unreachable:
            message = "Runware does not answer at the moment. Nothing was sent; try again shortly."
            raise UnavailableError(message, retry_after=_UNREACHABLE_SECONDS, should_retry=True)
        return self._admission.take(tenant, weight)

    def admit_unmetered(self) -> Ticket:
        """A place for work that was begun before: nothing is sent, and the images are paid."""
        return self._admission.admit_unmetered()
