"""`params.yaml` is checked on load; each error is one line with the key, the value and the allowed values."""

import math
import re
import shutil
from pathlib import Path

import pytest

from pawline.errors import ParamsError
from pawline.params.whole import load_params
from tests.conftest import run, set_params
from tests.source import ROOT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def complaint(file: Path) -> str:
    """The error message for a params file, without the file name at its start."""
    with pytest.raises(ParamsError) as refused:
        load_params(file)
    message = str(refused.value)
    assert message.startswith(f"{file}:")
    assert "\n" not in message
    return message.removeprefix(f"{file}:").strip()


def complaint_about(file: Path, values: dict[str, object]) -> str:
    set_params(file.parent, values)
    return complaint(file)


def test_the_projects_own_params_are_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.ingest.source == "data/generated.yaml"
    assert params.prepare.num_channels == 1


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        # wrong type; no silent conversion
        ("train.epochs", "five", 'train.epochs is "five": input should be a valid integer'),
        ("train.epochs", "5", 'train.epochs is "5": input should be a valid integer'),
        ("train.epochs", True, "train.epochs is true: input should be a valid integer"),
        ("train.epochs", 2.5, "train.epochs is 2.5: input should be a valid integer"),
        ("train.epochs", None, "train.epochs is null: input should be a valid integer"),
        ("train.flip", 1, "train.flip is 1: input should be a valid boolean"),
        ("train.flip", "yes", 'train.flip is "yes": input should be a valid boolean'),
        ("train.learning_rate", "1e-3", 'train.learning_rate is "1e-3": input should be a valid number'),
        ("train.learning_rate", "fast", 'train.learning_rate is "fast": input should be a valid number, or auto'),
        (
            "train.sizes",
            "half",
            'train.sizes is "half": expected a list of one or more fractions, such as [0.5, 0.75], or',
        ),
        ("train.sizes", [0.5, 2], "train.sizes.1 is 2: input should be less than or equal to 1"),
        ("train.patience", "never", 'train.patience is "never": input should be a valid integer, or auto'),
        ("ingest.source", 7, "ingest.source is 7: input should be a valid string"),
        ("check", {"acuracy_low": 0.9}, "unknown key 'check.acuracy_low'; did you mean 'accuracy_low'?"),
        ("check", {"accuracy": 90}, "check.accuracy is 90: input should be less than or equal to 1"),
        ("check", {"recall": 0.9}, "check.recall is 0.9: input should be an object"),
        ("check", {"recall": {"cat": 2}}, "check.recall.cat is 2: input should be less than or equal to 1"),
        ("judging.cost_of_unsure", 0, "judging.cost_of_unsure is 0: input should be greater than 0"),
        ("prepare", None, "prepare is null: input should be an object"),
        ("network.classic.kernel", 3, "network.classic.kernel is 3: expected two whole numbers"),
        ("network.classic.kernel", [3, "3"], 'network.classic.kernel.1 is "3": input should be a valid integer'),
        ("network.classic.kernel", [3, 3, 3], "network.classic.kernel is [3, 3, 3]: expected two whole numbers"),
        ("network.classic.kernel", [3], "network.classic.kernel is [3]: expected two whole numbers"),
        ("network.fast.filters", 32, "network.fast.filters is 32: expected a list of 2 to 7 whole numbers"),
        (
            "network.fast.filters",
            [8] * 8,
            "network.fast.filters is [8, 8, 8, 8, 8, 8, 8, 8]: expected a list of 2",
        ),
        ("train.sizes", 0.9, "train.sizes is 0.9: expected a list of one or more fractions"),
        ("train.sizes", [], "train.sizes is []: expected a list of one or more fractions"),
        # out of range
        (
            "train.minutes",
            "",
            'train.minutes is "": input should be a valid number; null empties it',
        ),  # -S train.minutes=
        ("train.epochs", 0, "train.epochs is 0: input should be greater than or equal to 1"),
        ("train.seed", -1, "train.seed is -1: input should be greater than or equal to 0"),
        ("train.seed", 2**31, "train.seed is 2147483648: input should be less than 2147483648"),
        ("train.learning_rate", 0, "train.learning_rate is 0: input should be greater than 0"),
        ("train.learning_rate", math.nan, "train.learning_rate is NaN: input should be a finite number"),
        ("train.learning_rate", math.inf, "train.learning_rate is Infinity: input should be a finite number"),
        ("prepare.image_size", 4, "prepare.image_size is 4: input should be greater than or equal to 8"),
        ("prepare.image_size", 5000, "prepare.image_size is 5000: input should be less than or equal to 1024"),
        ("prepare.color", "gray", "prepare.color is \"gray\": input should be 'grayscale' or 'rgb'"),
        ("prepare.max_bad_fraction", 1.1, "prepare.max_bad_fraction is 1.1: input should be less than or equal"),
        ("split.val_fraction", 0, "split.val_fraction is 0: input should be greater than 0"),
        ("split.min_per_part", 0, "split.min_per_part is 0: input should be greater than or equal to 1"),
        ("split.rare_classes", "drop", "split.rare_classes is \"drop\": input should be 'refuse', 'leave_out' or"),
        ("split.group", "patient[0-9]+", "split.group: 'patient[0-9]+' has no pair of parentheses"),
        ("split.group", "(patient", "split.group: '(patient' is no regular expression: missing )"),
        ("split.near_duplicates", "no", 'split.near_duplicates is "no": input should be a valid boolean'),
        (
            "network.name",
            "modern",
            "network.name is \"modern\": input should be 'fast', 'classic' or 'pretrained'",
        ),
        ("ingest.source", "", 'ingest.source is "": string should have at least 1 character'),
        ("ingest.sha256", "abc", 'ingest.sha256 is "abc": expected 64 hexadecimal digits'),
        ("network.classic.filters", [0, 8], "network.classic: filters is [0, 8]; each number must be 1 or more"),
        ("network.classic.stride", [1, -1], "network.classic: stride is [1, -1]; each number must be 1 or more"),
    ],
)
def test_an_error_names_the_value_and_the_allowed_values(
    file: Path, key: str, value: object, message: str
) -> None:
    assert complaint_about(file, {key: value}).startswith(message)


