"""Read the weights in a file of PyTorch's legacy format, without PyTorch and without running code of the file.

The format is five pickles in a row (a magic number, the version of the protocol, facts about the machine, the
dictionary of tensors, the keys of the storages), then the storages: a length, int64, and the raw numbers. A pickle can
name any function and have it called. The reader here knows two names, of an ordered dictionary and of a tensor; it
refuses every other one, so the worst that a file can do is to hold other numbers.
"""

import io
import math
import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from pawline.errors import ModelError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
MAX_VALUES = 100_000_000  # of all storages together: more is no network of these architectures

Arrays = dict[str, NDArray[Any]]


def read_legacy_torch(content: bytes, name: str) -> Arrays:
    """Read the tensors of a file: {name: array}, float32 or int64, in the file's order.

    name: the file's name in messages. Raises ModelError for anything but a whole dictionary of dense tensors."""
    file = io.BytesIO(content)
    try:
        magic, protocol, machine = (_Reader(file).load() for _ in range(3))
        if magic != MAGIC or protocol != PROTOCOL or not machine["little_endian"]:
            raise ValueError("it does not begin as a file of PyTorch's legacy format for little-endian machines")
        reader = _Reader(file)
        tensors = reader.load()
        _fill(reader.storages, _Reader(file).load(), file)
        if not isinstance(tensors, dict) or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
            raise ValueError("it holds something else than a dictionary of tensors")
        return {str(key): tensor.array() for key, tensor in tensors.items()}
    except (
        pickle.UnpicklingError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        EOFError,
    ) as error:
        reason = str(error) or type(error).__name__
        raise ModelError(
            f"{name}: not readable as weights of PyTorch's legacy format: {reason}; get the file again"
        ) from None


@dataclass
class _Storage:
    dtype: np.dtype[Any]
    count: int
    values: NDArray[Any] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage, as PyTorch describes it: offset and strides count values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        """The values, at their places in the storage; converters leave kernels with turned axes there."""
        last = self.offset + sum(
            (side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True)
        )
        inside = min(self.offset, *self.strides, *self.shape, 0) == 0 and last < self.storage.count
        if not inside or math.prod(self.shape) > self.storage.count:
            raise ValueError("a tensor reaches beyond its storage")
        strides = [stride * self.storage.dtype.itemsize for stride in self.strides]
        return np.array(as_strided(self.storage.values[self.offset :], self.shape, strides))


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype[Any]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Reader(pickle.Unpickler):
    """A reader of pickles that knows tensors and ordered dictionaries, and refuses every other name."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in DTYPES:
            return _StorageType(DTYPES[name])
        raise ValueError(f"it names {module}.{name}, which no file of weights needs")

    def persistent_load(self, about: Any) -> _Storage:
        """The storage of a tensor, filled later. about: ("storage", kind, key, device, number of values, view)."""
        kind, storage_type, key, _, count, view = about
        if kind != "storage" or not isinstance(storage_type, _StorageType) or view is not None:
            raise ValueError("it refers to something else than a storage")
        return self.storages.setdefault(key, _Storage(storage_type.dtype, int(count)))


def _fill(storages: dict[str, _Storage], keys: list[str], file: io.BytesIO) -> None:
    if sorted(keys) != sorted(storages) or sum(storage.count for storage in storages.values()) > MAX_VALUES:
        raise ValueError("its storages are not those that its tensors name")
    for key in keys:
        storage, [count] = storages[key], np.frombuffer(file.read(8), "<i8")
        content = file.read(storage.count * storage.dtype.itemsize)
        if count != storage.count or len(content) < storage.count * storage.dtype.itemsize:
            raise ValueError("it ends early or its storages have other lengths than its tensors say")
        storage.values = np.frombuffer(content, storage.dtype)
