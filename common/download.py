"""Files over HTTP: at a polite pace, tried again, and continued where a drop or a killed run stopped."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import Field
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout, proxy_from_url
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
)

from common.errors import DataError, MachineError
from common.files import discard
from common.params import Params

R = TypeVar("R")

CHUNK = 1 << 16
MOST_BYTES = 1 << 30
"""No picture is larger; a server that never stops sending must not fill the disk."""
BACKOFF_S = 0.5
"""Waits between tries: 0, 1, 2, 4, ... s, or what the server asks for; never more than ``LONGEST_WAIT_S``."""
LONGEST_WAIT_S = 120
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Statuses of a server that may answer better later."""
NO_SERVER = (NewConnectionError, ConnectTimeoutError, ProxyError, SSLError)
REDIRECTS_ONLY = Retry(
    total=None, connect=0, read=0, status=0, other=0, redirect=5, respect_retry_after_header=False
)
"""Tries are counted here and not in urllib3, so that each of them keeps the pace."""


class DownloadParams(Params):
    """How politely and how patiently to fetch files."""

    requests_per_second: float = Field(default=5, gt=0, le=1000)
    connections: int = Field(default=4, ge=1, le=32)
    """Files in flight at once."""
    retries: int = Field(default=5, ge=0, le=20)
    """Tries of one file after the first."""
    timeout_s: float = Field(default=30, gt=0, le=3600)
    """Silence of a server that counts as failure. A signal waits as long for a silent server."""


class Unavailable(Exception):
    """A file that cannot be had; the message says why."""


class Interrupted(Exception):
    """The download was stopped from outside."""


class _Failure(Exception):
    """One try that failed and may be made again, after ``wait_s`` where the server asks for it."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Pace:
    """Lets requests pass at equal intervals, whichever thread makes them."""

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._interval_s = 1 / per_second
        self._now, self._sleep = now, sleep
        self._next = -float("inf")
        self._lock = threading.Lock()

    def keep(self) -> None:
        """Return when the next request may be made."""
        with self._lock:
            now = self._now()
            start = max(self._next, now)
            self._next = start + self._interval_s
        if start > now:
            self._sleep(start - now)


class Downloader:
    """Fetches files with the same pace, patience and connections; threads may share it."""

    def __init__(
        self,
        params: DownloadParams,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._retries = params.retries
        self._pace = Pace(params.requests_per_second, now, self._sleep)
        timeout = Timeout(connect=params.timeout_s, read=params.timeout_s)
        self._kind: dict[str, Any] = {"maxsize": params.connections, "timeout": timeout}
        self._pools: dict[str, PoolManager] = {}

    def stop(self) -> None:
        """Make every ``fetch`` under way end soon; what it has is kept for the next run."""
        self._stopped.set()

    def fetch(self, url: str, part: Path, accept: Callable[[Path], R]) -> R:
        """Fetch ``url`` to ``part``, hand the complete file to ``accept`` and return what that returns.

        What a dropped connection or a killed process left in ``part`` is continued, if the server still has the same
        file and sends ranges, and else fetched anew. ``accept`` must move or use up ``part``; it raises ``DataError``
        for content that is not what it should be, which is then tried again like any failure.

        Raises:
            Unavailable: the server refuses the file, or all tries failed.
            MachineError: no server can be reached.
            Interrupted: after ``stop``.
        """
        retry = Retry(self._retries, backoff_factor=BACKOFF_S, backoff_max=LONGEST_WAIT_S)
        while True:
            self._pace.keep()
            if self._stopped.is_set():
                raise Interrupted
            try:
                self._receive(url, part)
                return self._accepted(part, accept)
            except (_Failure, HTTPError) as error:
                retry = self._next_try(retry, url, error)

    def _accepted(self, part: Path, accept: Callable[[Path], R]) -> R:
        try:
            return accept(part)
        except DataError as error:
            raise _Failure(str(error).removeprefix(f"{part}: ")) from None
        finally:
            _discard(part)

    def _next_try(self, retry: Retry, url: str, error: Exception) -> Retry:
        reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        try:
            retry = retry.increment("GET", url, error=reason)
        except MaxRetryError:
            if isinstance(reason, NO_SERVER):
                advice = "what was fetched is kept: run again when the network is back"
                raise MachineError(f"{url}: no answer ({reason}); {advice}") from None
            raise Unavailable(_say(reason)) from None
        asked = error.wait_s if isinstance(error, _Failure) else None
        wait_s = retry.get_backoff_time() if asked is None else min(asked, LONGEST_WAIT_S)
        if wait_s > 0:
            self._sleep(wait_s)
        return retry

    def _receive(self, url: str, part: Path) -> None:
        """Bring ``part`` to its full length."""
        have = part.stat().st_size if part.is_file() else 0
        validator = _validator(part).read_text() if have and _validator(part).is_file() else ""
        headers = {"User-Agent": "hpa-arena", "Accept-Encoding": "identity"}
        if validator:
            headers |= {"Range": f"bytes={have}-", "If-Range": validator}
        response = self._pool(url).request(
            "GET", url, headers=headers, preload_content=False, decode_content=False, retries=REDIRECTS_ONLY
        )
        try:
            _check_status(response, part)
            going_on = response.status == HTTPStatus.PARTIAL_CONTENT
            if going_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                _discard(part)
                raise _Failure(f"sent bytes {response.headers.get('Content-Range')}, not those from {have}")
            _validator(part).write_text(_strong_validator(response))
            self._write(response, part, have if going_on else 0)
            response.release_conn()
        finally:
            response.close()

    def _pool(self, url: str) -> PoolManager:
        """The connections to the server of ``url``, through a proxy where the environment names one."""
        parts = urlsplit(url)
        proxy = "" if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme, "")
        if proxy not in self._pools:
            self._pools[proxy] = proxy_from_url(proxy, **self._kind) if proxy else PoolManager(**self._kind)
        return self._pools[proxy]

    def _write(self, response: BaseHTTPResponse, part: Path, have: int) -> None:
        with part.open("r+b" if have else "wb") as file:
            file.seek(have)
            for chunk in response.stream(CHUNK):
                file.write(chunk)
                if file.tell() > MOST_BYTES:
                    _discard(part)
                    raise Unavailable(f"is larger than {MOST_BYTES} bytes")
                if self._stopped.is_set():
                    raise Interrupted


def _check_status(response: BaseHTTPResponse, part: Path) -> None:
    if response.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    said = f"the server says {response.status} {response.reason or ''}".strip()
    if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        _discard(part)
    elif response.status not in PASSING:
        raise Unavailable(said)
    raise _Failure(said, Retry().get_retry_after(response))


def _say(reason: Exception) -> str:
    return str(reason.args[0] if isinstance(reason, ProtocolError) and reason.args else reason)


def _strong_validator(response: BaseHTTPResponse) -> str:
    """What names this very version of a file for If-Range; nothing where the server gives no such name."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else "" if tag else response.headers.get("Last-Modified", "")


def _validator(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _discard(part: Path) -> None:
    discard(part)
    discard(_validator(part))
