"""The arrays of a page, one after the other."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Blob:
    """Arrays in little-endian bytes. Equal arrays stand once: a layer that is used twice has the same weights."""

    room: int  # bytes that all of them may take
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    places: dict[bytes, int] = field(default_factory=dict)  # offset by digest

    def add(self, values: NDArray[Any], dtype: str = "<f4") -> list[int]:
        """Add an array; return [offset, number of values]. Offsets are multiples of 4."""
        content = np.ascontiguousarray(values).astype(dtype).tobytes()
        digest = hashlib.sha256(content).digest()
        if digest not in self.places:
            self.places[digest] = self.size
            content += b"\0" * (-len(content) % 4)
            self.parts.append(content)
            self.size += len(content)
        return [self.places[digest], values.size]

    def cost(self, values: NDArray[Any]) -> int:
        """Bytes by which a float32 array would make it larger."""
        content = np.ascontiguousarray(values).astype("<f4").tobytes()
        return 0 if hashlib.sha256(content).digest() in self.places else len(content)

    def text(self) -> str:
        return base64.b64encode(b"".join(self.parts)).decode()
