"""The number of threads that this process should run."""

import math
import os
from pathlib import Path


def num_threads() -> int:
    """The number of processors that this process may use: limited by its CPU affinity and by its container's quota."""
    num_processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(num_processors, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup, or no limit ("max")
        return num_processors
