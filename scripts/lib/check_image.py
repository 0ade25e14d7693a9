"""Carries out docker/Dockerfile in a plain Debian; see scripts/check-image."""

import argparse
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
PRODUCTS = ("queue-manager", "streamforge-worker", "streamforge-graph", "gnn-trainer", "streamforge")
# Those whose calculations would be slow on the plain BLAS that Debian also has.
CALCULATING = ("streamforge-graph", "gnn-trainer")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Before it Kafka 4 refuses SCRAM logins, docs/decisions/0028.
LIBRDKAFKA_MIN = "2.6.1"
# One command, be it an installation over a slow line.
SECONDS_MAX = 900


class Failure(Exception):
    pass


def run(*command: str, **options) -> subprocess.CompletedProcess:
    options = {"capture_output": True, "text": True, "timeout": SECONDS_MAX} | options
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{command[0]}: {error}") from None


def must(*command: str, **options) -> str:
    done = run(*command, **options)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise Failure("\n".join([f"{shlex.join(command)[:300]}: exit {done.returncode}", *lines]))
    return done.stdout


# The Dockerfile, as far as ours goes.


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions and their words, continued lines joined, comments gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [line.strip().split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(word.upper(), rest) for word, rest in found]


@dataclass
class Stage:
    name: str
    origin: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def stages(text: str) -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    stage = None
    for word, rest in instructions(text):
        if word == "FROM":
            origin, _, name = rest.split()
            stage = found[name] = Stage(name, origin)
        elif stage:
            stage.steps.append((word, rest))
    return found


class Container:
    """An image's file system under way, and what would run in it."""

    def __init__(self, root: Path, trees: "Trees", arguments: dict[str, str]):
        self.root, self.trees, self.given = root, trees, arguments
        self.arguments: dict[str, str] = {}
        self.shell = ["/bin/sh", "-c"]
        self.user, self.folder = "0:0", "/"
        self.entry: list[str] = []
        self.health: list[str] = []

    def go_on_from(self, base: "Container") -> None:
        """What the stage before has set holds here too; its arguments do not."""
        self.shell, self.user, self.folder, self.health = base.shell, base.user, base.folder, base.health

    def size(self) -> str:
        kilobytes = must("du", "--summarize", "--one-file-system", str(self.root)).split()[0]
        return f"{int(kilobytes) / 1000:.0f} MB"

    def chroot(self, *command: str, **variables: str) -> subprocess.CompletedProcess:
        settings = [f"{name}={value}" for name, value in variables.items()]
        # /proc, as in a container; the mount goes with the command.
        return run(
            "unshare", "--mount", "--propagation=private",
            "/bin/sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$@"', str(self.root),
            f"--userspec={self.user}", "--groups=", str(self.root),
            "/usr/bin/env", "-i", f"--chdir={self.folder}", f"PATH={PATH}", "HOME=/nonexistent",
            "DEBIAN_FRONTEND=noninteractive", *settings, *command,
        )  # fmt: skip

    def carry_out(self, steps: list[tuple[str, str]]) -> None:
        for word, rest in steps:
            done = getattr(self, f"do_{word.lower()}", None)
            if done is None:
                raise Failure(f"{DOCKERFILE.name}: {word} is not known here")
            done(rest)

    def filled(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda found: self.arguments[found[1]], text)

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def do_arg(self, rest: str) -> None:
        name, _, fallback = rest.partition("=")
        self.arguments[name] = self.given.get(name, fallback)

    def do_shell(self, rest: str) -> None:
        self.shell = json.loads(rest)

    def do_run(self, rest: str) -> None:
        given = []
        while rest.startswith("--mount="):
            option, _, rest = rest.partition(" ")
            given.append(self.give(dict(part.split("=") for part in option.removeprefix("--mount=").split(","))))
        done = self.chroot(*self.shell, rest.strip(), **self.arguments)
        for place in given:
            shutil.rmtree(place)
        if done.returncode != 0:
            raise Failure(f"RUN {rest[:200]}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")

    def give(self, mount: dict[str, str]) -> Path:
        """What another stage made, for one command."""
        if mount["type"] != "bind":
            raise Failure(f"{DOCKERFILE.name}: a mount of type {mount['type']} is not known here")
        place = self.inside(mount["target"])
        shutil.copytree(self.trees.stage(mount["from"]).inside(mount["source"]), place)
        return place

    def do_copy(self, rest: str) -> None:
        words = self.filled(rest).split()
        options = dict(word[2:].split("=") for word in words if word.startswith("--"))
        source, target = [word for word in words if not word.startswith("--")]
        sources = [ROOT / source]
        if "from" in options:
            name = Path(source).name
            wanted = PRODUCTS if source.endswith("/") else (name,)
            sources = [self.trees.programs / product for product in wanted]
        for file in sources:
            place = self.inside(target) / file.name if target.endswith("/") else self.inside(target)
            if not file.is_file():
                raise Failure(f"COPY {rest}: there is no {file}")
            how = "--strip" if "from" in options else "--no-target-directory"
            must("install", how, str(file), str(place))
            place.chmod(int(options.get("chmod", "755"), 8))

    def do_user(self, rest: str) -> None:
        self.user = rest

    def do_workdir(self, rest: str) -> None:
        self.folder = rest
        self.inside(rest).mkdir(parents=True, exist_ok=True)

    def do_entrypoint(self, rest: str) -> None:
        self.entry = json.loads(rest)

    def do_healthcheck(self, rest: str) -> None:
        self.health = json.loads(rest.partition(" CMD ")[2])

    def do_expose(self, rest: str) -> None: ...

    def do_label(self, rest: str) -> None: ...


