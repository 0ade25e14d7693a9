"""What processes use: CPU seconds and memory of a whole tree, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on (state, parent, …)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root: int | None) -> list[int]:
    """A process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:
                continue  # it has just ended
    found = [root] if root is not None else []
    for pid in found:
        found += children.get(pid, [])
    return found


@dataclass(frozen=True)
class CPU:
    """CPU seconds of a process, and of its descendants, those that have ended included."""

    own: float
    children: float

    @property
    def all(self) -> float:
        return self.own + self.children


def cpu(root: int | None) -> CPU:
    """Of a process that runs; zero for none."""
    own = children = 0.0
    for pid in tree(root):
        try:
            user, system, waited_user, waited_system = (int(value) / TICKS for value in _stat(pid)[11:15])
        except OSError:
            continue
        if pid == root:
            own = user + system
        else:
            children += user + system
        children += waited_user + waited_system
    return CPU(own, children)


def resident_megabytes(pid: int | None) -> float:
    """RSS of one process: what it holds in memory, shared pages included."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Rss:") / 1000 if pid else 0


def proportional_megabytes(root: int | None) -> float:
    """PSS of a tree: each shared page counted once over all that share it."""
    total = 0.0
    for pid in tree(root):
        try:
            total += _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") / 1000
        except OSError:
            continue
    return total


def _kilobytes(file: Path, name: str) -> float:
    for line in file.read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1])
    raise OSError(f"{file} has no {name}")
