"""uvicorn's HTTP/1.1 protocol with a bound on the head of a request, which uvicorn has not."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Far above any real head, and above what one read of the socket may bring of head and body together.
_MOST_HEAD_BYTES = 1024 * 1024


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a request whose line and headers do not end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Count, then parse."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self.send_400_response("The headers are too long.")
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """From here on the body's own limit holds."""
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What follows is the next request's head."""
        self._in_head = True
        super().on_message_complete()
