"""Errors on the wire, in the shapes Runware sends them."""

from dataclasses import dataclass, field
from typing import Any

_DOCUMENTATION = "https://runware.ai/docs/image-inference/api-reference"


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of `errors`, and the status it comes with when nothing else is in the answer."""

    code: str
    message: str
    status: int = 400
    parameter: str | list[str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def to_wire(self, task: dict[str, Any]) -> dict[str, Any]:
        """The entry for `task`."""
        wire: dict[str, Any] = {"code": self.code, "message": self.message}
        # With the link that the real service sends along.
        if self.parameter is not None:
            wire["parameter"] = self.parameter
            anchor = self.parameter if isinstance(self.parameter, str) else self.parameter[0]
            wire["documentation"] = f"{_DOCUMENTATION}#request-{anchor.lower().replace('.', '-')}"
        wire |= self.extra
        for name in ("taskUUID", "taskType"):
            if isinstance(task.get(name), str):
                wire[name] = task[name]
        return wire


def invalid(parameter: str, reason: str, **extra: object) -> Fault:
    """A field with a value that is not allowed."""
    tail = parameter.rsplit(".", maxsplit=1)[-1].split("[", maxsplit=1)[0]
    message = f"Invalid value for '{parameter}' parameter. {reason}"
    return Fault(f"invalid{tail[:1].upper()}{tail[1:]}", message, parameter=parameter, extra=dict(extra))


def missing(parameter: str) -> Fault:
    """A required field that is not there."""
    code = f"missing{parameter[:1].upper()}{parameter[1:]}"
    return Fault(code, f"Missing required parameter '{parameter}'.", parameter=parameter)
