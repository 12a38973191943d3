"""Detect the features of this machine that a training depends on. Needs no TensorFlow."""

import os
import platform
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pawline.errors import ParamsError

GPU = "an NVIDIA GPU"
# Sets of features with which TensorFlow trains faster in bfloat16 than in float32. With AVX512-BF16 alone AMD's
# processors are faster and Intel's are slower (docs/experiments.md).
FAST_IN_BFLOAT16 = ({GPU}, {"amx_bf16"}, {"avx512_bf16", "AuthenticAMD"})
# oneDNN chooses its kernels by these instruction sets; the newest first, with the names that Linux uses.
INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni", "avx2")


def choose_precision(setting: str) -> str:
    """Choose `float32` or `bfloat16`. setting: `train.precision`.

    Raises ParamsError if the machine does not support bfloat16 and the setting asks for it."""
    if setting == "auto":
        return "bfloat16" if any(features <= _features() for features in FAST_IN_BFLOAT16) else "float32"
    if setting == "bfloat16" and not supports_bfloat16():
        raise ParamsError(
            "train.precision is bfloat16, which this machine cannot compute in (no AMX, no AVX512-BF16, no GPU); "
            "set it to auto or float32"
        )
    return setting


def supports_bfloat16() -> bool:
    return bool(_features() & {GPU, "amx_bf16", "avx512_bf16"})


def uses_one_dnn() -> bool:
    """Whether TensorFlow computes with oneDNN: always, unless the user turned it off (see backend.py)."""
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() not in {"0", "false"}


def processor() -> str:
    """The kind of the processor: maker, newest instruction set, GPU. Models of two kinds differ in their last bits."""
    makers = {"GenuineIntel", "AuthenticAMD"} & _features()
    newest = next((flag for flag in INSTRUCTIONS if flag in _features()), platform.machine())
    return " ".join([*makers, newest, *([GPU] if GPU in _features() else [])])


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU that TensorFlow can use: its driver is loaded, its libraries are installed (by the
    extra `gpu` or by the system), and CUDA_VISIBLE_DEVICES does not hide it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"} or not Path("/proc/driver/nvidia/gpus").is_dir():
        return False
    return bool((find_spec("nvidia") and find_spec("nvidia.cudnn")) or find_library("cudnn"))


@cache
def _features() -> frozenset[str]:
    """The processor's flags and maker, with the names that Linux uses (none elsewhere), and GPU if there is one."""
    gpu = frozenset({GPU}) if has_gpu() else frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return gpu
    values = {name.strip(): value for name, _, value in (line.partition(":") for line in lines)}
    return gpu | frozenset(f"{values.get('vendor_id', '')} {values.get('flags', '')}".split())
