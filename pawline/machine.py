"""What of this machine a training depends on. Needs no TensorFlow."""

import math
import os
from functools import cache
from pathlib import Path

from pawline.errors import ParamsError

AMX, GPU = "amx_bf16", "an NVIDIA GPU"


def num_threads() -> int:
    """Processors that this process may use: those it is bound to, or as many as its container is granted."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(bound, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup, or no limit: "max"
        return bound


def choose_precision(wanted: str) -> str:
    """`float32` or `bfloat16`, from `train.precision`. Raises ParamsError for one that this machine lacks.

    AVX512-BF16 alone is no reason: TensorFlow's convolutions are slower in it than in float32 (docs/decisions)."""
    able = _able()
    if wanted == "auto":
        return "bfloat16" if able & {AMX, GPU} else "float32"
    if wanted == "bfloat16" and not able & {AMX, GPU, "avx512_bf16"}:
        raise ParamsError(
            "train.precision is bfloat16, which this machine cannot compute in (no AMX, no AVX512-BF16, no GPU); "
            "set it to auto or float32"
        )
    return wanted


@cache
def _able() -> frozenset[str]:
    """The processor's flags, as Linux names them (none elsewhere), and whether there is a GPU."""
    gpu = frozenset({GPU}) if Path("/proc/driver/nvidia/gpus").is_dir() else frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return gpu
    return gpu | frozenset(next((line for line in lines if line.startswith("flags")), "").split())
