"""A small public atlas for tests: a server in a thread that can be slow, drop, truncate, refuse and lie."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Atlas(ThreadingHTTPServer):
    """Serves ``files`` (path -> bytes); ``faults`` (path -> list of behaviours) are used up one a request.

    Behaviours: a status number; ``drop`` (half the file, then the connection is cut); ``truncate`` (half the file and
    no length); ``html`` (a web page with status 200); ``hang`` (no answer until the server ends); ``other`` (a new
    version of the file from now on).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[int | str]] = {}
        self.headers: dict[str, str] = {}
        self.ranges = True
        self.weak = False
        """Whether ETags are weak: of equal meaning, not of equal bytes."""
        self.versions: Counter[str] = Counter()
        self.requests: list[tuple[str, str]] = []
        """Path and Range header of each request."""
        self.over = threading.Event()
        self.on_request: Callable[[], object] = lambda: None

    @property
    def address(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(path for path, _ in self.requests)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Atlas
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        atlas, wanted = self.server, self.headers.get("Range", "")
        atlas.requests.append((self.path, wanted))
        atlas.on_request()
        pending = atlas.faults.get(self.path)
        fault = pending.pop(0) if pending else None
        if fault == "hang":
            atlas.over.wait()
        elif fault == "html":
            self._send(200, b"<!doctype html><title>maintenance</title>", {})
        elif isinstance(fault, int) or self.path not in atlas.files:
            self._send(fault if isinstance(fault, int) else 404, b"no", atlas.headers)
        else:
            atlas.versions[self.path] += fault == "other"
            self._send_file(atlas.files[self.path], wanted, fault)

    def _send_file(self, content: bytes, wanted: str, fault: str | None) -> None:
        tag = f'"{self.server.versions[self.path]}-{len(content)}"'
        tag = f"W/{tag}" if self.server.weak else tag
        start, status = 0, 200
        if wanted and self.server.ranges and self.headers.get("If-Range") == tag:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
        if start and start >= len(content):
            return self._send(416, b"", {})
        sent, headers = content[start:], {"ETag": tag}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        half = sent[: len(sent) // 2] if fault in ("drop", "truncate") else sent
        self.close_connection = half is not sent
        return self._send(status, half, headers, None if fault == "truncate" else len(sent))

    def _send(self, status: int, body: bytes, headers: dict[str, str], length: int | None = -1) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running_atlas() -> Iterator[Atlas]:
    """An empty atlas that answers until the block ends."""
    with Atlas() as atlas:
        thread = threading.Thread(target=atlas.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield atlas
        finally:
            atlas.over.set()
            atlas.shutdown()
            thread.join()
