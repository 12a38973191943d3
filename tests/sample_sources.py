"""Sources made for a test, and helpers that ingest them."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import zstandard

from pawline.errors import DatasetError
from pawline.ingest import IngestResult, ingest
from pawline.params.ingest import IngestParams
from tests.conftest import encode, stripes

PICTURE = encode(stripes(True, 1))
TWO_CLASSES = {"cat/1.jpg": PICTURE, "dog/1.jpg": PICTURE}


def ingest_source(source: Path, tmp_path: Path, sha256: str | None = None) -> IngestResult:
    return ingest(IngestParams(source=str(source), sha256=sha256), tmp_path / "raw", tmp_path / "downloads")


def ingest_table(source: Path, tmp_path: Path, sha256: str | None = None) -> pd.DataFrame:
    return ingest_source(source, tmp_path, sha256).rows.table()


def refusal(source: Path, tmp_path: Path, sha256: str | None = None) -> str:
    """The message with which a source is refused: one line, exit code 3, nothing written."""
    with pytest.raises(DatasetError) as refused:
        ingest_table(source, tmp_path, sha256)
    assert not (tmp_path / "raw").exists()
    assert not (tmp_path / "raw.partial").exists()
    assert refused.value.exit_code == 3
    message = str(refused.value)
    assert "\n" not in message
    return message


def folder_of(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tar_of(path: Path, files: dict[str, bytes], *members: tarfile.TarInfo) -> Path:
    """A tar with extra members that have no content, compressed as the suffix of the path says."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for member in members:
            archive.addfile(member)
    with_checksum = zstandard.ZstdCompressor(write_checksum=True).compress  # as the zstd command does
    compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": with_checksum}
    path.write_bytes(compress.get(path.suffix, bytes)(plain.getvalue()))
    return path


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def paths(index: pd.DataFrame) -> list[str]:
    return list(index["path"])


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}


def truncate(path: Path, fraction: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])
    return path
