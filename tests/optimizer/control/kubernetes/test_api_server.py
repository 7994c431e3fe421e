"""The client: deadlines, pages, and who it says it is."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx
import pytest

from optimizer.control.errors import ActuationError, ControlError
from optimizer.control.kubernetes import ApiError, ApiServer, Credentials, find_credentials
from optimizer.control.kubernetes.credentials import in_cluster
from optimizer.control.kubernetes.names import path_of
from tests.optimizer.control.kubernetes.clusters import Cluster
from tests.optimizer.control.kubernetes.fake_api_server import FakeApiServer

HERE = Credentials(server="http://127.0.0.1:9", token="secret")


def answering(status: int, content: bytes) -> ApiServer:
    return ApiServer(
        HERE, transport=httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    )


def test_long_lists_come_in_pages(fake_server: FakeApiServer, fake_cluster: Cluster) -> None:
    """All of 603 objects, in two requests."""
    cluster = fake_cluster
    for number in range(603):
        cluster.create("v1", "configmaps", {"metadata": {"name": f"c-{number:04}"}})
    before = len(fake_server.log)
    found = cluster.admin.items(cluster.path("v1", "configmaps"))
    assert [item["metadata"]["name"] for item in found] == [f"c-{n:04}" for n in range(603)]
    assert len(fake_server.log) - before == 2


def test_a_page_that_is_gone_begins_the_list_anew() -> None:
    """410 once: asked again from the first page; twice: an error."""
    pages = iter([410, 200, 410, 410])

    def answer(_: httpx.Request) -> httpx.Response:
        status = next(pages)
        return httpx.Response(status, json={"metadata": {}, "items": [{}], "reason": "Expired"})

    server = ApiServer(HERE, transport=httpx.MockTransport(answer))
    assert len(server.items("/api/v1/pods").items) == 1
    with pytest.raises(ApiError, match="410 Expired"):
        server.items("/api/v1/pods")


@pytest.mark.parametrize(
    ("status", "content", "words", "told"),
    [
        (200, b"", "HTTP 200, and no object", None),
        (200, b"[1]", "HTTP 200, and no object", None),
        (502, b"<html>", "HTTP 502, and no object", 502),
        (302, b"{}", "HTTP 302", 302),
        (403, b'{"reason": "Forbidden", "message": "no"}', "HTTP 403 Forbidden: no", 403),
    ],
)
def test_nonsense_is_an_error(status: int, content: bytes, words: str, told: int | None) -> None:
    """A success that cannot be read has no status: nobody knows what became of the request."""
    with pytest.raises(ApiError, match=words) as caught:
        answering(status, content).get("/api/v1/pods/x")
    assert caught.value.status == told


def test_a_list_that_is_none_is_an_error() -> None:
    """Never an empty list: that would be no replicas."""
    with pytest.raises(ApiError, match="no list of objects"):
        answering(200, b'{"items": []}').items("/api/v1/pods")


def test_a_server_that_is_not_there_is_an_error_without_status() -> None:
    """What became of a write is not known."""
    with pytest.raises(ApiError, match="no answer") as caught:
        ApiServer(HERE, timeout_s=1.0).get("/api")
    assert caught.value.status is None


def test_tokens_are_read_anew_and_never_shown(tmp_path: Path) -> None:
    """A renewed token is used at once; neither errors nor representations have it in them."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(401, json={"reason": "Unauthorized", "message": "who?"})

    file = tmp_path / "token"
    server_of = Credentials(server="http://127.0.0.1:9", token_file=file)
    server = ApiServer(server_of, transport=httpx.MockTransport(answer))
    for token in ("first-secret", "second-secret"):
        file.write_text(token + "\n", encoding="ascii")
        with pytest.raises(ApiError) as caught:
            server.get("/api")
        assert "secret" not in str(caught.value)
    assert seen == ["Bearer first-secret", "Bearer second-secret"]
    assert "secret" not in repr(HERE)
    file.unlink()
    with pytest.raises(ActuationError, match="cannot be read"):
        server.get("/api")


def test_a_pod_knows_who_it_is(tmp_path: Path) -> None:
    """Address from the environment, namespace and token from the mounted files."""
    for name, text in (("ca.crt", "x"), ("namespace", "llm\n"), ("token", "t")):
        (tmp_path / name).write_text(text, encoding="ascii")
    where = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = in_cluster(where, tmp_path)
    assert (found.server, found.namespace, found.bearer()) == ("https://[fd00::1]:443", "llm", "t")
    with pytest.raises(ControlError, match="no pod with a service account"):
        in_cluster({}, tmp_path)


def test_a_kubeconfig_is_read(tmp_path: Path) -> None:
    """The current context or the one that is asked for; data in place and files beside."""
    text = base64.b64encode(b"PEM").decode()
    path = tmp_path / "config"
    (tmp_path / "t").write_text("from-file", encoding="ascii")
    path.write_text(
        "current-context: a\n"
        "clusters: [{name: c, cluster: {server: 'https://k', "
        f"certificate-authority-data: {text}}}}}]\n"
        "users: [{name: u, user: {tokenFile: t}}, {name: e, user: {exec: {command: aws}}}]\n"
        "contexts:\n"
        "- {name: a, context: {cluster: c, user: u, namespace: llm}}\n"
        "- {name: b, context: {cluster: c, user: e}}\n"
        "- {name: d, context: {cluster: absent, user: u}}\n",
        encoding="utf-8",
    )
    found = find_credentials(environment={"KUBECONFIG": str(path)})
    assert (found.server, found.namespace, found.ca) == ("https://k", "llm", "PEM")
    assert found.bearer() == "from-file"
    with pytest.raises(ControlError, match="signs in by a program"):
        find_credentials(path, "b")
    with pytest.raises(ControlError, match=r"has no cluster 'absent'; its clusters: c"):
        find_credentials(path, "d")
    with pytest.raises(ControlError, match=r"has no context 'x'; its contexts: a, b, d"):
        find_credentials(path, "x")
    with pytest.raises(ControlError, match="cannot be used"):
        ApiServer(found)


def test_paths_are_escaped() -> None:
    """No segment ends where it should not, or leads elsewhere."""
    assert path_of("api", "a/b?c#d") == "/api/a%2Fb%3Fc%23d"
    for segment in ("", ".", ".."):
        with pytest.raises(ControlError, match="is no part of a path"):
            path_of("api", segment)
