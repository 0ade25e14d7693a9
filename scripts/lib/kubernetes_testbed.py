"""A Kubernetes control plane on this machine for a script: started, broken and stopped by the folder K8S_TESTBED.

That folder has `start`, `stop` and `fakelet.py`: `start` runs a real API server, Job controller and scheduler on
ports of the environment and prints NAME=value lines, `fakelet.py` is one node whose pods are local processes.
"""

import http.client
import json
import os
import shlex
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from engine_parts import Part, free_port
from local_stack import Failure

NAMESPACE = "stf"
IMAGE = "registry/streamforge/worker:chaos"
NODES = ("fakelet-1", "fakelet-2")
START_SECONDS_MAX = 400
STARTS_MAX = 3


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
        self.port = free_port()
        names = ("ETCD_PORT", "ETCD_PEER_PORT", "CONTROLLER_MANAGER_PORT", "SCHEDULER_PORT")
        self.environment = os.environ | {
            "K8S_TESTBED_RUN": str(folder / "run"),
            "APISERVER_PORT": str(self.port),
            "FAKELET": "1",
            "FAKELET_BIN": f"*/worker={programs}",
            "FAKELET_BACKOFF": "1",
            "NAMESPACE": NAMESPACE,
            **{name: str(free_port()) for name in names},
        }
        self.kubeconfig = ""
        self.second = Node(self)

    def start(self) -> None:
        # Its parts have a minute or two each to be ready, which a machine that is busy may need twice.
        for left in reversed(range(STARTS_MAX)):
            log = self.folder / "start.log"
            with open(log, "wb") as output:
                done = subprocess.run(
                    [self.scripts / "start"],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    check=False,
                    timeout=START_SECONDS_MAX,
                )
            if done.returncode == 0:
                break
            if not left:
                said = [line for line in log.read_text().splitlines() if line.startswith("start:")]
                raise Failure(f"the control plane did not start: {said[-1] if said else 'see ' + str(log)}")
        lines = [shlex.split(line)[0] for line in done.stdout.decode().splitlines()]
        self.kubeconfig = dict(line.split("=", 1) for line in lines)["KUBECONFIG"]
        run = Path(self.environment["K8S_TESTBED_RUN"])
        self.token = (run / "admin.token").read_text().strip()
        self.tls = ssl.create_default_context(cafile=run / "pki" / "ca.crt")
        self.second.start()

    def stop(self) -> None:
        self.pause_server(False)
        self.second.stop()
        subprocess.run([self.scripts / "stop"], env=self.environment, capture_output=True, check=False)

    def kubeconfig_through(self, port: int) -> Path:
        """The kubeconfig of a client that reaches the server by another port."""
        path = self.folder / "proxied.kubeconfig"
        path.write_text(Path(self.kubeconfig).read_text().replace(f":{self.port}", f":{port}"))
        path.chmod(0o600)
        return path

    # The server

    def pause_server(self, is_paused: bool) -> None:
        """A server that hangs: connections are taken, nothing is answered."""
        pids = Path(self.environment["K8S_TESTBED_RUN"]) / "pids"
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
