"""The machine and its processes: CPU time, memory, and what else runs. Read from /proc, so Linux only."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def stat(pid: int) -> tuple[int, int] | None:
    """Returns the parent and the ticks of CPU of a process, children that ended and were waited for included."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[1]), sum(map(int, fields[11:15]))
    except (OSError, IndexError):
        return None


def tree(root: int) -> list[int]:
    """Returns the process and its descendants."""
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    parents = {pid: found[0] for pid in pids if (found := stat(pid))}
    members = {root}
    while more := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= more
    return sorted(members & parents.keys())


def cpu_seconds(root: int) -> float:
    """Returns the CPU time of the process and its descendants."""
    return sum(found[1] for pid in tree(root) if (found := stat(pid))) / TICK


def precise_seconds(root: int) -> float:
    """Returns the CPU time of the threads that live, to the nanosecond: what threads that ended had used is missing."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            total += sum(
                int((task / "schedstat").read_text().split()[0]) for task in (PROC / str(pid) / "task").iterdir()
            )
    return total / 1e9


def used_seconds(ticks: float, precise: float) -> float:
    """Returns what two clocks say was used: the precise one, unless it has lost a thread that ended."""
    return precise if abs(precise - ticks) <= 0.03 + 0.02 * ticks else ticks


def memory_mb(root: int, key: str) -> float:
    """Returns the sum of `VmRSS` or `VmHWM` over the tree: pages that processes share count once for each."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(OSError, TypeError):
            total += int(re.search(rf"^{key}:\s+(\d+)", (PROC / str(pid) / "status").read_text(), re.M)[1])  # type: ignore[index]
    return total / 1024


def busy_seconds() -> float:
    """Returns the CPU time that all processors were not idle: also what the hypervisor took away."""
    fields = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def cores() -> int:
    return len(os.sched_getaffinity(0))


def load_average() -> str:
    return " ".join((PROC / "loadavg").read_text().split()[:3])


@dataclass
class Description:
    """The machine in words."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    instruction_sets: list[str]


def described() -> Description:
    cpu = (PROC / "cpuinfo").read_text()
    memory = re.search(r"MemTotal:\s+(\d+)", (PROC / "meminfo").read_text())
    flags = set(found[1].split()) if (found := re.search(r"^(?:flags|Features)\s*:(.*)$", cpu, re.M)) else set()
    wanted = ["avx2", "avx512f", "avx512_vnni", "amx_int8", "asimd", "sve"]
    return Description(
        processor=found[1].strip() if (found := re.search(r"^model name\s*:(.*)$", cpu, re.M)) else platform.machine(),
        cores=cores(),
        memory_gb=round(int(memory[1]) / 2**20, 1) if memory else 0.0,
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        instruction_sets=[flag for flag in wanted if flag in flags],
    )


def free_ports(count: int) -> list[int]:
    """Returns ports of the loopback that nobody listens on. All are held until all are known, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
