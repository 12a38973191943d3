"""Each image is decoded once and packed in order; each bad image is a row of the quarantine with its reason."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pawline.errors import DatasetError
from pawline.ingest import ingest
from pawline.params.ingest import IngestParams, TableParams
from pawline.params.prepare import PrepareParams
from pawline.params.whole import load_params
from pawline.pictures.decode import decode_image
from pawline.pictures.duplicates import perceptual_hashes
from pawline.prepare import prepare, summarize
from pawline.prepared import PreparedImages
from pawline.workspace.layout import Layout, LocalState
from tasks.prepare import main
from tests.conftest import encode, stripes, write_pictures
from tests.source import ROOT

PARAMS = PrepareParams(
    image_size=16, color="grayscale", aspect="stretch", background=255, max_bad_fraction=1.0, cache_gigabytes=0
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """20 good pictures of each class; a test adds its own."""
    return write_pictures(tmp_path / "pictures", 20)


def index_of(pictures: Path) -> pd.DataFrame:
    params, root = IngestParams(source=str(pictures), sha256=None), pictures.parent
    return ingest(params, root / "raw", root / "downloads").rows.table()


def prepare_all(pictures: Path, params: PrepareParams = PARAMS) -> tuple[PreparedImages, pd.DataFrame]:
    folder = pictures.parent
    quarantine = prepare(index_of(pictures), folder / "raw", folder / "prepared", params, folder / "cache")
    return PreparedImages(folder / "prepared"), quarantine


def all_pixels(images: PreparedImages) -> np.ndarray:
    return images.pixels(np.arange(len(images)))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("color", ["grayscale", "rgb"])
def test_every_row_holds_the_pixels_of_its_picture(pictures: Path, color: str) -> None:
    images, quarantine = prepare_all(pictures, PARAMS.model_copy(update={"color": color}))
    assert len(quarantine) == 0
    files = sorted(str(path.relative_to(pictures)) for path in pictures.rglob("*.jpg"))
    assert list(images.table["path"]) == files
    expected = np.stack([decode_image((pictures / path).read_bytes(), 16, color) for path in files])
    np.testing.assert_array_equal(all_pixels(images), expected)
    assert expected.shape == (40, 16, 16, images.form.num_channels)


def test_the_table_names_class_label_and_hashes(pictures: Path) -> None:
    images, _ = prepare_all(pictures)
    assert images.class_names == ["horizontal", "vertical"]
    for number, row in images.table.iterrows():
        assert row["path"].startswith(f"{row['class_name']}/")
        assert images.class_names[row["label"]] == row["class_name"]
        pixels = images.pixels(np.array([number]))
        assert np.array_equal(images.hashes[[number]], perceptual_hashes(pixels))


def test_many_shards_hold_the_same_pixels_as_one_shard(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    single_shard = all_pixels(prepare_all(pictures)[0])
    monkeypatch.setattr("pawline.prepare.shard_size", lambda form: 7)
    images, _ = prepare_all(pictures)
    folder = pictures.parent / "prepared"
    shapes = [np.load(path).shape[0] for path in sorted(folder.glob("images-*.npy"))]
    assert shapes == [7, 7, 7, 7, 7, 5]
    np.testing.assert_array_equal(all_pixels(images), single_shard)
    shuffled = np.array([39, 0, 20, 6, 7, 6])
    np.testing.assert_array_equal(images.pixels(shuffled), single_shard[shuffled])


def test_the_bytes_do_not_depend_on_the_number_of_threads(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pictures / "vertical/bad.jpg").touch()
    _, first_quarantine = prepare_all(pictures)
    first = content(pictures.parent / "prepared")
    assert sorted(first) == ["hashes.npy", "images-00000.npy", "prepared.json", "table.parquet"]
    for cores in ({0}, {0, 1, 2, 3, 4, 5}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: cores)
        _, quarantine = prepare_all(pictures)
        assert content(pictures.parent / "prepared") == first
        pd.testing.assert_frame_equal(quarantine, first_quarantine)


def test_a_bad_picture_is_a_row_with_its_reason_and_stays_in_raw(pictures: Path) -> None:
    picture = encode(stripes(True, 500))
    bad = {
        "vertical/a-empty.jpg": b"",
        "vertical/b-words.jpg": b"words",
        "vertical/c-cut.jpg": picture[:-200],
        "vertical/d-tiny.jpg": encode(stripes(True, 1, 3, 3), ".png"),
    }
    for path, data in bad.items():
        (pictures / path).write_bytes(data)
    (pictures / "vertical/e-nowhere.jpg").symlink_to("missing")
    images, quarantine = prepare_all(pictures)
    assert quarantine.to_dict("split")["data"] == [
        ["vertical/a-empty.jpg", "vertical", "empty", "the file has no bytes"],
        [
            "vertical/b-words.jpg",
            "vertical",
            "not_an_image",
            "the content is of no known image format, whatever its name says",
        ],
        [
            "vertical/c-cut.jpg",
            "vertical",
            "truncated",
            "the JPEG header is fine, the pixels cannot be decoded",
        ],
        ["vertical/d-tiny.jpg", "vertical", "too_small", "3 x 3 pixels"],
        ["vertical/e-nowhere.jpg", "vertical", "unreadable", "No such file or directory"],
    ]
    assert list(quarantine.columns) == ["path", "class_name", "reason", "detail"]
    assert len(images) == 40
    assert not set(images.table["path"]) & set(quarantine["path"])
    assert {path: (pictures.parent / "raw" / path).read_bytes() for path in bad} == bad


def test_bad_pictures_do_not_shift_pixels_to_other_rows(pictures: Path) -> None:
    for name in ("horizontal/000.jpg", "horizontal/013.jpg", "vertical/019.jpg"):
        (pictures / name).write_bytes(b"")
    images, _ = prepare_all(pictures)
    expected = [decode_image((pictures / path).read_bytes(), 16, "grayscale") for path in images.table["path"]]
    np.testing.assert_array_equal(all_pixels(images), np.stack(expected))


def test_equal_bytes_in_two_classes_are_both_left_out(pictures: Path) -> None:
    data = (pictures / "vertical/003.jpg").read_bytes()
    (pictures / "horizontal/copy.jpg").write_bytes(data)
    (pictures / "vertical/copy within the class.jpg").write_bytes((pictures / "vertical/004.jpg").read_bytes())
    images, quarantine = prepare_all(pictures)
    assert dict(zip(quarantine["path"], quarantine["reason"], strict=True)) == {
        "horizontal/copy.jpg": "conflicting_label",
        "vertical/003.jpg": "conflicting_label",
    }
    assert "vertical/copy within the class.jpg" in set(images.table["path"])


def test_a_bad_file_in_two_classes_keeps_its_own_reason(pictures: Path) -> None:
    for class_name in ("horizontal", "vertical"):
        (pictures / class_name / "empty.jpg").write_bytes(b"")
        (pictures / class_name / "words.jpg").write_bytes(b"the same words in each folder")
    _, quarantine = prepare_all(pictures)
    assert dict(zip(quarantine["path"], quarantine["reason"], strict=True)) == {
        "horizontal/empty.jpg": "empty",
        "horizontal/words.jpg": "not_an_image",
        "vertical/empty.jpg": "empty",
        "vertical/words.jpg": "not_an_image",
    }


def test_files_that_changed_or_vanished_since_ingest_are_not_used(pictures: Path) -> None:
    index, raw = index_of(pictures), pictures.parent / "raw"
    (raw / "vertical/001.jpg").write_bytes(encode(stripes(False, 77)))
    (raw / "vertical/002.jpg").unlink()
    quarantine = prepare(index, raw, pictures.parent / "prepared", PARAMS, pictures.parent / "cache")
    assert quarantine.set_index("path")[["reason", "detail"]].to_dict("split")["data"] == [
        ["unreadable", "the bytes under data/ingested are not those that were taken in"],
        ["unreadable", "No such file or directory"],
    ]


def test_too_many_bad_pictures_fail_with_the_three_commonest_reasons(pictures: Path) -> None:
    for number in range(4):
        (pictures / f"vertical/e{number}.jpg").write_bytes(b"")
    for number in range(3):
        (pictures / f"vertical/w{number}.jpg").write_bytes(b"words %d" % number)
    for number in range(2):
        (pictures / f"vertical/c{number}.jpg").write_bytes(encode(stripes(True, number + 500))[:-200])
    (pictures / "vertical/t.jpg").write_bytes(encode(stripes(True, 1, 3, 3), ".png"))
    with pytest.raises(DatasetError) as refused:
        prepare_all(pictures, PARAMS.model_copy(update={"max_bad_fraction": 0.19}))
    assert str(refused.value) == (
        "10 of 50 images are bad (20.0%), but prepare.max_bad_fraction allows 19.0%: "
        "4 empty (such as vertical/e0.jpg), 3 not_an_image (such as vertical/w0.jpg), "
        "2 truncated (such as vertical/c0.jpg); correct the data or raise the param"
    )
    assert not (pictures.parent / "prepared").exists()
    assert not (pictures.parent / "prepared.partial").exists()
    _, quarantine = prepare_all(pictures, PARAMS.model_copy(update={"max_bad_fraction": 0.2}))
    assert len(quarantine) == 10


def test_a_class_with_no_usable_picture_is_refused(pictures: Path) -> None:
    (pictures / "a third class").mkdir()
    (pictures / "a third class/1.jpg").write_bytes(b"words")
    with pytest.raises(DatasetError) as refused:
        prepare_all(pictures)
    assert str(refused.value) == (
        "class 'a third class' has no usable image left: 1 not_an_image (such as a third class/1.jpg)"
    )
    assert not (pictures.parent / "prepared").exists()


def test_a_failure_keeps_the_earlier_prepared_images(pictures: Path) -> None:
    prepare_all(pictures)
    before = content(pictures.parent / "prepared")
    (pictures / "vertical/000.jpg").write_bytes(b"")
    with pytest.raises(DatasetError):
        prepare_all(pictures, PARAMS.model_copy(update={"max_bad_fraction": 0.0}))
    assert content(pictures.parent / "prepared") == before


def test_pixels_stay_within_three_shards_of_memory(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard is decoded while the two shards before are written."""
    decoded, written, ahead = [], [], []

    def counted(data: bytes, **form: object) -> np.ndarray:
        decoded.append(1)
        ahead.append(len(decoded) - sum(written))
        return decode_image(data, **form)

    monkeypatch.setattr("pawline.prepare.decode_image", counted)
    monkeypatch.setattr("pawline.prepared.write_shard", lambda *to, rows: written.append(len(rows)))
    monkeypatch.setattr("pawline.prepare.shard_size", lambda form: 4)
    prepare(
        index_of(pictures), pictures.parent / "raw", pictures.parent / "prepared", PARAMS, pictures.parent / "c"
    )
    assert (len(decoded), written) == (40, [4] * 10)
    assert max(ahead) <= 12