@pytest.mark.parametrize(("stride", "window"), [("stride", "kernel"), ("pool_stride", "pool_window")])
def test_a_stride_larger_than_its_window_is_refused(file: Path, stride: str, window: str) -> None:
    section = "network.classic"
    assert complaint_about(file, {f"{section}.{window}": [3, 5], f"{section}.{stride}": [3, 6]}) == (
        f"{section}: {stride} [3, 6] is larger than {window} [3, 5]; "
        "a window may overlap its neighbour but must never skip a pixel"
    )


def test_no_training_picture_is_larger_than_those_that_the_model_predicts_at(file: Path) -> None:
    assert complaint_about(file, {"train.sizes": [0.5, 0.75], "train.predict_size": 0.5}).startswith(
        "train: sizes [0.5, 0.75] goes beyond predict_size 0.5; both are fractions of prepare.image_size"
    )
    set_params(file.parent, {"train.sizes": "auto", "prepare.image_size": 32, "train.predict_size": 0.25})
    assert complaint(file).startswith("train.predict_size 0.25 makes 8 pixels: too small for network.fast")


def test_a_stride_may_equal_its_window(file: Path) -> None:
    set_params(file.parent, {"network.classic.kernel": [3, 2], "network.classic.stride": [3, 2]})
    assert load_params(file).network.classic.stride == (3, 2)


@pytest.mark.parametrize("fraction", [0.5, 0.75])
def test_fractions_must_leave_images_for_training(file: Path, fraction: float) -> None:
    assert complaint_about(file, {"split.val_fraction": 0.5, "split.test_fraction": fraction}) == (
        f"split: val_fraction 0.5 and test_fraction {fraction} sum to 1 or more; "
        "their sum must stay below 1, the rest is what the network learns from"
    )


def test_the_error_for_too_small_images_gives_the_map_sizes(file: Path) -> None:
    """The first pooling shrinks 8 to 1, which is too small for the second window of 8."""
    settings = {"network.name": "classic", "network.classic.pool_window": [8, 8], "prepare.image_size": 8}
    assert complaint_about(file, settings) == (
        "prepare.image_size 8 is too small for network.classic: its feature maps would shrink to "
        "[8, 1, 1, -3]; use larger images, smaller pool windows or smaller strides"
    )


def test_images_smaller_than_the_total_stride_are_refused(file: Path) -> None:
    assert complaint_about(file, {"network.name": "fast", "prepare.image_size": 15}) == (
        "prepare.image_size 15 is too small for network.fast, whose 4 widths each halve it; "
        "use at least 16, or fewer filters"
    )


def test_a_pretrained_network_needs_weights(file: Path) -> None:
    settings = {"network.name": "pretrained", "network.pretrained.architecture": "MobileNetV3Small"}
    assert complaint_about(file, settings) == (
        "network: pretrained.weights is empty; name a weights file of MobileNetV3Small, or imagenet to let Keras "
        "download its own; or use EfficientNetLite0, whose weights come as a package"
    )


@pytest.mark.parametrize("setting", [{"weights": "imagenet"}, {"sha256": "0" * 64}])
def test_an_architecture_whose_weights_are_a_package_needs_no_file(file: Path, setting: dict[str, str]) -> None:
    settings = {f"network.pretrained.{key}": value for key, value in setting.items()}
    assert complaint_about(file, {"network.name": "pretrained"} | settings) == (
        "network.pretrained: weights or sha256 is set, but EfficientNetLite0 takes its weights from an installed "
        "package; leave both empty, or choose another architecture"
    )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("fine_tune", 2, "it is 2; expected true, false or a fraction of the layers, such as 0.3"),
        ("fine_tune", "all", "it is 'all'; expected true, false or a fraction of the layers, such as 0.3"),
        ("penalty", 0, "it is 0; expected auto, or a number above 0 and at most 1000"),
        ("penalty", True, "it is True; expected auto, or a number above 0 and at most 1000"),
        ("penalty", "atuo", "it is 'atuo'; expected auto, or a number above 0 and at most 1000"),
    ],
)
def test_a_param_of_two_kinds_says_both(file: Path, key: str, value: object, expected: str) -> None:
    assert complaint_about(file, {f"network.pretrained.{key}": value}) == f"network.pretrained.{key}: {expected}"