class Trees:
    """The stages' file systems, each made once, from a copy of that of the stage before."""

    def __init__(self, known: dict[str, Stage], plain: Path, programs: Path):
        self.known, self.plain, self.programs = known, plain, programs
        self.made: dict[str, Container] = {}

    def stage(self, name: str, **arguments: str) -> Container:
        """A stage carried out, with the build's arguments."""
        if name in self.made:
            return self.made[name]
        origin = self.known[name].origin
        for argument, value in arguments.items():
            origin = origin.replace(f"${{{argument}}}", value)
        before = self.stage(origin) if origin in self.known else None
        source = before.root if before else self.plain
        if not self.known[name].steps and before:
            return before
        root = self.plain.with_name("-".join([name, *arguments.values()]))
        must("cp", "--archive", "--reflink=auto", str(source), str(root))
        box = Container(root, self, arguments)
        if before:
            box.go_on_from(before)
        box.carry_out(self.known[name].steps)
        # With arguments it is an end: nothing goes on from there.
        if not arguments:
            self.made[name] = box
        return box


# What the image must do.


def check_blas(box: Container, product: str, libraries: list[str]) -> None:
    """It calculates with OpenBLAS, whichever of the two names it asks for."""
    names = [line.split()[2] for line in libraries if line.split()[0] in ("libblas.so.3", "libopenblas.so.0")]
    found = [box.chroot("readlink", "--canonicalize", name).stdout.strip() for name in names]
    if not found or not all("openblas" in name for name in found):
        raise Failure(f"{product}: its BLAS is {found or 'none'}, not OpenBLAS")


def check_program(box: Container, product: str, entry: list[str]) -> None:
    uid = box.user.split(":")[0]
    if not uid.isdecimal() or uid == "0":
        raise Failure(f"{product}: it runs as {box.user}, not as a numbered user that is not root")
    libraries = box.chroot("ldd", f"/usr/local/bin/{product}").stdout.splitlines()
    missing = [line for line in libraries if "not found" in line]
    if missing:
        raise Failure(f"{product}: libraries are missing in the image: {missing}")
    if product in CALCULATING:
        check_blas(box, product, libraries)
    shown = box.chroot(*entry, "--help")
    if shown.returncode != 0 or f"USAGE: {product}" not in shown.stdout:
        raise Failure(f"{product} --help: exit {shown.returncode}: {(shown.stdout + shown.stderr)[-500:]}")


def check_librdkafka(box: Container) -> None:
    """New enough for the brokers of today, and found by the programs under its name."""
    shown = box.chroot("dpkg-query", "--show", "--showformat=${Version}", "librdkafka1")
    newer = box.chroot("dpkg", "--compare-versions", shown.stdout, "ge", LIBRDKAFKA_MIN)
    if shown.returncode != 0 or newer.returncode != 0:
        raise Failure(f"librdkafka1 is {shown.stdout or 'missing'}, not {LIBRDKAFKA_MIN} or newer")
    print(f"check-image: librdkafka1 is {shown.stdout}")


