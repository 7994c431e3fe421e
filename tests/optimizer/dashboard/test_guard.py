"""Who may talk to the dashboard."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost:8765", "localhost:9000", "[::1]:8765", "127.0.0.5"]
)
def test_it_answers_by_its_own_names_at_any_port(client: Any, host: str) -> None:
    """A tunnel may lead to it from another port; loopback addresses are this machine's."""
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "127.0.0.1.evil.example",
        "10.0.0.7:8765",
        "",
        "[::1",
        "a@b",
    ],
)
def test_a_name_that_somebody_else_made_lead_here_is_refused(client: Any, host: str) -> None:
    """DNS rebinding: the browser sends the attacker's name as Host."""
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 403
    assert "--allow-host" in answer.json()["faults"][0]["text"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
    ],
)
def test_requests_of_other_pages_change_nothing(
    client: Any, fleet: str, headers: dict[str, str]
) -> None:
    """Another site's page, a form, or another server of this machine cannot begin a solve."""
    sent = {"content-type": "application/json", **headers}
    body = f'{{"fleet": "{fleet}"}}'
    assert client.post("/api/solves", content=body, headers=sent).status_code == 403


def test_its_own_page_may(client: Any, fleet: str) -> None:
    """Origin and Sec-Fetch-Site as browsers send them from the page itself."""
    own = {"origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}
    assert client.post("/api/solves", json={"fleet": fleet}, headers=own).status_code == 202


def test_nothing_foreign_may_be_loaded_or_run(client: Any) -> None:
    """The policy lets scripts, styles and requests go to this server alone, on every answer."""
    for path in ("/", "/assets/dashboard.js", "/api/fleets/absent", "/absent"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "http" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../guard.py",
        "/assets/..%2fguard.py",
        "/assets/%2e%2e/guard.py",
        "/assets//etc/passwd",
        "/assets/__init__.py",
        "/etc/passwd",
    ],
)
def test_no_path_of_a_request_is_opened(client: Any, path: str) -> None:
    """Only the files that it was made of are there."""
    assert client.get(path).status_code == 404


def test_a_body_beyond_the_limit_is_refused(client: Any) -> None:
    """By what was stated, and by what came."""
    text = "x" * 200_001
    assert client.post("/api/fleets", json={"text": text}).status_code == 413
    parts = (part for part in (b'{"text": "', text.encode(), b'"}'))
    chunked = {"content-type": "application/json", "transfer-encoding": "chunked"}
    assert client.post("/api/fleets", content=parts, headers=chunked).status_code == 413
