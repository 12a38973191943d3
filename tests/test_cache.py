"""The cache of decoded images changes the time of a run, but never its result."""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pawline.index import digest_bytes
from pawline.ingest import ingest
from pawline.params.ingest import IngestParams
from pawline.params.prepare import ImageForm, PrepareParams
from pawline.pictures.cache import DecodedCache, new_pack
from pawline.pictures.decode import decode_image
from pawline.prepare import prepare
from tests.conftest import write_pictures

PARAMS = PrepareParams(
    image_size=16, color="grayscale", aspect="stretch", background=255, max_bad_fraction=1.0, cache_gigabytes=1
)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the decoded files so far."""
    sizes: list[int] = []

    def counted(data: bytes, **form: object) -> np.ndarray:
        sizes.append(len(data))
        return decode_image(data, **form)

    monkeypatch.setattr("pawline.prepare.decode_image", counted)
    return sizes


def prepare_all(root: Path, name: str = "prepared", params: PrepareParams = PARAMS) -> dict[str, bytes]:
    """Prepare root/pictures with the cache root/cache; return the content of each file written."""
    index = ingest(
        IngestParams(source=str(root / "pictures"), sha256=None), root / "raw", root / "downloads"
    ).rows.table()
    quarantine = prepare(index, root / "raw", root / name, params, root / "cache")
    written = {path.name: path.read_bytes() for path in (root / name).iterdir()}
    return written | {"quarantine": quarantine.to_csv().encode()}


def test_a_second_run_decodes_nothing_and_gives_the_same_result(tmp_path: Path, decoded: list[int]) -> None:
    write_pictures(tmp_path / "pictures", 10)
    first = prepare_all(tmp_path)
    assert len(decoded) == 20
    assert prepare_all(tmp_path, "again") == first
    assert len(decoded) == 20


def test_only_new_pictures_are_decoded_even_after_a_rename(tmp_path: Path, decoded: list[int]) -> None:
    write_pictures(tmp_path / "pictures", 10)
    prepare_all(tmp_path)
    decoded.clear()
    write_pictures(tmp_path / "pictures", 1, first=500)
    old = tmp_path / "pictures/vertical/000.jpg"
    old.rename(old.with_name("another-name.jpg"))
    written = prepare_all(tmp_path)
    assert len(decoded) == 2
    assert written == prepare_all(tmp_path, "without", PARAMS.model_copy(update={"cache_gigabytes": 0}))


@pytest.mark.parametrize(
    "change",
    [{"image_size": 24}, {"color": "rgb"}, {"aspect": "pad"}, {"background": 0}],
    ids=lambda c: next(iter(c)),
)
def test_another_form_is_decoded_again(tmp_path: Path, decoded: list[int], change: dict[str, object]) -> None:
    write_pictures(tmp_path / "pictures", 3)
    prepare_all(tmp_path)
    prepare_all(tmp_path, params=PARAMS.model_copy(update=change))
    assert len(decoded) == 12


def test_another_decoder_decodes_again(
    tmp_path: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "pictures", 3)
    prepare_all(tmp_path)
    monkeypatch.setattr("pawline.pictures.cache.DECODER", "a later one")
    prepare_all(tmp_path)
    assert len(decoded) == 12


def test_a_damaged_pack_is_deleted_and_its_images_decoded_again(tmp_path: Path, decoded: list[int]) -> None:
    write_pictures(tmp_path / "pictures", 5)
    first = prepare_all(tmp_path)
    (pack,) = (tmp_path / "cache").rglob("*.npy")
    content = bytearray(pack.read_bytes())
    content[-5] ^= 1
    pack.write_bytes(content)
    assert prepare_all(tmp_path) == first
    assert len(decoded) == 20
    assert prepare_all(tmp_path) == first
    assert len(decoded) == 20


def test_bad_pictures_are_decoded_again_and_stay_bad(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 5)
    (tmp_path / "pictures/vertical/words.jpg").write_text("no picture")
    first = prepare_all(tmp_path)
    assert b"words.jpg,vertical,not_an_image" in first["quarantine"]
    assert prepare_all(tmp_path) == first


def pack_of(seeds: range) -> np.ndarray:
    pack = new_pack(FORM, len(seeds))
    pack["digest"] = digest_bytes(pd.Series([f"{seed:064x}" for seed in seeds]))
    pack["hashes"] = np.array(seeds)[:, None]
    pack["pixels"] = np.array([seed % 251 for seed in seeds], np.uint8)[:, None, None, None]
    return pack


FORM = ImageForm(image_size=8, color="grayscale", aspect="stretch", background=0)


def test_entries_are_found_by_digest_in_any_pack(tmp_path: Path) -> None:
    for first in (1, 101, 201):
        DecodedCache(tmp_path, FORM).add(pack_of(range(first, first + 50)))
    cache = DecodedCache(tmp_path, FORM)
    wanted, last = pack_of(range(220, 90, -10)), pack_of(range(1000, 1002))
    rows = cache.find(wanted["digest"])
    assert (rows >= 0).tolist() == [seed % 100 in range(1, 51) for seed in range(220, 90, -10)]
    for name in ("hashes", "pixels"):
        images = cache.field(name, last)
        np.testing.assert_array_equal(images.read(rows[rows >= 0]), wanted[name][rows >= 0])
        np.testing.assert_array_equal(images.read(len(cache) + np.arange(2)), last[name])


def test_the_least_recently_used_packs_are_evicted_first(tmp_path: Path) -> None:
    cache = DecodedCache(tmp_path, FORM)
    for number in range(4):
        cache.add(pack_of(range(number * 100 + 1, number * 100 + 51)))
    packs = {len(path.read_bytes()): path for path in tmp_path.rglob("*.npy")}
    (size,) = packs
    for path in tmp_path.rglob("*.npy"):
        age = int(np.load(path)["digest"][0][-2:].hex(), 16)
        os.utime(path, (age, age))
    DecodedCache.evict(tmp_path, limit_bytes=2.5 * size)
    left = DecodedCache(tmp_path, FORM)
    firsts = pack_of(range(1, 302))["digest"][[0, 100, 200, 300]]
    assert (left.find(firsts) >= 0).tolist() == [False, False, True, True]


def test_partial_files_are_deleted_after_a_day(tmp_path: Path) -> None:
    DecodedCache(tmp_path, FORM).add(pack_of(range(1, 3)))
    [folder] = tmp_path.iterdir()
    for name, hours in (("old", 25), ("recent", 1)):
        (folder / f"{name}.partial").touch()
        os.utime(folder / f"{name}.partial", (then := time.time() - hours * 3600, then))
    DecodedCache.evict(tmp_path, limit_bytes=1e9)
    assert {path.name for path in folder.glob("*.partial")} == {"recent.partial"}


def evict_often(folder: Path) -> None:
    for _ in range(300):
        DecodedCache.evict(folder, limit_bytes=2000)


def test_processes_may_evict_while_others_add(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=evict_often, args=(tmp_path,)) for _ in range(2)]
    processes += [spawn.Process(target=add_many, args=(tmp_path, first)) for first in (1, 101)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4


def add_many(folder: Path, first: int) -> None:
    for number in range(20):
        DecodedCache(folder, FORM).add(pack_of(range(first + number, first + number + 1)))


def test_processes_may_add_and_read_at_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=add_many, args=(tmp_path, first)) for first in (1, 101)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        DecodedCache(tmp_path, FORM)
    assert [writer.exitcode for writer in writers] == [0, 0]
    wanted = pack_of(range(1, 21))["digest"]
    assert (DecodedCache(tmp_path, FORM).find(wanted) >= 0).all()
    assert not list(tmp_path.rglob("*.partial"))