def check_refusal(box: Container) -> None:
    """Without settings the queue-manager says what is missing, and ends as it should."""
    refused = box.chroot(*box.entry)
    if refused.returncode != 10 or "KAFKA_BOOTSTRAP_SERVERS" not in refused.stderr:
        raise Failure(f"without settings: exit {refused.returncode}: {refused.stderr[-500:]}")


def check_time_zones(box: Container) -> None:
    """Schedules need them."""
    if not box.inside("/usr/share/zoneinfo/Europe/Berlin").exists():
        raise Failure("the image knows no time zones")


class Health(http.server.BaseHTTPRequestHandler):
    status = 200
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_): ...


def check_health(box: Container) -> None:
    """The health check tells a program that is well from one that is not, and from none."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = str(server.server_address[1])
        answers = []
        for Health.status in (200, 503):
            answers.append(box.chroot(*box.health, PORT=port).returncode == 0)
        server.shutdown()
    answers.append(box.chroot(*box.health, PORT=port).returncode == 0)
    if answers != [True, False, False] or set(Health.asked) != {"/health/live"}:
        raise Failure(f"the health check said {answers} of a healthy, an ill and no program: {Health.asked}")


# The whole.


def lint() -> None:
    if shutil.which("hadolint"):
        must("hadolint", str(DOCKERFILE))
        print("check-image: hadolint has nothing to say")
    else:
        print("check-image: hadolint is not installed; the Dockerfile is not linted")
    known = (["docker", "compose"], ["docker-compose"])
    # A client of Docker's may be there without this part of it.
    versions = {tuple(one): run(*one, "version", "--short") for one in known if shutil.which(one[0])}
    compose = next((one for one, version in versions.items() if version.returncode == 0), None)
    if compose is None:
        print("check-image: docker compose is not installed; docker/compose.yaml is not checked")
        return
    version = versions[compose].stdout.strip()
    if not version.startswith("1."):
        must(*compose, "--file", str(COMPOSE), "config", "--quiet")
    else:
        # It takes all of today's file but the project's name.
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(re.sub(r"^name: .*\n", "", COMPOSE.read_text(), flags=re.MULTILINE))
            file.flush()
            folder = str(COMPOSE.parent)
            must(*compose, "--project-directory", folder, "--file", file.name, "config", "--quiet")
    print(f"check-image: docker compose {version} takes the file")


def make_plain(folder: Path) -> Path:
    plain = folder / "debian"
    print("check-image: making a plain Debian 12")
    must("debootstrap", "--variant=minbase", "bookworm", str(plain))
    # No package may start a service of this machine's.
    policy = plain / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    shutil.copy("/etc/resolv.conf", plain / "etc/resolv.conf")
    return plain


def check(programs: Path, folder: Path) -> None:
    trees = Trees(stages(DOCKERFILE.read_text()), make_plain(folder), programs)
    base = trees.stage("base")
    check_librdkafka(base)
    check_time_zones(base)
    check_health(base)
    print("check-image: the stage base is right")
    for product in PRODUCTS:
        box = trees.stage("product", PRODUCT=product)
        check_program(box, product, box.entry)
        if product == "queue-manager":
            check_refusal(box)
        print(f"check-image: {product} starts as {box.user}; the image's files have {box.size()}")
        must("rm", "--recursive", "--force", "--one-file-system", str(box.root))
    local = trees.stage("local")
    check_program(local, "queue-manager", local.entry)
    for product in PRODUCTS:
        check_program(local, product, [product])
    print(f"check-image: the stage local is right; the image's files have {local.size()}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/check-image")
    parser.add_argument("--programs", type=Path, required=True)
    programs = parser.parse_args().programs
    folder = Path(tempfile.mkdtemp(prefix="streamforge-image-"))
    try:
        lint()
        check(programs, folder)
    except Failure as failure:
        print(f"check-image: FAILED: {failure}", file=sys.stderr)
        return 1
    finally:
        # debootstrap leaves nothing mounted; were something, it would stay.
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=False)
    print("check-image: passed")
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
