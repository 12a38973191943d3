"""Ask a model about all pictures of a source and keep the answers as Parquet; only new pictures are asked about again.

    answers.parquet         one row per picture of the source, sorted by path; appears whole, at the end of a run
    answers.parquet.kept/   while a run is under way, and after one that was interrupted: answers so far, a few hundred
                            a file, each of which appears whole
    answers.parquet.lock    held by the run under way

An answer belongs to the bytes of a picture and to the model: a picture that was renamed or copied is not asked about
again, and another model, threshold or temperature asks about all.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from pawline.addresses import is_address
from pawline.errors import BusyError, DatasetError, ParamsError
from pawline.files import whole_file
from pawline.judging.predictions import PROBABILITY
from pawline.new_pictures import NewPicture, ask
from pawline.params.ingest import NO_COLUMN, IngestParams, TableParams
from pawline.pictures.decode import BadImage
from pawline.predict import Predictor
from pawline.runtime.export_card import ExportCard
from pawline.side_by_side import side_by_side
from pawline.sources.file_kinds import is_no_picture, is_other_name
from pawline.sources.listing import Listing, Read, display_path
from pawline.sources.opening import open_source

KEY = b"pawline"  # of the metadata of a file: which model, with which threshold, gave its answers
AT_A_TIME, SECONDS = 500, 20.0  # answers are kept when there are so many, or after so long


@dataclass(frozen=True)
class BatchResult:
    """How many pictures the source has, how many of them were asked about and how many cannot be read; how many files
    were passed over as no pictures; and why all were asked about again, empty where they were not."""

    num_pictures: int
    num_asked: int
    num_unreadable: int
    num_passed_over: int
    asked_all: str

    def __str__(self) -> str:
        parts = [
            f"{self.num_pictures} pictures, {self.num_asked} asked about, {self.num_unreadable} that cannot be read"
        ]
        parts += [f"{self.num_passed_over} files passed over that are no pictures"] * bool(self.num_passed_over)
        return "; ".join([*parts, *[self.asked_all] * bool(self.asked_all)])


def predict_source(predictor: Predictor, source: str, out: Path, downloads: Path) -> BatchResult:
    """Ask about the pictures of a folder, archive, bucket or address, and write `out`, a name that ends in .parquet.

    Columns: path, digest (SHA-256), label, probability_<class>, unsure, unlike, distance, model (SHA-256 of the model,
    as MLflow has it), error (empty where there is an answer, else the reason, and no answer). downloads: the folder
    that keeps a download until it is done. Raises DatasetError, ParamsError or BusyError; what was answered by then is
    kept."""
    if out.suffix != ".parquet":
        raise ParamsError(f"{out}: expected a name that ends in .parquet; name the file for the answers so")
    if not is_address(source) and not Path(source).exists():
        raise ParamsError(f"{source}: no such folder or archive; give one that holds the pictures to predict")
    with _lock(out):
        kept = _Kept.of(out, predictor.card)
        try:
            with open_source(_as_params(source), downloads) as listing:
                found = _ask_new(predictor, listing, kept)
        except (DatasetError, ParamsError) as error:  # in the words of the pipeline's own source
            words = str(error).replace("; correct ingest.source in params.yaml", "")
            raise type(error)(words.replace("ingest.source", "source")) from None
        table = _joined(found, kept.answers(), predictor.card)
        with whole_file(out) as partial_file:
            pq.write_table(_arrow(table, kept.key), partial_file, row_group_size=10_000)
        shutil.rmtree(kept.folder, ignore_errors=True)
    num_unreadable = int((table["error"] != "").sum())
    return BatchResult(len(table), found.num_asked, num_unreadable, found.num_passed_over, kept.asked_all)


@dataclass
class _Found:
    """places: (path, digest, error) of each picture; a digest is empty where the file cannot be read."""

    places: list[tuple[str, str, str]] = field(default_factory=list)
    num_asked: int = 0
    num_passed_over: int = 0


def _ask_new(predictor: Predictor, listing: Listing, kept: "_Kept") -> _Found:
    found, waiting = _Found(), set(kept.known)

    def new() -> Iterator[tuple[str, Any]]:
        for path, content in _contents(listing):
            if content is None:
                found.num_passed_over += 1
                continue
            if isinstance(content, BadImage):
                found.places.append((path, "", str(content)))
                continue
            digest = hashlib.sha256(content).hexdigest()
            found.places.append((path, digest, ""))
            if digest not in waiting:
                waiting.add(digest)  # a copy is asked about once
                yield path, partial(bytes, content)

    try:
        for picture in ask(predictor, new()):
            found.num_asked += 1
            kept.add(picture)
    finally:
        kept.flush()
    return found


def _contents(listing: Listing) -> Iterator[tuple[str, bytes | BadImage | None]]:
    """(path, bytes or the reason why there are none) of each file; None for a file that is no picture."""
    wanted = np.ones(len(listing.paths), bool)
    files = ((listing.paths[position], read) for position, read in listing.reads(wanted))
    return side_by_side(lambda batch: [_content(*file) for file in batch], files, 1, listing.num_threads)


def _content(path: str, read: Read) -> tuple[str, bytes | BadImage | None]:
    try:
        content = read()
    except OSError as error:
        return display_path(path), BadImage("unreadable", error.strerror or str(error))
    return display_path(path), None if is_other_name(path) and is_no_picture(path, content) else content


class _Kept:
    """The answers that need not be asked for: of the last run, and of this one or an interrupted one."""

    def __init__(self, folder: Path, key: bytes, card: ExportCard, old: pd.DataFrame, asked_all: str) -> None:
        self.folder, self.key, self.asked_all = folder, key, asked_all
        self._card, self._rows, self._started = card, list[dict[str, Any]](), time.monotonic()
        self._tables, self._part = [old], max([int(file.stem) for file in folder.glob("*.parquet")], default=-1)
        self.known = set(old["digest"])

    @classmethod
    def of(cls, out: Path, card: ExportCard) -> "_Kept":
        folder, key = out.with_name(f"{out.name}.kept"), _key(card)
        folder.mkdir(parents=True, exist_ok=True)
        files = [*[out] * out.exists(), *sorted(folder.glob("*.parquet"))]
        usable = [file for file in files if _key_of(file) == key]
        for other in {*files} - {*usable, out}:
            other.unlink()  # answers of another model, on the way to a file that was never finished
        tables = [pd.read_parquet(file) for file in usable] or [pd.DataFrame(columns=_columns(card))]
        old = pd.concat(tables, ignore_index=True)
        old = old[(old["error"] == "") & (old["digest"] != "")].drop_duplicates("digest")
        note = "another model or threshold than before, so all were asked about again"
        return cls(folder, key, card, old, note if files and not usable else "")

    def add(self, picture: NewPicture) -> None:
        self._rows.append(_answer(picture, self._card))
        if len(self._rows) >= AT_A_TIME or time.monotonic() - self._started > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Keep what was answered so far, so that an interrupted run need not ask again."""
        if self._rows:
            table = pd.DataFrame(self._rows, columns=_columns(self._card))
            self._part += 1
            with whole_file(self.folder / f"{self._part:06}.parquet") as partial_file:
                pq.write_table(_arrow(table, self.key), partial_file)
            self._tables.append(table)
        self._rows, self._started = [], time.monotonic()

    def answers(self) -> pd.DataFrame:
        tables = [table for table in self._tables if len(table)]
        return pd.concat(tables, ignore_index=True) if tables else self._tables[0]


