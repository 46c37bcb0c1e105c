"""Knows whether Runware can be reached, so that no request waits in vain. Pure: it only counts.

Only the lack of any sensible answer counts against Runware: a model without capacity says nothing about the others.
"""

from dataclasses import dataclass

_FIRST_PROBE_SECONDS = 0.25
_LONGEST_PROBE_SECONDS = 10.0


@dataclass(slots=True)
class CircuitBreaker:
    """Closed while Runware answers; open after `threshold` exchanges in a row had no answer."""

    threshold: int = 10
    failures: int = 0
    """Exchanges in a row without an answer."""
    is_open: bool = False
    _probes: int = 0

    def failed(self) -> bool:
        """Another exchange had no answer; whether this one opened the breaker."""
        self.failures += 1
        # True once, when it opens: the caller then starts to probe.
        opens = not self.is_open and self.failures >= self.threshold
        self.is_open = self.is_open or opens
        return opens

    def succeeded(self) -> None:
        """Runware answered."""
        # One answer is enough: the breaker is about reachability, not about how often models fail.
        self.failures = self._probes = 0
        self.is_open = False

    def next_probe(self) -> float:
        """Seconds until Runware should be asked again whether it is there."""
        self._probes += 1
        return float(min(_LONGEST_PROBE_SECONDS, _FIRST_PROBE_SECONDS * 2.0 ** (self._probes - 1)))
