"""Server-side dry-run of manifests; see scripts/check-manifests."""

import argparse
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ROOT / "k8s" / "overlays"
KUBECTL = os.environ.get("KUBECTL") or str(ROOT / ".streamforge/tools/bin/kubectl")
# A namespace that every cluster has: objects are asked about as if they were there.
NAMESPACE = "default"
SECONDS_MAX = 60


class Failure(Exception):
    """What kept us from asking."""


def kubectl(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(
            [KUBECTL, *arguments], input=given, capture_output=True, text=True, timeout=SECONDS_MAX
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"kubectl {arguments[0]}: {error}") from None


def objects_of(source: str) -> list[dict]:
    """The objects of an overlay by name, or of a file."""
    if (OVERLAYS / source).is_dir():
        made = kubectl("kustomize", str(OVERLAYS / source))
        if made.returncode != 0:
            raise Failure(f"{source}: {made.stderr.strip()}")
        text = made.stdout
    elif Path(source).is_file():
        text = Path(source).read_text()
    else:
        known = ", ".join(sorted(folder.name for folder in OVERLAYS.iterdir()))
        raise Failure(f"{source} is neither a file nor an overlay; overlays: {known}")
    return [document for document in yaml.safe_load_all(text) if document]


class Server:
    """What the API server knows."""

    def __init__(self):
        self.known: dict[str, dict[str, bool]] = {}
        answer = kubectl("version", "--output", "json")
        if answer.returncode != 0:
            raise Failure(f"the API server does not answer: {answer.stderr.strip()}")
        self.version = json.loads(answer.stdout)["serverVersion"]["gitVersion"]

    def kinds(self, version: str) -> dict[str, bool]:
        """The kinds of an apiVersion, and whether they are in namespaces."""
        if version not in self.known:
            path = f"/apis/{version}" if "/" in version else f"/api/{version}"
            answer = kubectl("get", "--raw", path)
            if answer.returncode != 0 and "NotFound" not in answer.stderr:
                raise Failure(f"{path}: {answer.stderr.strip()}")
            found = json.loads(answer.stdout)["resources"] if answer.returncode == 0 else []
            self.known[version] = {
                kind["kind"]: kind["namespaced"] for kind in found if "/" not in kind["name"]
            }
        return self.known[version]

    def refusals(self, manifest: dict) -> list[str]:
        """Why the server would not take an object, or not all of it; empty when it would."""
        if self.kinds(manifest["apiVersion"])[manifest["kind"]]:
            manifest = manifest | {"metadata": manifest["metadata"] | {"namespace": NAMESPACE}}
        # Applied by the server: a field it has not in its schema is an error, however old the server is.
        answer = kubectl(
            "apply", "--server-side", "--force-conflicts", "--field-manager=check-manifests",
            "--dry-run=server", "--validate=false", "--output=json", "--filename=-",
            given=json.dumps(manifest),
        )  # fmt: skip
        if answer.returncode != 0:
            return [answer.stderr.strip()]
        return list(dropped(manifest, json.loads(answer.stdout), ""))


def dropped(sent, got, path: str):
    """Where the answer has not what was sent, e.g. because the server does not know the field."""
    if isinstance(sent, dict) and isinstance(got, dict):
        for name, value in sent.items():
            if name not in got and value not in (None, {}, []):
                yield f"{path}.{name} was dropped"
            elif name in got:
                yield from dropped(value, got[name], f"{path}.{name}")
    elif isinstance(sent, list) and isinstance(got, list):
        if len(sent) != len(got):
            yield f"{path} has {len(got)} items, {len(sent)} were sent"
        for number, (value, other) in enumerate(zip(sent, got)):
            yield from dropped(value, other, f"{path}[{number}]")
    elif sent != got and quantity(sent) != quantity(got):
        yield f"{path} became {got!r}, {sent!r} was sent"


UNITS = {"m": Decimal("0.001"), "": 1, "k": 10**3, "M": 10**6, "G": 10**9}
UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(value):
    """A number for texts that mean one, so that `1000m` is `1`."""
    found = re.fullmatch(r"([0-9.]+)(m|k|M|G|Ki|Mi|Gi|Ti|)", str(value))
    return Decimal(found[1]) * UNITS[found[2]] if found else value


def check(sources: list[str], require_all: bool) -> bool:
    server = Server()
    print(f"check-manifests: Kubernetes {server.version}")
    unchecked: set[str] = set()
    is_good = True
    for source in sources:
        objects = objects_of(source)
        asked = [item for item in objects if item["kind"] in server.kinds(item["apiVersion"])]
        unchecked |= {f"{item['apiVersion']} {item['kind']}" for item in objects if item not in asked}
        refused = 0
        for item in asked:
            for reason in server.refusals(item):
                print(f"{source}: {item['kind']} {item['metadata']['name']}: {reason}")
                refused += 1
        is_good = is_good and refused == 0
        print(f"{source}: {len(asked)} of {len(objects)} objects checked, {refused} problems")
    for kind in sorted(unchecked):
        print(f"unchecked, the server does not know it: {kind}")
    if unchecked and require_all:
        print("check-manifests: --require-all: none may be left unchecked")
    return is_good and not (unchecked and require_all)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/check-manifests")
    parser.add_argument("--require-all", action="store_true", help="the server must know all kinds")
    parser.add_argument("sources", nargs="*", default=["dev", "prod"], help="overlays, or files of objects")
    arguments = parser.parse_args()
    try:
        is_good = check(arguments.sources, arguments.require_all)
    except Failure as failure:
        print(f"check-manifests: {failure}", file=sys.stderr)
        return 2
    print(f"check-manifests: {'passed' if is_good else 'FAILED'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
