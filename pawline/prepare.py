"""Decode every image once: turn upright, resize, convert to grayscale or RGB, pack; list the images left out."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from pawline.errors import DatasetError
from pawline.files import read_regular_file, whole_folder, write_table
from pawline.index import class_names, digest_bytes
from pawline.params.prepare import ImageForm, PrepareParams
from pawline.pictures.cache import DecodedCache, Pack, new_pack
from pawline.pictures.decode import DECODER, NEEDS_HEIF, TWELVE_BITS, BadImage, Pixels, decode_image
from pawline.pictures.duplicates import perceptual_hashes, without_padding
from pawline.pictures.heif import heif_decoder
from pawline.prepared import Concatenation, ShardWriter, shard_size, write_description
from pawline.terminal import say
from pawline.threads import num_threads

Numbers = NDArray[np.int64]

QUARANTINE_COLUMNS = ["path", "class_name", "reason", "detail"]


def prepare(
    index: pd.DataFrame,
    raw: Path,
    prepared: Path,
    params: PrepareParams,
    cache: Path,
    refused_list: Path | None = None,
) -> pd.DataFrame:
    """Fill the folder `prepared` (see prepared.py) from the images under `raw`; return the quarantine.

    `cache` is the folder of decoded images (see pictures/cache.py); an image in it is not decoded again.
    refused_list: the file for the quarantine if it stops the stage, since outputs of a failed stage are removed.
    Raises DatasetError when more than `max_bad_fraction` of the images are bad or a class has no image left.
    """
    decoder = _Decoder(raw, params.form, cache, keep=params.cache_gigabytes > 0)
    with whole_folder(prepared) as folder:
        with ShardWriter(folder) as shards:
            accepted, hashes, quarantine = _decode_all(index, decoder, shards, shard_size(params.form))
            _say_missing_decoder(quarantine)
            _refuse_too_many_bad(index, quarantine, params, refused_list)
            _say_guessed_bits(decoder.deep_values)
        table, decoders = _table(index, accepted), _decoders(accepted["format"])
        write_description(folder, table, hashes, class_names(index), decoders, params.form)
    DecodedCache.evict(cache, params.cache_gigabytes * 1e9)
    return quarantine


def _decode_all(
    index: pd.DataFrame, decoder: "_Decoder", shards: ShardWriter, batch_size: int
) -> tuple[pd.DataFrame, NDArray[np.uint64], pd.DataFrame]:
    """Write the pixels of every good image to `shards`, batch by batch.

    Returns (the rows of the index that are good, their hashes uint64 (n, NUM_HASHES), the quarantine)."""
    conflicting = _conflicting_digests(index)
    accepted, hashes, quarantine = [], [], []
    with tqdm(total=len(index), desc="prepare", unit="image", disable=None) as bar:
        for start in range(0, len(index), batch_size):
            batch = index.iloc[start : start + batch_size]
            decoded, rows, problems = decoder.decode(batch, bar)
            problems |= _label_conflicts(batch, conflicting, problems)
            good = np.setdiff1d(np.arange(len(batch)), list(problems))
            shards.write(decoded["pixels"], rows[good])
            hashes.append(decoded["hashes"].read(rows[good]))
            accepted.append(batch.index[good])
            quarantine += [_quarantine_row(batch.iloc[row], problem) for row, problem in sorted(problems.items())]
    accepted_rows = index.loc[np.concatenate(accepted)]
    return accepted_rows, np.concatenate(hashes), pd.DataFrame(quarantine, columns=QUARANTINE_COLUMNS)


def summarize(index: pd.DataFrame, quarantine: pd.DataFrame) -> dict[str, Any]:
    """The content of `metrics/prepare.json`."""
    return {
        "num_images": len(index) - len(quarantine),
        "num_quarantined": len(quarantine),
        "bad_fraction": round(len(quarantine) / len(index), 6),
        "num_per_reason": {str(reason): int(n) for reason, n in quarantine["reason"].value_counts().items()},
    }


class _Decoder:
    """Turns raw files into pixels and hashes, through the cache."""

    def __init__(self, raw: Path, form: ImageForm, cache: Path, keep: bool) -> None:
        self._raw, self._form, self._keep = raw, form, keep
        self._cache = DecodedCache(cache, form)
        self._pool = ThreadPoolExecutor(num_threads())
        # By path, the largest value of pictures whose used bits were guessed.
        self.deep_values: dict[str, int] = {}

    def decode(
        self, batch: pd.DataFrame, bar: Any
    ) -> tuple[dict[str, Concatenation], Numbers, dict[int, BadImage]]:
        """Decode a batch. Returns (fields, rows, problems).

        fields: `pixels`, uint8 (n, image_size, image_size, channels), and `hashes`, uint64 (n, NUM_HASHES).
        rows: int64 (len(batch),), the row of each image in the fields, -1 for a bad image.
        problems: the problem of each bad image, by its position in the batch.
        """
        self._cache.drop_pages()
        digests = _cache_keys(batch)
        rows = self._cache.find(digests)
        missing = np.flatnonzero(rows < 0)
        bar.update(len(batch) - len(missing))
        images: dict[int, Pixels] = {}
        problems: dict[int, BadImage] = {}
        outcomes = self._pool.map(self._decode_one, batch.iloc[missing].itertuples())
        for row, outcome in zip(missing.tolist(), outcomes, strict=True):
            bar.update()
            if isinstance(outcome, BadImage):
                problems[row] = outcome
            else:
                images[row] = outcome
        pack = self._pack(digests[list(images)], list(images.values()))
        rows[list(images)] = len(self._cache) + np.arange(len(images))
        return {name: self._cache.field(name, pack) for name in ("pixels", "hashes")}, rows, problems

    def _pack(self, digests: NDArray[np.bytes_], images: list[Pixels]) -> Pack:
        pack = new_pack(self._form, len(images))
        if images:
            pack["digest"] = digests
            np.stack(images, out=pack["pixels"])
            pack["hashes"] = perceptual_hashes(without_padding(pack["pixels"], self._form))
            if self._keep:
                self._cache.add(pack)
        return pack

    def _decode_one(self, row: Any) -> Pixels | BadImage:
        deep_values: list[int] = []
        try:
            return decode_image(_read(row, self._raw), **self._form.model_dump(), deep_values=deep_values)
        except BadImage as bad:
            return bad
        finally:
            if deep_values:
                self.deep_values[row.path] = deep_values[0]


def _conflicting_digests(index: pd.DataFrame) -> set[str]:
    """The digests that have two class names."""
    digests = index[["digest", "class_name"]].drop_duplicates()["digest"]
    return set(digests[digests.duplicated()]) - {""}


def _label_conflicts(
    batch: pd.DataFrame, conflicting: set[str], problems: dict[int, BadImage]
) -> dict[int, BadImage]:
    """The label conflicts of a batch. A file that cannot be decoded keeps its own problem, since it has no label."""
    rows = np.flatnonzero(batch["digest"].isin(conflicting))
    return {int(row): BadImage("conflicting_label") for row in rows if row not in problems}


def _quarantine_row(row: Any, problem: BadImage) -> tuple[str, str, str, str]:
    return (row["path"], row["class_name"], problem.reason, problem.detail)


def _read(row: Any, raw: Path) -> bytes:
    if row.problem:
        raise BadImage("unreadable", row.problem)
    try:
        data = read_regular_file(raw / row.path)
    except OSError as error:
        raise BadImage("unreadable", error.strerror or str(error)) from None
    if hashlib.sha256(data).hexdigest() != row.digest:
        raise BadImage("unreadable", "the bytes under data/ingested are not those that were taken in")
    return data


def _refuse_too_many_bad(
    index: pd.DataFrame, quarantine: pd.DataFrame, params: PrepareParams, refused_list: Path | None
) -> None:
    """Raise DatasetError where `_check_enough` does, after the whole list is where it survives."""
    try:
        _check_enough(index, quarantine, params)
    except DatasetError as error:
        if refused_list is None:
            raise
        write_table(refused_list, quarantine)
        raise DatasetError(f"{error}; {refused_list} lists them all with their reasons") from None


def _check_enough(index: pd.DataFrame, quarantine: pd.DataFrame, params: PrepareParams) -> None:
    fraction = len(quarantine) / len(index)
    if fraction > params.max_bad_fraction:
        reasons = _commonest_reasons(quarantine)
        raise DatasetError(
            f"{len(quarantine)} of {len(index)} images are bad ({fraction:.1%}), but prepare.max_bad_fraction "
            f"allows {params.max_bad_fraction:.1%}: {reasons}; correct the data or raise the param"
        )
    good = index[~index["path"].isin(quarantine["path"])]
    if empty_classes := set(class_names(index)) - set(good["class_name"]):
        reasons = _commonest_reasons(quarantine)
        raise DatasetError(f"class '{min(empty_classes)}' has no usable image left: {reasons}")


def _decoders(formats: pd.Series) -> str:
    """The decoders of these pictures, for the model's card."""
    return f"{DECODER} {heif_decoder()}" if (formats == "HEIF").any() else DECODER


