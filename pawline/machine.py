"""What of this machine a training depends on. Needs no TensorFlow."""

import math
import os
import platform
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pawline.errors import ParamsError

GPU = "an NVIDIA GPU"
# Where TensorFlow trains faster in it than in float32. With AVX512-BF16 alone AMD's processors do, and Intel's are
# slower (docs/decisions/0005-fast-network.md).
FAST_IN_BFLOAT16 = ({GPU}, {"amx_bf16"}, {"avx512_bf16", "AuthenticAMD"})
# What oneDNN chooses its kernels by, the newest first, as Linux names it.
INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni", "avx2")


def num_threads() -> int:
    """Processors that this process may use: those it is bound to, or as many as its container is granted."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(bound, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup, or no limit: "max"
        return bound


def choose_precision(wanted: str) -> str:
    """`float32` or `bfloat16`, from `train.precision`. Raises ParamsError for one that this machine lacks."""
    if wanted == "auto":
        return "bfloat16" if any(needed <= _able() for needed in FAST_IN_BFLOAT16) else "float32"
    if wanted == "bfloat16" and not able_to_bfloat16():
        raise ParamsError(
            "train.precision is bfloat16, which this machine cannot compute in (no AMX, no AVX512-BF16, no GPU); "
            "set it to auto or float32"
        )
    return wanted


def able_to_bfloat16() -> bool:
    return bool(_able() & {GPU, "amx_bf16", "avx512_bf16"})


def uses_one_dnn() -> bool:
    """Unless the user turned it off (see backend.py)."""
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() not in {"0", "false"}


def processor() -> str:
    """What kind it is: models trained on two kinds differ in their last bits."""
    makers = {"GenuineIntel", "AuthenticAMD"} & _able()
    newest = next((flag for flag in INSTRUCTIONS if flag in _able()), platform.machine())
    return " ".join([*makers, newest, *([GPU] if GPU in _able() else [])])


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU that TensorFlow can use: with its driver, the libraries that the extra `gpu`
    brings (or the system's), and not hidden by CUDA_VISIBLE_DEVICES."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"} or not Path("/proc/driver/nvidia/gpus").is_dir():
        return False
    return bool((find_spec("nvidia") and find_spec("nvidia.cudnn")) or find_library("cudnn"))


@cache
def _able() -> frozenset[str]:
    """The processor's flags and maker, as Linux names them (none elsewhere), and whether there is a GPU."""
    gpu = frozenset({GPU}) if has_gpu() else frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return gpu
    facts = {name.strip(): value for name, _, value in (line.partition(":") for line in lines)}
    return gpu | frozenset(f"{facts.get('vendor_id', '')} {facts.get('flags', '')}".split())