def _joined(found: _Found, answers: pd.DataFrame, card: ExportCard) -> pd.DataFrame:
    """One row per picture of the source, sorted by path."""
    places = pd.DataFrame(found.places, columns=["path", "digest", "problem"], dtype=object)
    table = places.merge(answers.drop(columns="path"), on="digest", how="left")
    error = table["error"].where(table["problem"] == "", table["problem"])
    table = table.assign(error=error, model=card.model_digest)
    return table[_columns(card)].sort_values(["path", "digest"], ignore_index=True)


def _answer(picture: NewPicture, card: ExportCard) -> dict[str, Any]:
    answer = picture.prediction
    probabilities = answer.probabilities or dict.fromkeys(card.class_names)
    return {
        "path": picture.path,
        "digest": picture.digest,
        "label": answer.label,
        **{f"{PROBABILITY}{name}": value for name, value in probabilities.items()},
        "unsure": answer.unsure,
        "unlike": answer.unlike,
        "distance": answer.distance,
        "model": card.model_digest,
        "error": answer.error or "",
    }


def _columns(card: ExportCard) -> list[str]:
    return list(_schema(card.class_names).names)


def _schema(class_names: Iterable[str]) -> pa.Schema:
    probabilities = [(f"{PROBABILITY}{name}", pa.float64()) for name in class_names]
    texts, flags = (
        [(name, pa.string()) for name in ("path", "digest", "label")],
        [("unsure", pa.bool_()), ("unlike", pa.bool_())],
    )
    return pa.schema(
        [
            *texts,
            *probabilities,
            *flags,
            ("distance", pa.float64()),
            ("model", pa.string()),
            ("error", pa.string()),
        ]
    )


def _arrow(table: pd.DataFrame, key: bytes) -> pa.Table:
    names = [column.removeprefix(PROBABILITY) for column in map(str, table) if column.startswith(PROBABILITY)]
    schema = _schema(names).with_metadata({KEY: key})
    return pa.Table.from_pandas(
        table.astype(object).where(table.notna(), None), schema, preserve_index=False
    ).replace_schema_metadata({KEY: key})


def _key(card: ExportCard) -> bytes:
    """What all answers depend on besides the pictures: the whole card, which holds the digest of the network."""
    return hashlib.sha256(json.dumps(asdict(card), sort_keys=True).encode()).hexdigest().encode()


def _key_of(file: Path) -> bytes:
    """The key of a file. Raises DatasetError for a file that no run wrote: it is the user's, and stays."""
    try:
        key: bytes | None = (pq.read_schema(file).metadata or {}).get(KEY)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{file}: cannot be read as Parquet: {error}; name another file to write") from None
    if key is None:
        raise DatasetError(
            f"{file}: holds no answers of Pawline and is not overwritten; name another file to write"
        )
    return key


def _as_params(source: str) -> IngestParams:
    """A source without classes: a table in it is no list of pictures, and links are not followed."""
    return IngestParams(source=source, sha256=None, table=TableParams(path=NO_COLUMN))


def _lock(out: Path) -> Any:
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out.with_name(f"{out.name}.lock"))
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"{out}: another run writes it; try again when it is done") from None
