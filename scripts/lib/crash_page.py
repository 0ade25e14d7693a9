"""Pages of crash points: where a process is, and stopping it exactly there.

A process with CRASH_POINTS_DIR maps the file <dir>/<pid>; the layout is that of the documentation of
`CrashPoints` in Sources/ServiceRuntime/CrashPoints.
"""

import mmap
import struct
from pathlib import Path

POINTS = {
    1: "before produce",
    2: "after produce",
    3: "before transaction commit",
    4: "after transaction commit",
    5: "before store write",
    6: "after store write",
    7: "before position commit",
    8: "after position commit",
    9: "before final event",
    10: "after final event",
    11: "before event apply",
    12: "after event apply",
    13: "before launch",
    14: "after launch",
}
BYTES = 4096
MAGIC = b"SFCRASH1"
CURRENT, STOP_AT, STOPPED, STOP_COUNT, COUNTS = 12, 16, 20, 24, 256


class CrashPage:
    """The page of one process. It stays readable when the process is gone."""

    def __init__(self, directory: Path, pid: int):
        with open(directory / str(pid), "r+b") as file:
            self.map = mmap.mmap(file.fileno(), BYTES)
        if self.map[:8] != MAGIC:
            self.map.close()
            raise ValueError("the page is not ready yet")

    @staticmethod
    def of(directory: Path, pid: int) -> "CrashPage | None":
        """None while the process has made none."""
        try:
            return CrashPage(directory, pid)
        except (OSError, ValueError):
            return None

    def _word(self, offset: int) -> int:
        return struct.unpack_from("<I", self.map, offset)[0]

    @property
    def place(self) -> str:
        """For people: the point it reached last."""
        point = self._word(CURRENT)
        return f"last at {POINTS[point]} ({self.count(point)} times there)" if point else "before any point"

    def count(self, point: int) -> int:
        return struct.unpack_from("<Q", self.map, COUNTS + 8 * point)[0]

    def arm(self, point: int, visits_from_now: int = 1) -> None:
        """Makes the process stop at its `visits_from_now`-th next visit of the point."""
        struct.pack_into("<Q", self.map, STOP_COUNT, self.count(point) + visits_from_now)
        struct.pack_into("<I", self.map, STOP_AT, point)

    def disarm(self) -> None:
        struct.pack_into("<I", self.map, STOP_AT, 0)

    @property
    def stopped(self) -> int:
        """The point it stands at; 0 while it runs."""
        return self._word(STOPPED)

    def close(self) -> None:
        self.map.close()
