"""A Kubernetes control plane on this machine, for tests: started and stopped by the programs of a folder.

    control_plane.py start --scripts FOLDER --folder WORK --programs 'IMAGE=FOLDER' --namespace NAME
    control_plane.py stop --scripts FOLDER --folder WORK

That folder (STREAMFORGE_K8S_TESTBED elsewhere) has `build`, `start` and `stop`: `build` makes the programs once, `start` runs
a real API server, Job controller and scheduler, on ports that its environment names, beside a node whose pods are
processes of this machine, and prints lines NAME=value. What is started has its keys, data and logs in WORK and is known by
it. `start` prints the path of the kubeconfig.
"""

import argparse
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

START_SECONDS_MAX = 400
# Its parts have a minute or two each to be ready, which a machine that is busy may need twice.
STARTS_MAX = 3
PORTS = ("APISERVER_PORT", "ETCD_PORT", "ETCD_PEER_PORT", "CONTROLLER_MANAGER_PORT", "SCHEDULER_PORT")


class ControlPlaneError(Exception):
    """Why it does not run, in words."""


def free_ports(count: int) -> list[int]:
    """Different ones: all are held until the last is found."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class ControlPlane:
    def __init__(self, scripts: Path, folder: Path):
        self.scripts, self.folder = scripts, folder
        # Short: sockets lie there.
        self.run = folder / "run"
        ports = dict(zip(PORTS, free_ports(len(PORTS))))
        self.port = ports["APISERVER_PORT"]
        self.environment = os.environ | {
            "K8S_TESTBED_RUN": str(self.run),
            **{name: str(port) for name, port in ports.items()},
        }

    def start(self, programs: str, namespace: str, **settings: str) -> Path:
        """Starts it; to be stopped also when it did not start.

        programs: which images' programs lie in which folder, e.g. `*/worker=/path`.
        settings: more variables for `start`.
        Returns the kubeconfig.
        """
        own = {"FAKELET": "1", "FAKELET_BIN": programs, "NAMESPACE": namespace}
        self.environment |= own | settings
        log = self.folder / "start.log"
        for _ in range(STARTS_MAX):
            done = self.call("start", log)
            if done.returncode == 0:
                lines = [shlex.split(line)[0] for line in done.stdout.decode().splitlines()]
                return Path(dict(line.split("=", 1) for line in lines)["KUBECONFIG"])
        said = [line for line in log.read_text().splitlines() if line.startswith("start:")]
        raise ControlPlaneError(f"the control plane did not start: {said[-1] if said else 'see ' + str(log)}")

    def build(self) -> None:
        log = self.folder / "build.log"
        if self.call("build", log, seconds=None).returncode != 0:
            raise ControlPlaneError(f"the control plane could not be built:\n{log.read_text()[-1000:]}")

    def stop(self) -> None:
        self.call("stop", self.folder / "stop.log")

    def call(
        self, program: str, log: Path, seconds: int | None = START_SECONDS_MAX
    ) -> subprocess.CompletedProcess:
        with open(log, "wb") as errors:
            try:
                return subprocess.run(
                    [self.scripts / program], env=self.environment, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=errors, check=False, timeout=seconds,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as error:
                raise ControlPlaneError(f"{program}: {error}") from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="control_plane.py")
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--scripts", type=Path, required=True, help="the folder with build, start and stop")
    parser.add_argument("--folder", type=Path, required=True, help="where keys, data and logs go")
    parser.add_argument("--programs", help="IMAGE=FOLDER: where the programs of pods lie")
    parser.add_argument("--namespace", help="is made")
    arguments = parser.parse_args()
    plane = ControlPlane(arguments.scripts, arguments.folder)
    try:
        if arguments.action == "stop":
            plane.stop()
            return 0
        if not arguments.programs or not arguments.namespace:
            parser.error("start needs --programs and --namespace")
        plane.build()
        print(plane.start(arguments.programs, arguments.namespace))
    except ControlPlaneError as error:
        print(f"control plane: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
