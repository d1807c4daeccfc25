"""A real WebSocket server that echoes what it gets, and keeps every handshake."""

from __future__ import annotations

import threading

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.sync.server import ServerConnection, serve

SUBPROTOCOL = "chat.example"
FAREWELL = "please close"
CLOSE_CODE, CLOSE_REASON = 4001, "as you wish"
MAX_FRAME_BYTES = 16 * 1024 * 1024


class WebSocketBackend:
    """Listens on a port of its own choice; `FAREWELL` makes it close the connection from its side."""

    def __init__(self) -> None:
        self._handshakes: list[Request] = []
        self._lock = threading.Lock()
        self._server = serve(
            self._echo,
            "127.0.0.1",
            0,
            process_request=self._keep,
            subprotocols=[SUBPROTOCOL],
            select_subprotocol=lambda _connection, offered: SUBPROTOCOL if SUBPROTOCOL in offered else None,
            max_size=MAX_FRAME_BYTES,
        )
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True, name=type(self).__name__).start()

    def close(self) -> None:
        self._server.shutdown()

    def handshakes(self, target: str) -> list[list[tuple[str, str]]]:
        """The header lists of the handshakes for a target, names in lower case."""
        with self._lock:
            found = [request for request in self._handshakes if request.path == target]
        return [[(name.lower(), value) for name, value in request.headers.raw_items()] for request in found]

    def _keep(self, _connection: ServerConnection, request: Request) -> None:
        with self._lock:
            self._handshakes.append(request)

    def _echo(self, connection: ServerConnection) -> None:
        try:
            for message in connection:
                if message == FAREWELL:
                    connection.close(CLOSE_CODE, CLOSE_REASON)
                connection.send(message)
        except ConnectionClosed:
            pass