@pytest.mark.parametrize("weights", [None, "imagenet"])
def test_a_digest_without_a_weights_file_is_refused(file: Path, weights: str | None) -> None:
    settings = {
        "network.pretrained.architecture": "MobileNetV3Small",
        "network.pretrained.weights": weights,
        "network.pretrained.sha256": "0" * 64,
    }
    assert complaint_about(file, settings) == (
        "network.pretrained: sha256 is set, but weights names no file to check; leave it empty"
    )


def test_a_pretrained_network_refuses_tiny_pictures(file: Path) -> None:
    settings = {"network.name": "pretrained", "prepare.image_size": 31}
    assert complaint_about(file, settings) == (
        "prepare.image_size 31 is too small for network.pretrained; use at least 32"
    )


SPLIT_KEYS = "val_fraction, test_fraction, seed, min_per_part, rare_classes, group, near_duplicates"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("split.val_fracton", "unknown key 'split.val_fracton'; did you mean 'val_fraction'?"),
        ("network.classic.fliters", "unknown key 'network.classic.fliters'; did you mean 'filters'?"),
        ("trian", "unknown key 'trian'; did you mean 'train'?"),
        ("split.xyz", f"unknown key 'split.xyz'; known here: {SPLIT_KEYS}"),
        ("split.epochs", f"unknown key 'split.epochs'; known here: {SPLIT_KEYS}"),
    ],
)
def test_the_error_for_an_unknown_key_suggests_a_known_key(file: Path, key: str, message: str) -> None:
    assert complaint_about(file, {key: 1}) == message


def test_a_misspelt_key_is_reported_before_the_missing_key(file: Path) -> None:
    file.write_text(file.read_text().replace("  epochs: ", "  epoch: "))
    assert complaint(file) == "unknown key 'train.epoch'; did you mean 'epochs'?"


def test_the_error_for_a_missing_key_names_it(file: Path) -> None:
    file.write_text(file.read_text().replace("  color: grayscale\n", ""))
    assert complaint(file) == "'prepare.color' is missing; add it, or restore the file from git"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ingest:\n  source: [a\n", "line 3: not valid YAML: "),
        ("ingest:\n\tsource: a\n", "line 2: not valid YAML: "),
        ("a: 1\na: 2\n", "line 2: not valid YAML: found duplicate key"),
        ("", "the file is null: input should be an object"),
        ("just words", 'the file is "just words": input should be an object'),
        (f"- {'long ' * 1000}", 'the file is ["long long'),
        ("2026-11-23: a date\n", "keys must be str"),
    ],
)
def test_the_error_for_an_invalid_file_is_one_short_line(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    assert complaint(file).startswith(message)
    assert len(complaint(file)) < 200


def test_the_error_for_an_unreadable_file_gives_the_reason(tmp_path: Path) -> None:
    assert complaint(tmp_path / "nothing.yaml").startswith("not found; run from the project's root")
    (tmp_path / "latin.yaml").write_bytes("größe: 1".encode("latin-1"))
    assert complaint(tmp_path / "latin.yaml").startswith("cannot be read: 'utf-8' codec")


def test_numbers_are_read_as_dvc_reads_them(file: Path) -> None:
    """In YAML 1.2, 1e-3 is a number; in YAML 1.1, which many parsers still use, it is text."""
    file.write_text(file.read_text().replace("learning_rate: ", "learning_rate: 1e-3 # "))
    assert load_params(file).train.learning_rate == 0.001


def test_params_cannot_be_changed_after_loading(file: Path) -> None:
    params = load_params(file)
    with pytest.raises(ValueError, match="frozen"):
        params.train.epochs = 3  # type: ignore[misc]


def test_a_stage_ends_with_one_line_and_exit_code_2(file: Path) -> None:
    set_params(file.parent, {"split.val_fracton": 0.1})
    stage = run(file.parent, "python", "-m", "tasks.ingest", expect=2)
    assert stage.stderr == (
        "pawline: params.yaml: unknown key 'split.val_fracton'; did you mean 'val_fraction'?\n"
    )
    assert stage.stdout == ""
    assert [path.name for path in file.parent.iterdir()] == ["params.yaml"]


def test_dvc_keeps_the_form_of_params_yaml(tmp_path: Path) -> None:
    """`dvc exp run -S` rewrites the whole file, but git must show only one changed line."""
    from dvc.utils.hydra import apply_overrides

    original = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(original)
    apply_overrides(tmp_path / "params.yaml", ["train.epochs=7"])
    written = (tmp_path / "params.yaml").read_text()
    assert written == re.sub(r"(?m)^  epochs: \d+$", "  epochs: 7", original) != original
