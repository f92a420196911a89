"""Who may talk to the page's server: raters at the address that was given, and nobody who comes by another site.

A browser carries out what any open page tells it. So a request must name our host (else a foreign name was bound to
this machine: DNS rebinding), and must not come from a page of another origin.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "hpa_label"
OPEN = ("/login", "/page.css")
SAFE = ("GET", "HEAD")
MOST_BYTES = 1_000_000
POLICY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Guard:
    """ASGI middleware.

    Attributes:
        app: what is guarded.
        hosts: the values of the header Host that are ours, like ``127.0.0.1:8765``.
        token: what a rater must know; none: everybody who reaches the address.
    """

    app: ASGIApp
    hosts: frozenset[str]
    token: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on a request; every answer carries the policy."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self._answer(Request(scope, receive))(scope, receive, _with_policy(send))

    def _answer(self, request: Request) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        if refused := self._refusal(request.headers, request.method):
            return refused
        if self.token is None:
            return self.app
        if request.url.path == "/login" and request.method == "POST":
            return self._log_in
        if request.url.path in OPEN or self._knows_token(request):
            return self.app
        if request.url.path == "/" and request.method in SAFE:
            return RedirectResponse("/login", 303)
        return PlainTextResponse("log in first", 401)

    def _refusal(self, headers: Headers, method: str) -> Response | None:
        if headers.get("host", "").lower() not in self.hosts:
            return PlainTextResponse("this is not the host that you asked for", 421)
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in self.hosts}:
            return PlainTextResponse("requests from other pages are refused", 403)
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return PlainTextResponse("requests from other pages are refused", 403)
        if method not in SAFE and not headers.get("content-length", "").isdigit():
            return PlainTextResponse("say how long the request is", 411)
        if int(headers.get("content-length") or 0) > MOST_BYTES:
            return PlainTextResponse("the request is too long", 413)
        return None

    def _knows_token(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return _same(request.cookies.get(COOKIE, ""), self._proof()) or _same(given, str(self.token))

    def _proof(self) -> str:
        """What the cookie holds: not the token itself."""
        return sha256(f"hpa label {self.token}".encode()).hexdigest()

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        given = parse_qs(body.decode(errors="replace")).get("token", [""])[0]
        answer = RedirectResponse("/", 303)
        if _same(given, str(self.token)):
            answer.set_cookie(COOKIE, self._proof(), httponly=True, samesite="strict")
        else:
            answer = RedirectResponse("/login?again", 303)
        await answer(scope, receive, send)


def _same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode(), second.encode())


def _with_policy(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name for name, _ in message["headers"]}
            extra = [(k.lower().encode(), v.encode()) for k, v in POLICY.items()]
            message["headers"] = [*message["headers"], *((k, v) for k, v in extra if k not in known)]
        await send(message)

    return sent
