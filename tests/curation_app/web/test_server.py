"""The app's own socket."""

import socket

from curation_app.web.server import bind


def test_connections_send_each_answer_at_once() -> None:
    """Not after 40 ms, when the browser acknowledges the first piece."""
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
