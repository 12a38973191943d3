"""The drawn data set: the same seed gives the same bytes, only the shapes reveal the class, and the planted faults are
real."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from pydantic import ValidationError
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pawline.drawn.data_set import TURNED, GeneratedSet, _draw_upright, draw_data_set
from pawline.errors import DatasetError
from pawline.params.record import load_record
from tests.source import ROOT

NUM_IMAGES = 110
SPEC = GeneratedSet(seed=5, num_images_per_class=NUM_IMAGES, min_side=120, max_side=500, planted_faults=True)
SMALL = SPEC.model_copy(update={"num_images_per_class": 12, "planted_faults": False})
SMALL_FAULTY = SMALL.model_copy(update={"planted_faults": True})
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated") / "drawn"
    draw_data_set(SPEC, root)
    return root


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that SMALL writes into an existing empty folder."""
    return draw(SMALL, tmp_path_factory.mktemp("small_set"))


@pytest.fixture(scope="module")
def faulty_set(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return draw(SMALL_FAULTY, tmp_path_factory.mktemp("faulty_set"))


@pytest.fixture(scope="module")
def pictures(drawn: Path) -> list[tuple[int, bytes]]:
    """(label, bytes) of every numbered picture."""
    return [
        (label, path.read_bytes())
        for label, class_name in enumerate(("cat", "dog"))
        for path in sorted((drawn / class_name).iterdir())
        if path.stem.isdigit()
    ]


@pytest.fixture(scope="module")
def labels(pictures: list[tuple[int, bytes]]) -> np.ndarray:
    return np.array([label for label, _ in pictures])


def decode(data: bytes) -> np.ndarray | None:
    """uint8 (height, width, 3), blue, green, red; None where OpenCV refuses."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def draw(spec: GeneratedSet, root: Path) -> dict[str, bytes]:
    draw_data_set(spec, root)
    return contents(root)


# --- Same seed, same set ----------------------------------------------------------------------


def test_the_same_seed_writes_the_same_bytes(faulty_set: dict[str, bytes], tmp_path: Path) -> None:
    assert draw(SMALL_FAULTY, tmp_path / "new") == faulty_set


def test_another_seed_writes_other_bytes_under_the_same_names(small_set: dict[str, bytes], tmp_path: Path) -> None:
    other_set = draw(SMALL.model_copy(update={"seed": 6}), tmp_path)
    assert other_set.keys() == small_set.keys()
    assert not set(other_set.values()) & set(small_set.values())


def test_a_larger_set_keeps_every_old_picture(drawn: Path, small_set: dict[str, bytes]) -> None:
    assert len(small_set) == 24
    assert small_set.items() <= contents(drawn).items()


def test_faults_change_no_picture(small_set: dict[str, bytes], faulty_set: dict[str, bytes]) -> None:
    assert small_set.items() < faulty_set.items()


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(DatasetError, match="not empty; a generated set is drawn into a new or empty folder"):
        draw_data_set(SMALL, tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"keep me"}


# --- The record ---------------------------------------------------------------------------------------


def test_the_shipped_set_has_300_of_each_class() -> None:
    spec = load_record(ROOT / "data" / "generated.yaml", GeneratedSet)
    assert (spec.num_images_per_class, spec.min_side, spec.max_side) == (300, 120, 500)
    assert spec.planted_faults


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "greater than or equal to 0"),
        ({"num_images_per_class": 9}, "greater than or equal to 10"),
        ({"num_images_per_class": 20.0}, "valid integer"),
        ({"min_side": 300, "max_side": 200}, "min_side 300 is larger than max_side 200"),
        ({"planted_faults": "yes"}, "valid boolean"),
        ({"breed": "pug"}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GeneratedSet.model_validate(SPEC.model_dump() | change)


# --- Names and sizes ----------------------------------------------------------------------------------


def test_each_class_folder_has_the_requested_number_of_pictures(drawn: Path, labels: np.ndarray) -> None:
    assert sorted(path.name for path in drawn.iterdir()) == ["cat", "dog"]
    assert np.bincount(labels).tolist() == [NUM_IMAGES, NUM_IMAGES]


def test_both_classes_use_the_same_names(drawn: Path) -> None:
    cat, dog = ({path.name for path in (drawn / name).iterdir() if path.stem.isdigit()} for name in ("cat", "dog"))
    assert cat == dog
    assert {"0001.jpg", f"{NUM_IMAGES - 1:04}.jpg"} <= cat


def test_sides_stay_within_bounds_and_both_orientations_occur(pictures: list[tuple[int, bytes]]) -> None:
    sizes = np.array([Image.open(io.BytesIO(data)).size for _, data in pictures])
    assert sizes.min() >= 120
    assert sizes.max() <= 500
    assert (sizes[:, 0] > sizes[:, 1]).mean() == pytest.approx(0.5, abs=0.15)


def test_equal_min_and_max_side_give_squares(tmp_path: Path) -> None:
    draw_data_set(SMALL.model_copy(update={"min_side": 130, "max_side": 130}), tmp_path)
    assert {Image.open(path).size for path in tmp_path.glob("*/*.*")} == {(130, 130)}


@pytest.mark.parametrize("class_name", ["cat", "dog"])
def test_each_class_has_a_png_with_alpha_and_one_without(drawn: Path, class_name: str) -> None:
    modes = {Image.open(path).mode for path in (drawn / class_name).glob("*.png")}
    assert modes == {"RGB", "RGBA"}


# --- Only the shapes reveal the class ------------------------------------------------------------


@pytest.mark.parametrize("side", [32, 64])
def test_the_nearest_mean_picture_does_not_reveal_the_class(
    pictures: list[tuple[int, bytes]], labels: np.ndarray, side: int
) -> None:
    gray = [cv2.cvtColor(decode(data), cv2.COLOR_BGR2GRAY) for _, data in pictures]
    pixels = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).ravel() for image in gray]
    assert cross_val_score(NearestCentroid(), np.float32(pixels), labels, cv=FOLDS).mean() < 0.75


@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), RandomForestClassifier(50, random_state=0)],
    ids=["linear", "forest"],
)
def test_size_bytes_and_colour_do_not_reveal_the_class(
    pictures: list[tuple[int, bytes]], labels: np.ndarray, classifier: object
) -> None:
    features = []
    for _, data in pictures:
        image = decode(data)
        features.append([*image.shape[:2], len(data), len(data) / image.size, *image.mean(axis=(0, 1))])
    model = make_pipeline(StandardScaler(), classifier)
    assert cross_val_score(model, np.array(features), labels, cv=FOLDS).mean() < 0.65


# --- Planted faults -----------------------------------------------------------------------------------


def test_the_number_of_planted_files_is_as_listed(drawn: Path) -> None:
    planted = [path for path in drawn.rglob("*") if path.is_file() and not path.stem.isdigit()]
    bad, exact, near, turned, mislabelled, litter = 3, 3, 4, 4, 1, 1
    assert len(planted) == bad + exact + near + turned + mislabelled + litter


def test_the_empty_file_is_empty(drawn: Path) -> None:
    assert (drawn / "cat" / "empty.jpg").read_bytes() == b""


def test_the_truncated_file_has_a_header_but_cannot_be_decoded(drawn: Path) -> None:
    data = (drawn / "dog" / "cut-off.jpg").read_bytes()
    header = Image.open(io.BytesIO(data))  # reads no pixels
    assert (header.format, header.size) == ("JPEG", Image.open(drawn / "dog" / "0002.jpg").size)
    assert decode(data) is None


def test_the_text_file_is_text(drawn: Path) -> None:
    data = (drawn / "cat" / "notes.jpg").read_bytes()
    assert data.decode("ascii").startswith("Feed the cats")
    assert decode(data) is None


@pytest.mark.parametrize(
    ("copy", "source"),
    [
        ("cat/copy-of-0003.jpg", "cat/0003.jpg"),
        ("dog/copy-of-0005.jpg", "dog/0005.jpg"),
        ("dog/copy-of-0009.jpg", "dog/0009.jpg"),
        ("dog/wrong-folder-0007.jpg", "cat/0007.jpg"),
    ],
)
def test_exact_copies_have_the_same_bytes(drawn: Path, copy: str, source: str) -> None:
    assert (drawn / copy).read_bytes() == (drawn / source).read_bytes()


@pytest.mark.parametrize("name", ["cat/{}0004.jpg", "cat/{}0006.jpg", "dog/{}0004.jpg", "dog/{}0008.jpg"])
def test_near_copies_show_the_same_picture_with_other_bytes(drawn: Path, name: str) -> None:
    source, near = ((drawn / name.format(prefix)).read_bytes() for prefix in ("", "resaved-"))
    assert source != near
    assert mean_difference(decode(source), decode(near)) < 4


@pytest.mark.parametrize(("class_name", "orientation"), TURNED)
def test_a_turned_photograph_is_upright_where_its_tag_is_applied(
    drawn: Path, class_name: str, orientation: int
) -> None:
    data = (drawn / class_name / f"turned-{orientation}.jpg").read_bytes()
    upright = cv2.cvtColor(_draw_upright(SPEC, class_name, orientation), cv2.COLOR_RGB2BGR)
    photograph = Image.open(io.BytesIO(data))
    as_stored = np.asarray(photograph)[:, :, ::-1]
    by_pillow = np.asarray(ImageOps.exif_transpose(photograph))[:, :, ::-1]
    assert photograph.getexif()[0x0112] == orientation
    assert decode(data).shape == by_pillow.shape == upright.shape
    assert mean_difference(upright, decode(data)) < 3
    assert mean_difference(upright, by_pillow) < 3
    assert mean_difference(upright, as_stored) > 10


def test_litter_lies_where_file_managers_leave_it(drawn: Path) -> None:
    assert (drawn / "cat" / "Thumbs.db").stat().st_size > 0
    assert list((drawn / "dog" / ".thumbnails").iterdir())


def test_without_faults_there_are_only_pictures(small_set: dict[str, bytes]) -> None:
    for name, data in small_set.items():
        assert Path(name).stem.isdigit()
        assert decode(data) is not None


def mean_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference of two pictures, both shrunk to 64 x 64."""
    small = [cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) for image in (first, second)]
    return float(cv2.absdiff(*small).mean())
