"""Where the API server is and who we are there: in the cluster, or by a kubeconfig file."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.control.errors import ActuationError, ControlError
from optimizer.spec.source_text import read_text
from optimizer.spec.yaml_document import read_yaml

__all__ = ["Credentials", "find_credentials", "from_kubeconfig", "in_cluster"]

# Where Kubernetes mounts the token of a pod's service account.
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Address of an API server, and what proves who we are.

    Parameters
    ----------
    server
        Such as `https://10.0.0.1:443`.
    namespace
        Where we are, or work by default.
    token
        Bearer token.
    token_file
        File with a bearer token, read again for every request, as tokens of pods are renewed.
    ca
        Certificates to be trusted, in PEM; by default those of the system.
    certificate, key
        Client certificate and its key, in PEM.
    verify
        Whether the server's certificate is checked.
    """

    server: str
    namespace: str = "default"
    token: str | None = None
    token_file: Path | None = None
    ca: str | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    verify: bool = True

    def __repr__(self) -> str:
        """Return it without what is secret."""
        return f"Credentials(server={self.server!r}, namespace={self.namespace!r})"

    def bearer(self) -> str | None:
        """Return the token of the moment.

        Raises
        ------
        ActuationError
            If its file cannot be read.
        """
        if self.token_file is None:
            return self.token
        try:
            return self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ActuationError(f"the token {self.token_file} cannot be read: {error}") from error

    def ssl_context(self) -> ssl.SSLContext:
        """Return what connections are secured with.

        Raises
        ------
        ControlError
            If a certificate or key is none.
        """
        try:
            context = ssl.create_default_context(cadata=self.ca)
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.certificate is not None and self.key is not None:
                with tempfile.TemporaryDirectory() as folder:
                    pair = Path(folder, "pair.pem")
                    pair.touch(mode=0o600)
                    pair.write_bytes(self.certificate + b"\n" + self.key)
                    context.load_cert_chain(pair)
        except (ssl.SSLError, ValueError) as error:
            raise ControlError(
                f"a certificate for {self.server} cannot be used: {error}"
            ) from error
        return context


def find_credentials(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Credentials:
    """Return credentials as kubectl finds them, the pod's own first.

    Parameters
    ----------
    kubeconfig
        File; by default, outside of a cluster, what KUBECONFIG names, else `~/.kube/config`.
    context
        Context of the file; by default its current one.
    environment
        By default the process's.

    Raises
    ------
    ControlError
        If there are none, or they cannot be read.
    """
    env = os.environ if environment is None else environment
    if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in env:
        return in_cluster(env)
    path = kubeconfig or env.get("KUBECONFIG", "").split(os.pathsep)[0] or "~/.kube/config"
    return from_kubeconfig(Path(path).expanduser(), context)


def in_cluster(environment: Mapping[str, str], folder: Path = _SERVICE_ACCOUNT) -> Credentials:
    """Return the credentials of the pod that we run in.

    Raises
    ------
    ControlError
        If this is no pod with a service account.
    """
    try:
        host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
        ca = (folder / "ca.crt").read_text(encoding="ascii")
        namespace = (folder / "namespace").read_text(encoding="utf-8").strip()
        token_file = folder / "token"
        token_file.read_bytes()
    except (KeyError, OSError, UnicodeDecodeError) as error:
        raise ControlError(
            f"this is no pod with a service account: {error}; outside of a cluster give a "
            "kubeconfig"
        ) from error
    shown = f"[{host}]" if ":" in host else host
    return Credentials(
        server=f"https://{shown}:{port}", namespace=namespace, token_file=token_file, ca=ca
    )


def from_kubeconfig(path: Path, context: str | None = None) -> Credentials:
    """Return the credentials of one context of a kubeconfig file.

    Raises
    ------
    SpecError
        If there is no such file, or it is no YAML.
    ControlError
        If it has no such context, or its user signs in by a program.
    """
    text = read_text(path)
    document, _, _ = read_yaml(text.text, text.name)
    config = document if isinstance(document, Mapping) else {}
    chosen = context or config.get("current-context")
    place = _named(config, "contexts", "context", chosen, path)
    cluster = _named(config, "clusters", "cluster", place.get("cluster"), path)
    user = _named(config, "users", "user", place.get("user"), path) if place.get("user") else {}
    for program in ("exec", "auth-provider"):
        if program in user:
            raise ControlError(
                f"{path}: user '{place.get('user')}' signs in by a program ({program}): run "
                "`kubectl proxy`, and give a kubeconfig with server: http://127.0.0.1:8001"
            )
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise ControlError(f"{path}: cluster '{place.get('cluster')}' has no server")
    ca = _content(cluster, "certificate-authority", path)
    token_file = user.get("tokenFile")
    return Credentials(
        server=server.rstrip("/"),
        namespace=str(place.get("namespace") or "default"),
        token=user.get("token"),
        token_file=None if token_file is None else path.parent / str(token_file),
        ca=None if ca is None else ca.decode("ascii", "replace"),
        certificate=_content(user, "client-certificate", path),
        key=_content(user, "client-key", path),
        verify=not cluster.get("insecure-skip-tls-verify", False),
    )


def _named(
    config: Mapping[str, Any], group: str, kind: str, name: object, path: Path
) -> Mapping[str, Any]:
    """Return an entry of a list of named ones."""
    entries = config.get(group)
    known = [e for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else []
    for entry in known:
        if entry.get("name") == name and isinstance(entry.get(kind), Mapping):
            return dict(entry[kind])
    names = ", ".join(str(entry.get("name")) for entry in known) or "none"
    raise ControlError(f"{path}: has no {kind} '{name}'; its {group}: {names}")


def _content(entry: Mapping[str, Any], key: str, path: Path) -> bytes | None:
    """Return what stands in an entry itself, or in a file that it names."""
    data = entry.get(f"{key}-data")
    try:
        if data is not None:
            return base64.b64decode(str(data), validate=True)
        file = entry.get(key)
        return None if file is None else (path.parent / str(file)).read_bytes()
    except (OSError, binascii.Error) as error:
        raise ControlError(f"{path}: {key} cannot be read: {error}") from error
