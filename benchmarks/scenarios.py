"""What is asked: the table of scenarios, and the requests of each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.payload import form_request, json_request, png

_MODEL, _EDIT_MODEL = "flux.1-schnell", "google:4@1"
_IMAGES = 4
"""Different uploads, so that nobody gains by remembering one."""
_PROMPTS = 997
"""Different prompts, as callers have: equal requests in flight are looked at as retries."""


@dataclass(frozen=True)
class Scenario:
    """One kind of load. `note` is what the project promises of it."""

    name: str
    title: str
    in_flight: int
    calls: int
    bursts: int = 1
    """In so many turns, between which other programs have theirs."""
    note: str = ""
    delay: float = 0.0
    """Seconds that the upstream takes."""
    answer_base64: int = 0
    """Bytes of base64 in each answer; 0 for an address."""
    upload: int = 0
    """Bytes of the image in each request."""
    is_default: bool = True
    for_peers: frozenset[str] = frozenset()
    """Peers that can do this too."""

    @property
    def warm_up_calls(self) -> int:
        """Calls that are not counted."""
        return self.in_flight if self.delay > 1 else max(2 * self.in_flight, min(300, self.calls // 4))

    @property
    def bytes_in_flight(self) -> int:
        """Of images, in uploads and answers."""
        return self.in_flight * (self.upload or self.answer_base64)

    def shortened(self, share: float) -> "Scenario":
        """The same with a share of the calls, as few as there are connections, in bursts of the same length."""
        calls, bursts = round(self.calls * share), round(self.bursts * share)
        return replace(self, calls=max(self.in_flight, calls), bursts=max(1, bursts))

    def multiplied(self, load: float) -> "Scenario":
        """The same with so many times the calls, and as many times in flight."""
        return replace(self, calls=round(self.calls * load), in_flight=max(1, round(self.in_flight * load)))

    def write_requests(self, folder: Path, headers: Mapping[str, str], prefix: str = "/v1") -> None:
        """The requests as a client sends them, each in a file."""
        fields = {"model": _MODEL, "prompt": "a lighthouse", "size": "1024x1024"}
        fields["response_format"] = "b64_json" if self.answer_base64 else "url"
        if not self.upload:
            for number in range(_PROMPTS):
                asked = fields | {"prompt": f"a lighthouse in storm {number}"}
                (folder / str(number)).write_bytes(json_request(f"{prefix}/images/generations", headers, asked))
            return
        for seed in range(_IMAGES):
            request = form_request(
                f"{prefix}/images/edits", headers, {**fields, "model": _EDIT_MODEL}, png(self.upload, seed)
            )
            (folder / str(seed)).write_bytes(request)


_EVERYBODY = frozenset({"litellm", "portkey", "nginx"})
_GATEWAYS = frozenset({"litellm", "portkey"})

SCENARIOS = (
    Scenario(
        "url",
        "`url` answer, 32 in flight",
        32,
        4000,
        8,
        "at most 3 x floor, 0.35 x portkey",
        for_peers=_EVERYBODY,
    ),
    Scenario(
        "held",
        "500 calls of 2 s held open",
        500,
        1500,
        1,
        "at most 0.4 x portkey, p99 at most 2.1 s",
        delay=2.0,
        for_peers=frozenset({"portkey"}),
    ),
    Scenario(
        "base64",
        "1.5 MB of base64 passed through, 64 in flight",
        64,
        1200,
        3,
        "at most 3 x nginx",
        delay=0.05,
        answer_base64=1_500_000,
        for_peers=_EVERYBODY | {"nginx-stock"},
    ),
    Scenario(
        "edit",
        "edit with a 1.5 MB PNG upload, 16 in flight",
        16,
        500,
        2,
        "at most 1.5 x floor",
        upload=1_500_000,
        for_peers=_GATEWAYS,
    ),
    Scenario(
        "memory16",
        "16 uploads of 1.5 MB held for half a second",
        16,
        64,
        1,
        "base + 2.5 x bytes in flight",
        delay=0.5,
        upload=1_500_000,
        is_default=False,
    ),
    Scenario(
        "memory64",
        "64 uploads of 1.5 MB held for half a second",
        64,
        256,
        1,
        "base + 2.5 x bytes in flight",
        delay=0.5,
        upload=1_500_000,
        is_default=False,
    ),
)
