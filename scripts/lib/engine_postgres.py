"""A private PostgreSQL server that can be restarted, killed and paused."""

import os
import pwd
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from engine_parts import Part, free_port
from local_stack import Failure

POSTGRES_USER = "streamforge"


class Postgres(Part):
    """The settings are those of `streamforge up`: fsync and everything else durable by default."""

    SETTINGS = {
        "shared_buffers": "128MB",
        "jit": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "1GB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    RECOVERY_SECONDS = 30

    def __init__(self, folder: Path, connections_max: int = 200):
        super().__init__("PostgreSQL", folder / "postgres.log")
        self.folder, self.port = folder / "postgres", free_port()
        self.settings = self.SETTINGS | {"max_connections": str(connections_max)}
        self.password = secrets.token_hex(24)
        versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
        found = shutil.which("initdb")
        if not versions and not found:
            raise Failure("PostgreSQL is missing: run scripts/setup")
        newest = max(versions, key=lambda path: float(path.parent.name), default=None)
        self.programs = newest or Path(found).resolve().parent
        self.is_created = False

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The address by way of another port, for a proxy."""
        return f"postgres://{POSTGRES_USER}:{self.password}@127.0.0.1:{port}/streamforge"

    def command(self) -> list[str]:
        fixed = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        options = [
            word for name, value in (self.settings | fixed).items() for word in ("-c", f"{name}={value}")
        ]
        return [*self._as_owner(), str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options]

    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def start(self) -> None:
        if not self.is_created:
            self._create()
        deadline = time.monotonic() + self.RECOVERY_SECONDS
        while True:
            # The server takes any live process that has by now the number in it for its predecessor.
            (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
            try:
                super().start()
                break
            except Failure:
                # Sessions of one that was killed hold its memory until they notice.
                if self.pid is not None or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)
        if not self.is_created:
            self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", POSTGRES_USER, "streamforge")
            self.is_created = True

    def is_ready(self) -> bool:
        command = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, env=self.environment(), check=False).returncode == 0

    def _create(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        file = self.folder / "password"
        file.touch(mode=0o600)
        file.write_text(self.password)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (self.folder, file):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        arguments = ["-U", POSTGRES_USER, f"--pwfile={file}", "--auth=scram-sha-256", "--encoding=UTF8"]
        arguments += ["--locale=C", "--no-instructions", "-D", str(self.folder / "data")]
        self._run("initdb", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as_owner(), str(self.programs / program), *arguments],
            env=self.environment() | {"PGPASSWORD": self.password},
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            timeout=120,
        )
        if done.returncode != 0:
            raise Failure(f"{program} failed: {(done.stderr or done.stdout).strip()[-500:]}")

    @staticmethod
    def _as_owner() -> list[str]:
        """The server refuses to run as root."""
        if os.geteuid() != 0:
            return []
        owner = pwd.getpwnam("postgres")
        return [
            "setpriv",
            f"--reuid={owner.pw_uid}",
            f"--regid={owner.pw_gid}",
            "--clear-groups",
            "--pdeathsig",
            "KILL",
        ]
