"""The bearer token of those who may act."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from optimizer.control.errors import ControlError
from optimizer.control.rest.errors import RestError, error_response
from optimizer.control.spec import ErrorKind

__all__ = ["TOKEN_VARIABLE", "Authorized", "Token", "read_token"]

TOKEN_VARIABLE = "FLEETOPT_CONTROL_TOKEN"
"""Environment variable that holds the token where no file does."""

_SHORTEST = 16


class Token:
    """What callers must show.

    Parameters
    ----------
    text
        The token; None refuses everyone.
    """

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self._text is not None

    def __repr__(self) -> str:
        """Never the token itself."""
        return f"Token({'none' if self._text is None else '...'})"

    def require(self, authorization: str) -> None:
        """Let pass who shows it.

        Raises
        ------
        RestError
            With status 401 or 403.
        """
        if self._text is None:
            raise RestError(
                403,
                ErrorKind.FORBIDDEN,
                f"nobody may act: start the service with --token-file, or with {TOKEN_VARIABLE}",
            )
        scheme, _, shown = authorization.partition(" ")
        same = hmac.compare_digest(shown.strip().encode(), self._text.encode())
        if scheme.lower() != "bearer" or not same:
            raise RestError(
                401,
                ErrorKind.UNAUTHORIZED,
                "the token is missing or wrong; send it as Authorization: Bearer TOKEN",
                headers={"www-authenticate": "Bearer"},
            )


class Authorized:
    """Refuses whoever wants to act and does not show the token, before the body is read.

    Parameters
    ----------
    app
        Who answers the others.
    token
        The token.
    """

    def __init__(self, app: ASGIApp, token: Token) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            shown = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
            try:
                self._token.require(shown)
            except RestError as error:
                refusal = error_response(
                    error.status, error.kind, error.message, headers=error.headers
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def read_token(file: Path | None) -> Token:
    """Return the token of a file or, without one, of the environment.

    Raises
    ------
    ControlError
        If the file cannot be read, or the token is too short to be one.
    """
    where = TOKEN_VARIABLE if file is None else str(file)
    if file is None:
        text = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not text:
            return Token(None)
    else:
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            words = getattr(error, "strerror", None) or "it is no text"
            raise ControlError(f"{where}: the token cannot be read: {words}") from error
    if len(text) < _SHORTEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ControlError(
            f"{where}: the token must have {_SHORTEST} or more letters and no spaces; "
            "try: openssl rand -hex 32"
        )
    return Token(text)