def _say_missing_decoder(quarantine: pd.DataFrame) -> None:
    if count := int((quarantine["detail"] == NEEDS_HEIF).sum()):
        say(
            f"prepare: {count} HEIC pictures cannot be decoded: install the extra `pawline[heif]` (the package "
            "pi-heif), and run this stage again, by force if its params and data are the same"
        )


def _cache_keys(batch: pd.DataFrame) -> NDArray[np.bytes_]:
    """The digests of the images; those of HEIC pictures differ with the version of their decoder."""
    digests = digest_bytes(batch["digest"])
    for row in np.flatnonzero(batch["format"] == "HEIF"):
        digests[row] = hashlib.sha256(f"{batch['digest'].iloc[row]} {heif_decoder()}".encode()).digest()
    return digests


def _say_guessed_bits(largest: dict[str, int]) -> None:
    """Say in one line which pictures with 16 bits per channel seem to use fewer. largest: the largest value by path."""
    deep = "pictures with 16 bits per channel"
    guessed = [path for path, value in largest.items() if value <= TWELVE_BITS]
    top = max(largest.values(), default=0)
    says = []
    if guessed:
        says.append(
            f"{len(guessed)} of {len(largest)} {deep} (such as {min(guessed)}) have no value above {TWELVE_BITS:,}, "
            "so they were read as 12-bit pictures"
        )
    if 0 < top < 2**10 or TWELVE_BITS < top < 2**14:
        says.append(
            f"the largest value of all {len(largest)} {deep} is {top:,}, "
            f"so they may have {top.bit_length()} bits and look too dark"
        )
    if says:
        advice = "set prepare.bits to the bits of the camera, or to 16 to take the values as they are"
        say(f"prepare: {'; '.join(says)}; {advice}")


def _commonest_reasons(quarantine: pd.DataFrame) -> str:
    examples = quarantine.groupby("reason")["path"].agg(["size", "first"]).nlargest(3, "size")
    return ", ".join(
        f"{row.size_} {row.Index} (such as {row.first})"
        for row in examples.rename(columns={"size": "size_"}).itertuples()
    )


def _table(index: pd.DataFrame, accepted: pd.DataFrame) -> pd.DataFrame:
    table = accepted[["path", "digest", "class_name", "given_part", "given_group"]].reset_index(drop=True)
    labels = pd.Categorical(table["class_name"], class_names(index)).codes
    return table.assign(label=labels.astype("int64"))
