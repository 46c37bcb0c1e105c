"""Faults on demand: markers in the prompt, like `[sim:rate-limit=2]`. Pure.

Before the task is accepted (nothing is billed):
    [sim:rate-limit] [sim:rate-limit=N]      429, always or for the first N submissions of the task
    [sim:outage] [sim:outage=N]              503 noAvailableServer
    [sim:server-error] [sim:server-error=N]  500
    [sim:html] [sim:html=N]                  502 with an HTML page
    [sim:gateway-timeout]                    504
    [sim:no-credits]                         402 insufficientCredits
    [sim:no-third-party-credits]             400 thirdPartyInsufficientCredits
    [sim:bad-key]                            401 invalidApiKey
    [sim:moderation]                         400 invalidProviderContent
    [sim:provider-refusal]                   providerError whose responseContent names a content policy
    [sim:unknown-code]                       400 with a code nobody knows
    [sim:unreachable] [sim:unreachable=N]    the connection is cut before the task is read
After it (the task runs and is billed, save where it fails):
    [sim:slow=SECONDS]       takes so long
    [sim:hold]               waits until `POST /_simulator/release` lets it go on, two minutes at most
    [sim:hang] [sim:hang=S]  the synchronous answer never comes; the task ends after S seconds (0)
    [sim:revoke-key]         the key that sent it is refused from then on
    [sim:drop]               the connection is cut; the task runs on
    [sim:partial=K]          only K images of the task come, the rest fail
    [sim:fail-odd]           tasks with an odd seed fail
    [sim:provider-error]     the task fails after being accepted
    [sim:timeout-provider]   the model's provider does not answer
    [sim:wrong-size]         the image is 64 pixels narrower
    [sim:wrong-format]       JPEG bytes, whatever was asked
    [sim:plain]              a flat gray image, made quickly, for large sets
    [sim:opaque]             no alpha channel, though a transparent image was asked for
    [sim:broken]             the image is cut off
    [sim:dead-url] [sim:dead-url=N]          an address that answers 404, always or N times, even when base64 was asked
    [sim:cut-url] [sim:cut-url=N]            an address that breaks off midway, always or N times, likewise
    [sim:url-only]           an address that works, even when base64 was asked
    [sim:nsfw]               the safety check, where it was asked for, finds something
    [sim:says-more]          members nobody knows stand beside each image, and a warning beside all
    [sim:costless] [sim:costless=K]          only the first K (0) images of the task ever have a cost
    [sim:late-cost] [sim:late-cost=S]        costs come only to a later question, S (0) seconds after the task began
    [sim:empty]              200 with no data, though the task runs
    [sim:nonsense]           200 with text that is no JSON, though the task runs
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.simulator.faults import Fault

MARKER = re.compile(r"\[sim:([a-z-]+)(?:=([0-9.]+))?\]")
_ALWAYS = 10**9
_THIRD_PARTY_CREDITS = (
    "This model needs a paid invoice or a balance of at least $5. Add credit at https://my.runware.ai/wallet"
)

# Codes and statuses as the real service has them, and one that nobody can know.
_BEFORE: Mapping[str, Fault] = {
    "rate-limit": Fault("rateLimitExceeded", "Too many requests for this model.", 429),
    "outage": Fault("noAvailableServer", "There is no available server for this model.", 503),
    "server-error": Fault("internalServerError", "An internal error occurred.", 500),
    "gateway-timeout": Fault("providerGatewayTimeout", "The request waited too long in the queue.", 504),
    "no-credits": Fault("insufficientCredits", "Insufficient credits to process the request.", 402),
    "no-third-party-credits": Fault("thirdPartyInsufficientCredits", _THIRD_PARTY_CREDITS, 400),
    "bad-key": Fault("invalidApiKey", "Invalid API key. Get one at https://my.runware.ai/signup", 401, "apiKey"),
    "moderation": Fault(
        "invalidProviderContent", "The content of 'positivePrompt' was refused by the provider.", 400, "positivePrompt"
    ),
    "provider-refusal": Fault(
        "providerError",
        "The provider responded with an error.",
        400,
        extra={"responseContent": {"error": {"message": "Blocked by our content policy"}}, "responseStatusCode": 422},
    ),
    "unknown-code": Fault("quantumFluctuation", "Something that has no name went wrong.", 400),
}
_AFTER: Mapping[str, Fault] = {
    "provider-error": Fault("providerError", "The provider responded with an error.", 400),
    "timeout-provider": Fault("timeoutProvider", "The external provider did not answer in the window.", 400),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """The markers of one prompt with their numbers; a marker without one has None."""

    markers: Mapping[str, float | None]

    def before_acceptance(self, submission: int) -> Fault | None:
        """The fault for the `submission`-th time this task is sent, counted from 1."""
        for name, fault in _BEFORE.items():
            if name in self.markers and submission <= self._times(name):
                return fault
        return None

    def answers_html(self, submission: int) -> bool:
        """Whether a page of HTML comes instead of an answer."""
        return "html" in self.markers and submission <= self._times("html")

    def is_unreachable(self, submission: int) -> bool:
        """Whether the connection is cut before anything happens."""
        return "unreachable" in self.markers and submission <= self._times("unreachable")

    def image_faults(self) -> tuple[float, float]:
        """How often the address of an image answers 404, and then breaks off midway."""
        return (
            self._times("dead-url") if "dead-url" in self.markers else 0,
            self._times("cut-url") if "cut-url" in self.markers else 0,
        )

    def gives_address(self) -> bool:
        """Whether an address comes, even when base64 was asked."""
        return self.has("dead-url") or self.has("cut-url") or self.has("url-only")

    def after_acceptance(self, seed: int | None) -> Fault | None:
        """The fault of the whole task once it runs."""
        # By the seed: split tasks count it up, so that every second image of one request fails.
        if "fail-odd" in self.markers and seed is not None and seed % 2:
            return _AFTER["provider-error"]
        return next((fault for name, fault in _AFTER.items() if name in self.markers), None)

    def has(self, name: str) -> bool:
        """Whether this marker is there."""
        return name in self.markers

    def number(self, name: str, default: float) -> float:
        """The number of a marker, or `default`."""
        value = self.markers.get(name)
        return default if value is None else value

    def _times(self, name: str) -> float:
        return self.number(name, _ALWAYS)


def read_scenario(prompt: object) -> Scenario:
    """The scenario a prompt asks for."""
    # In the prompt, since that is the only text which every client and every field mapping carries unchanged.
    found = MARKER.findall(prompt) if isinstance(prompt, str) else []
    return Scenario({name: float(number) if number else None for name, number in found})
