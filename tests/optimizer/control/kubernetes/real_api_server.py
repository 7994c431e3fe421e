"""A real kube-apiserver with its etcd, for a session of tests; every wait has an end."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import REPOSITORY
from tests.optimizer.control.kubernetes.fake_api_server import Request

_ARCHIVE = REPOSITORY.parent / "shared" / "bin" / "kube-apiserver-1.20.2-linux-amd64.gz"
_READY_S = 60.0
_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


def why_not() -> str:
    """Why there is no real server here; "" where there is."""
    if shutil.which("etcd") is None:
        return "etcd is not installed (Debian's package etcd-server)"
    if "KUBE_APISERVER_BIN" not in os.environ and not _ARCHIVE.is_file():
        return "there is no kube-apiserver: set KUBE_APISERVER_BIN"
    return ""


@dataclass(frozen=True)
class RealApiServer:
    """Where it listens and what it writes down."""

    url: str
    audit: Path

    def requests(self) -> list[Request]:
        """Everything that was asked of it, once it has written it down."""
        found = []
        for line in self.audit.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            place = event.get("objectRef", {})
            found.append(
                Request(
                    user=event["user"].get("username", ""),
                    verb=event["verb"],
                    resource=place.get("resource", ""),
                    subresource=place.get("subresource", ""),
                    name=place.get("name", ""),
                    namespace=place.get("namespace", ""),
                    code=event.get("responseStatus", {}).get("code", 0),
                    dry_run="dryRun=All" in event["requestURI"],
                )
            )
        return found


@contextmanager
def real_api_server(folder: Path, users: dict[str, str]) -> Iterator[RealApiServer]:
    """Start both; kill both at the end, whatever happened."""
    binary = os.environ.get("KUBE_APISERVER_BIN")
    if binary is None:
        binary = str(folder / "kube-apiserver")
        with gzip.open(_ARCHIVE) as packed, open(binary, "wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 2**20)
        os.chmod(binary, 0o755)
    client, peer, port = _free_port(), _free_port(), _free_port()
    groups = {"admin": ',"system:masters"'}
    tokens = "".join(f"{t},{u},{u}{groups.get(u, '')}\n" for t, u in users.items())
    (folder / "tokens.csv").write_text(tokens, encoding="ascii")
    (folder / "policy.yaml").write_text(_POLICY, encoding="ascii")
    key = folder / "sa.key"
    subprocess.run(
        ["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True, timeout=60
    )
    audit = folder / "audit.log"
    etcd = [
        *("etcd", "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
        *("--listen-client-urls", f"http://127.0.0.1:{client}"),
        *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
    ]
    server = [
        *(binary, "--etcd-servers", f"http://127.0.0.1:{client}"),
        *("--cert-dir", str(folder / "certificates"), "--secure-port", str(port)),
        *("--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"),
        *("--service-cluster-ip-range", "10.0.0.0/24", "--authorization-mode", "RBAC"),
        *("--token-auth-file", str(folder / "tokens.csv"), "--service-account-issuer"),
        *("https://k.local", "--service-account-key-file", str(key)),
        *("--service-account-signing-key-file", str(key)),
        *("--disable-admission-plugins", "ServiceAccount"),
        *("--audit-policy-file", str(folder / "policy.yaml"), "--audit-log-path", str(audit)),
    ]
    with ExitStack() as ends:
        for command in (etcd, server):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            ends.callback(_kill, process)
        url = f"https://127.0.0.1:{port}"
        _wait(url)
        yield RealApiServer(url, audit)


def _wait(url: str) -> None:
    """Wait until it says that it is ready, for so long."""
    until_s = time.monotonic() + _READY_S
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    headers = {"Authorization": "Bearer admintok"}
    with httpx.Client(verify=trusting, timeout=5, headers=headers, trust_env=False) as asker:
        while True:
            try:
                if asker.get(f"{url}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > until_s:
                raise TimeoutError(f"kube-apiserver was not ready in {_READY_S:g} s")
            time.sleep(0.2)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(10)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