def test_metrics_count_images_and_reasons(pictures: Path) -> None:
    (pictures / "vertical/e1.jpg").write_bytes(b"")
    (pictures / "vertical/e2.jpg").write_bytes(b"")
    (pictures / "vertical/w.jpg").write_bytes(b"words")
    _, quarantine = prepare_all(pictures)
    assert summarize(index_of(pictures), quarantine) == {
        "num_images": 40,
        "num_quarantined": 3,
        "bad_fraction": round(3 / 43, 6),
        "num_per_reason": {"empty": 2, "not_an_image": 1},
    }


def test_ready_made_parts_are_kept(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_pictures(tmp_path / "pictures" / part, 3, first=0 if part == "train" else 10)
    images, _ = prepare_all(tmp_path / "pictures")
    assert images.table.groupby("given_part").size().to_dict() == {"test": 6, "train": 6}
    assert images.class_names == ["horizontal", "vertical"]


def test_the_groups_of_a_table_arrive_beside_the_pictures(pictures: Path) -> None:
    files = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.jpg"))
    patients = {f"{file.split('/')[0]}/{file}": f"patient {number % 3}" for number, file in enumerate(files)}
    rows = [(file, file.split("/")[0], patients[f"{file.split('/')[0]}/{file}"]) for file in files]
    pd.DataFrame(rows, columns=["path", "label", "patient"]).to_csv(pictures / "labels.csv", index=False)
    table = TableParams(group="patient")
    params, root = IngestParams(source=str(pictures), sha256=None, table=table), pictures.parent
    index = ingest(params, root / "raw", root / "downloads").rows.table()
    prepare(index, root / "raw", root / "prepared", PARAMS, root / "cache")
    prepared = PreparedImages(root / "prepared").table.set_index("path")["given_group"]
    assert prepared.to_dict() == patients


def test_a_picture_of_any_size_and_shape_becomes_a_square(pictures: Path) -> None:
    for number, size in enumerate([(500, 375), (60, 300), (5, 5)]):
        picture = cv2.resize(stripes(True, number + 700), size)
        (pictures / f"vertical/size{number}.jpg").write_bytes(encode(picture))
    images, quarantine = prepare_all(pictures)
    assert len(quarantine) == 0
    assert all_pixels(images).shape == (43, 16, 16, 1)


@pytest.mark.parametrize("limit", [0.05, 1.0])
def test_the_list_of_bad_files_survives_the_stage_that_they_stop(pictures: Path, limit: float) -> None:
    """They stop it where there are too many, and where a class is left without a picture."""
    for number, place in enumerate(sorted((pictures / "vertical").iterdir())):
        place.write_bytes(b"" if number % 2 else b"no picture")
    folder, index = pictures.parent, index_of(pictures)
    params, refused_list = PARAMS.model_copy(update={"max_bad_fraction": limit}), folder / "kept/quarantine.csv"
    with pytest.raises(DatasetError, match=f"; {refused_list} lists them all with their reasons$"):
        prepare(index, folder / "raw", folder / "prepared", params, folder / "cache", refused_list)
    listed = pd.read_csv(refused_list)
    assert list(listed.columns) == ["path", "class_name", "reason", "detail"]
    assert list(listed["path"]) == [f"vertical/{number:03}.jpg" for number in range(20)]
    assert list(listed["reason"]) == ["not_an_image", "empty"] * 10


def test_the_stage_itself_keeps_the_list_in_the_main_checkout(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pictures.parent
    (pictures / "vertical/000.jpg").write_bytes(b"")
    monkeypatch.chdir(folder)
    Path("data").mkdir()
    index_of(pictures).to_parquet("data/index.parquet")
    shutil.move("raw", "data/ingested")
    shutil.copy(ROOT / "params.yaml", folder)
    monkeypatch.setattr("tasks.prepare.main_checkout", lambda: folder / "main")
    params = load_params(Path("params.yaml"))
    strict = params.model_copy(update={"prepare": params.prepare.model_copy(update={"max_bad_fraction": 0.0})})
    kept = LocalState(folder / "main").refused_list(
        folder
    )  # an experiment's own, so that another overwrites nothing
    with pytest.raises(DatasetError, match=f"{kept} lists them all"):
        main(strict, Layout())
    assert "vertical/000.jpg,vertical,empty" in kept.read_text()
    assert kept.parent == folder / "main/.pawline"
    assert kept != LocalState(folder / "main").refused_list(folder / "main") == kept.with_name("quarantine.csv")
    assert not Path("data/quarantine.csv").exists()


def test_pictures_of_12_bits_are_no_black_pictures(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, place in enumerate(sorted(pictures.rglob("*.jpg"))):
        deep = stripes(number % 2 == 0, number).astype(np.uint16) * 16
        place.with_suffix(".png").write_bytes(encode(deep, ".png"))
        place.unlink()
    images, _ = prepare_all(pictures)
    assert all_pixels(images).max() > 150
    said = capsys.readouterr().err
    assert (
        "pawline: prepare: 40 of 40 pictures with 16 bits per channel (such as horizontal/000.png) have no "
        in said
    )
    unscaled, _ = prepare_all(pictures, PARAMS.model_copy(update={"bits": 16}))
    assert all_pixels(unscaled).max() < 16


def test_the_form_of_a_param_left_at_its_default_is_written_as_before(pictures: Path) -> None:
    """So that the files, the cache and the keys of data sets prepared earlier stay valid."""
    prepare_all(pictures)
    written = json.loads((pictures.parent / "prepared/prepared.json").read_text())
    assert sorted(written) == ["aspect", "background", "class_names", "color", "decoder", "image_size"]
    images, _ = prepare_all(pictures, PARAMS.model_copy(update={"bits": 12, "max_megapixels": 200.0}))
    assert (images.form.bits, images.form.max_megapixels) == (12, 200.0)
