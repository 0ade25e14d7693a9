"""A control plane (see control_plane.py) for a script that breaks it, with a second node.

The node is `fakelet.py` of the same folder as `start` and `stop`; its pods are local processes.
"""

import http.client
import json
import os
import signal
import ssl
import sys
from pathlib import Path
from urllib.parse import quote

from control_plane import ControlPlane, ControlPlaneError
from engine_parts import Part
from local_stack import Failure

NAMESPACE = "stf"
IMAGE = "registry/streamforge/worker:chaos"
NODES = ("fakelet-1", "fakelet-2")


class Node(Part):
    """A second node, a child of ours; the first one is started with the control plane."""

    def __init__(self, testbed: "Testbed"):
        super().__init__(NODES[1], testbed.folder / "fakelet-2.log")
        self.testbed = testbed

    def command(self) -> list[str]:
        return [sys.executable, str(self.testbed.scripts / "fakelet.py")]

    def environment(self) -> dict[str, str]:
        own = {"FAKELET_NODE": self.name, "FAKELET_DIR": str(self.testbed.folder / self.name)}
        return self.testbed.environment | own | {"FAKELET_PORT": "0"}

    def is_ready(self) -> bool:
        try:
            status = self.testbed.get(f"/api/v1/nodes/{self.name}").get("status", {})
        except (Failure, OSError):
            return False
        return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))


class Testbed:
    """The control plane and its two nodes."""

    def __init__(self, scripts: Path, programs: Path, folder: Path):
        self.scripts, self.folder = scripts, folder
        self.programs = programs
        self.plane = ControlPlane(scripts, folder)
        self.port = self.plane.port
        self.kubeconfig = Path()
        self.second = Node(self)

    @property
    def environment(self) -> dict[str, str]:
        return self.plane.environment

    def start(self) -> None:
        try:
            self.kubeconfig = self.plane.start(f"*/worker={self.programs}", NAMESPACE, FAKELET_BACKOFF="1")
        except ControlPlaneError as error:
            raise Failure(str(error)) from None
        self.token = (self.plane.run / "admin.token").read_text().strip()
        self.tls = ssl.create_default_context(cafile=self.plane.run / "pki" / "ca.crt")
        self.second.start()

    def stop(self) -> None:
        self.pause_server(False)
        self.second.stop()
        try:
            self.plane.stop()
        except ControlPlaneError as error:
            print(f"the control plane: {error}", file=sys.stderr)

    def kubeconfig_through(self, port: int) -> Path:
        """The kubeconfig of a client that reaches the server by another port."""
        path = self.folder / "proxied.kubeconfig"
        path.write_text(self.kubeconfig.read_text().replace(f":{self.port}", f":{port}"))
        path.chmod(0o600)
        return path

    # The server

    def pause_server(self, is_paused: bool) -> None:
        """A server that hangs: connections are taken, nothing is answered."""
        pids = self.plane.run / "pids"
        for line in pids.read_text().splitlines() if pids.exists() else []:
            pid, name = line.split()[:2]
            if name == "kube-apiserver":
                os.kill(int(pid), signal.SIGSTOP if is_paused else signal.SIGCONT)

    def call(self, method: str, path: str, body=None, kind="application/json") -> dict:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=10)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{method} {path}: {error!r}") from None
        finally:
            connection.close()
        if answer.status >= 300:
            raise Failure(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def get(self, path: str) -> dict:
        return self.call("GET", path)

    # Objects

    def list(self, kind: str, selector: str) -> list[dict]:
        group = {"jobs": "/apis/batch/v1", "pods": "/api/v1"}[kind]
        return self.get(f"{group}/namespaces/{NAMESPACE}/{kind}?labelSelector={quote(selector)}")["items"]

    def delete(self, kind: str, name: str) -> None:
        group = {"jobs": "/apis/batch/v1", "pods": "/api/v1"}[kind]
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        self.call("DELETE", f"{group}/namespaces/{NAMESPACE}/{kind}/{name}", options)

    def make_secret(self, name: str, members: dict[str, str]) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": members}
        self.call("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)

    def cordon(self, node: str) -> None:
        patch = {"spec": {"unschedulable": True}}
        self.call("PATCH", f"/api/v1/nodes/{node}", patch, "application/merge-patch+json")

    def delete_node(self, node: str) -> None:
        self.call("DELETE", f"/api/v1/nodes/{node}")


def pod_processes(pods: set[str]) -> list[int]:
    """The worker processes of pods, by the host name that each pod has."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            variables = entry.joinpath("environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has just ended, or is not ours
        names = dict(v.split("=", 1) for v in variables if "=" in v)
        if names.get("HOSTNAME") in pods and "QUEUE_ID" in names:
            found.append(int(entry.name))
    return found
