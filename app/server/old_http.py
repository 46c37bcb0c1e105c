"""Answers for callers that speak HTTP/1.0, which know no chunks."""

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope


def unframed(cycle: RequestResponseCycle, app: "ASGI3Application") -> "ASGI3Application":
    """An application whose answers of unknown length end with the connection."""

    # Such a caller would take the sizes of chunks for bytes of the body.
    async def answer(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        unsized = False

        async def send_unframed(message: "ASGISendEvent") -> None:
            nonlocal unsized
            if message["type"] == "http.response.start":
                unsized = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
                if unsized:
                    cycle.chunked_encoding = False  # decided, so that the server adds no framing of its own
            elif unsized and message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unframed)

    return answer
