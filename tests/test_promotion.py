"""Registered models: who is champion, and what happens when two commands meet or one is killed."""

import argparse
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from onnx import TensorProto, helper, numpy_helper

from pawline.card import Card, card_path, write_card
from pawline.cli import promote as promote_command
from pawline.cli import register as register_command
from pawline.cli.champion_watch import look_again
from pawline.errors import BusyError, DatasetError, ModelError, ParamsError
from pawline.files import file_digest
from pawline.judging.gate import Verdict, p_limit
from pawline.params.prepare import ImageForm
from pawline.parts import data_digest
from pawline.runtime.export_card import ExportCard, export_card_path, write_export_card
from pawline.runtime.model import RuntimeModel
from pawline.service.current_model import CurrentModel
from pawline.tracking import promotion, registry, store
from pawline.tracking.promotion import Asked, promote, register, rollback
from pawline.tracking.registry import CHALLENGES, LINE, RECORD, VERDICT
from pawline.tracking.store import MODEL_DIGEST
from pawline.workspace import turns
from pawline.workspace.laid_models import LaidModels, champion_files
from pawline.workspace.layout import Layout
from pawline.workspace.registered import Answer, known_answer
from tests.background import free_port, wait_for
from tests.cards import CONDITIONS
from tests.conftest import run
from tests.source import ROOT
from tests.test_runtime import write_brightness
from tests.test_service import service

NUM_TEST = 60  # pictures of each of the two classes
SIDE = 8
FIRST_LEVEL = {"test": 0, "train": 100, "val": 110}  # the grey of a part's first cat
DOG = 128  # a dog is so much brighter than the cat of its number


@pytest.fixture
def checkout(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("MLFLOW_TRACKING", "DVC_"))]:
        monkeypatch.delenv(name)
    place = tmp_path / "a place"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "dvc.yaml").touch()
    shutil.copy(ROOT / "params.yaml", place)
    shutil.copy(empty_store, place / "mlflow.db")
    monkeypatch.setattr(promotion, "log_model", log_stand_in)
    write_data()
    return place


def level(number: int, name: str, part: str = "test") -> int:
    return FIRST_LEVEL[part] + number + (DOG if name == "dog" else 0)


@cache
def picture(number: int, name: str, part: str) -> bytes:
    grey = np.full((SIDE, SIDE), level(number, name, part), np.uint8)
    return cv2.imencode(".png", grey)[1].tobytes()


def digest_of(number: int, name: str = "cat", part: str = "test") -> str:
    return hashlib.sha256(picture(number, name, part)).hexdigest()


def write_data(
    num_test: int = NUM_TEST, learned: Iterable[str] = (), groups: dict[str, str] | None = None
) -> None:
    """Pictures of one grey each. learned: the digests of test pictures that are in train instead."""
    rows, at = [], Layout()
    for part, count in (("test", num_test), ("train", 3), ("val", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                path, data = f"{name}/{part}{number}.png", picture(number, name, part)
                (at.raw / name).mkdir(parents=True, exist_ok=True)
                (at.raw / path).write_bytes(data)
                digest = hashlib.sha256(data).hexdigest()
                rows.append((path, digest, ["cat", "dog"].index(name), part))
    split = pd.DataFrame(rows, columns=["path", "digest", "label", "split"])
    split.loc[split["digest"].isin(list(learned)), "split"] = "train"
    split["group"] = [(groups or {}).get(digest, digest) for digest in split["digest"]]
    split.to_parquet(at.split)
    split.iloc[:0].to_parquet(at.left_out)
    index = split.assign(class_name=split["path"].str.partition("/")[0])
    index[["path", "class_name"]].to_parquet(at.index)


def train(wrong: Iterable[int] = (), wrong_dogs: Iterable[int] = (), name: str = "", **run_tags: str) -> str:
    """A model that is wrong on these test pictures, trained and evaluated in an MLflow run. Returns its digest."""
    at = Layout()
    at.model.parent.mkdir(exist_ok=True)
    levels = [level(number, "cat") for number in wrong] + [level(number, "dog") for number in wrong_dogs]
    at.model.write_text(json.dumps({"wrong": levels, "name": name}))
    at.exported.write_bytes(table_of_classes(levels, name))
    card = Card(
        digest=file_digest(at.model),
        class_names=["cat", "dog"],
        form=ImageForm(image_size=SIDE, color="grayscale", aspect="stretch", background=0),
        network="stand-in",
        num_weights=1,
        training_data_digest=data_digest(pd.read_parquet(at.split)),
        decoder="none",
        conditions=CONDITIONS,
    )
    write_card(at.model, card)
    form, exported = card.form.model_dump(), file_digest(at.exported)
    write_export_card(
        at.exported, ExportCard(exported, card.digest, card.class_names, form, card.decoder, ["logits"])
    )
    store.use_store()
    with mlflow.start_run(run_name=name or "training", tags=run_tags):
        log_stand_in(at.exported, card)
        mlflow.log_artifact(str(at.split), "evaluate")
    return card.digest


def table_of_classes(wrong: Iterable[int], name: str) -> bytes:
    """A network that knows the class of each grey, made by hand, wrong about some of them."""
    right = np.arange(256) >= DOG
    right[list(wrong)] ^= True
    classes = numpy_helper.from_array(np.stack([~right, right], axis=1).astype(np.float32), "classes")
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["level"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Cast", ["level"], ["row"], to=TensorProto.INT64),
        helper.make_node("Gather", ["classes", "row"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        name or "unnamed",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [classes],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString(deterministic=True))


def log_stand_in(exported: Path, card: Card) -> None:
    """What `log_model` leaves in MLflow, without the second that it takes to copy the code."""
    run = mlflow.active_run()
    assert run is not None
    logged = mlflow.initialize_logged_model(name="model", source_run_id=run.info.run_id)
    folder = exported.parent / "logged"
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    for file in (exported, export_card_path(exported), card_path(exported)):
        shutil.copy(file, folder / "artifacts")
    MlflowClient().log_model_artifacts(logged.model_id, str(folder))
    mlflow.finalize_logged_model(logged.model_id, "READY")
    MlflowClient().log_outputs(run.info.run_id, models=[LoggedModelOutput(logged.model_id, 0)])
    mlflow.set_tag(MODEL_DIGEST, card.digest)


def aliases() -> dict[str, int]:
    """Read the aliases in the store that a command has used last."""
    found = [one for one in MlflowClient().search_registered_models() if one.name == "pawline"]
    if not found:
        return {}
    model = MlflowClient().get_registered_model("pawline")
    return {alias: int(version) for alias, version in model.aliases.items()}


def tags(version: int | None = None) -> dict[str, str]:
    client = MlflowClient()
    if version is None:
        return dict(client.get_registered_model("pawline").tags)
    return dict(client.get_model_version("pawline", str(version)).tags)


def challenges() -> list[str]:
    return sorted(value for key, value in tags().items() if key.startswith(CHALLENGES))


def test_the_first_version_is_promoted_and_a_known_model_is_answered_without_mlflow(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = train()
    words = "promoted: the first version, without a champion to beat; no check to pass"
    assert register() == Answer(1, digest, "Promoted", words)
    assert aliases() == {"champion": 1}
    assert tags(1)[MODEL_DIGEST] == digest
    assert tags(1)[VERDICT] == words
    known = known_answer()
    assert known == Answer(1, digest, "Promoted", words, is_known=True)
    assert str(known) == f"version 1, known: {words}"
    assert register().words == f"the champion; {words}"
    assert len(MlflowClient().search_model_versions("name = 'pawline'")) == 1
    assert mlflow.artifacts.list_artifacts("models:/pawline@champion")


def test_the_first_version_needs_a_check_that_passed(checkout: Path) -> None:
    check = Layout().metrics_of("check")
    check.parent.mkdir()
    check.write_text('{"passed": false}')
    train()
    failed = register()
    assert failed.words == "kept: no champion yet, but its stage `check` failed (metrics/check.json)"
    assert aliases() == {"challenger": 1}
    assert promote(1) == (
        False,
        f"version 1, known: {failed.words}; `pawline promote 1 --anyway` makes it the champion all the same",
    )
    check.write_text('{"passed": true}')
    assert register().words.endswith("; it passed the check")
    assert aliases() == {"champion": 1}


def test_a_better_model_is_promoted_and_a_worse_one_is_the_challenger(checkout: Path) -> None:
    train(wrong=range(20), wrong_dogs=range(20))
    register()
    train(wrong=range(10), wrong_dogs=range(12), name="better")
    answer = register()
    assert (answer.version, answer.state) == (2, "Promoted")
    assert answer.words == (
        "promoted: 18 fixed, 0 broken, p = 7.6e-06, at most 0.061 (challenge 1 on these test pictures), 120 pictures"
    )
    train(wrong=range(11), wrong_dogs=range(12), name="worse")
    answer = register()
    assert (answer.version, answer.state) == (3, "Kept")
    assert answer.words.startswith("kept: 0 fixed, 1 broken, p = 1; 120 pictures show a difference from about ")
    assert aliases() == {"champion": 2, "challenger": 3}
    assert challenges() == ["1=2:1 2=3:2"]


def test_the_level_is_shared_by_all_challenges_of_one_test_part_and_whole_again_on_another(checkout: Path) -> None:
    train(wrong=range(20))
    register()
    for number in range(2, 5):
        train(wrong=range(20), name=str(number))
        register()
    assert challenges() == ["1=2:1 2=3:1 3=4:1"]
    train(wrong=range(13), name="better, but not enough for a fourth")
    answer = register()  # 7 fixed: p = 2 / 2**7
    assert p_limit(4, 0.05) < 2 / 2**7 < p_limit(1, 0.05)
    assert answer.words.startswith(
        "kept: 7 fixed, 0 broken, p = 0.016, and challenge 4 on these test pictures needs 0.0038 or less; "
    )
    write_data(num_test=NUM_TEST + 1)
    train(wrong=range(13), name="the same on new data")
    assert register().state == "Promoted"
    assert len(challenges()) == 2


def test_pictures_that_the_champion_learned_from_do_not_judge_nor_do_their_near_duplicates(checkout: Path) -> None:
    """The champion's split had 60 of today's 120 test pictures in train; 30 others are their near-duplicates."""
    write_data(learned=[digest_of(number) for number in range(60)])
    train()
    register()
    write_data(groups={digest_of(number, "dog"): digest_of(number) for number in range(30)})
    train(name="of today")
    answer = register()
    assert answer.words == (
        "can't tell: 30 test pictures are left, fewer than promotion.min_pictures, 50 "
        "(90 that the champion learned from, or from a near-duplicate)"
    )
    assert aliases() == {"champion": 1, "challenger": 2}
    assert challenges() == []
    assert promote(None)[0] is False
    assert promote(2, anyway=True) == (
        True,
        "version 2 is the champion now, instead of version 1: promoted by hand, whatever the gate says",
    )
    assert aliases() == {"champion": 2}


def test_near_duplicates_in_the_test_part_count_as_one(checkout: Path) -> None:
    write_data(groups={digest_of(number): digest_of(0) for number in range(10)})
    train(wrong=range(10))
    register()
    train(name="better on one group of ten")
    assert register().words.startswith("kept: 1 fixed, 0 broken, p = 1; 120 pictures in 111 groups show ")


def test_an_experiment_records_version_and_verdict_and_leaves_the_aliases(checkout: Path) -> None:
    train(wrong=range(20))
    register()
    train(name="better", **{promotion.EXPERIMENT_TAG: "tiny-cat"})
    answer = register()
    assert answer.state == "Kept"
    assert answer.words == (
        "kept: made by an experiment; the gate is in favour (20 fixed, 0 broken, p = 1.9e-06, at most 0.061 (challenge "
        "1 on these test pictures), 120 pictures): `pawline promote 2` makes it the champion"
    )
    assert aliases() == {"champion": 1}
    with pytest.raises(
        ParamsError,
        match=r"^no version has the alias challenger, which one made by an experiment does not get; name a version: "
        r"`pawline promote VERSION`, the newest is 2$",
    ):
        promote(None)
    is_done, words = promote(2)
    assert is_done and words.startswith("version 2 is the champion now, instead of version 1: promoted: 20 fixed")
    assert aliases() == {"champion": 2}
    assert challenges() == ["1=2:1"]


def test_an_experiment_that_is_no_better_is_told_why_it_has_no_alias(checkout: Path) -> None:
    with pytest.raises(ParamsError, match="^no version is registered; `pawline register` makes one of the model"):
        promote(None)
    train(wrong=range(20))
    register()
    train(wrong=range(21), name="worse", **{promotion.EXPERIMENT_TAG: "tiny-cat"})
    answer = register()
    assert answer.words.endswith(
        "; made by an experiment, so no alias moves: `pawline promote 2 --anyway` makes it the champion all the same"
    )
    assert aliases() == {"champion": 1}


def test_a_workspace_of_a_flow_run_with_other_params_is_an_experiment(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(wrong=range(20))
    register()
    workspace = checkout / ".pawline/runs/brave-cat/1/2/3/4/5/checkout"
    shutil.copytree(checkout, workspace, ignore=shutil.ignore_patterns(".pawline", "mlflow.db", "mlartifacts"))
    monkeypatch.chdir(workspace)
    train(name="better")
    assert register().words.startswith("kept: made by an experiment; the gate is in favour")
    monkeypatch.chdir(checkout)
    assert aliases() == {"champion": 1}


def test_rollback_goes_back_twice_and_what_was_rolled_back_stays_so(checkout: Path) -> None:
    for number_wrong in (40, 20, 0):
        train(wrong=range(number_wrong), name=str(number_wrong))
        register()
    assert aliases() == {"champion": 3}
    assert rollback() == (True, "version 2 is the champion again, instead of version 3")
    assert known_answer() is None
    assert register().words.startswith("kept: it was rolled back; the gate is in favour (20 fixed, 0 broken, ")
    assert rollback() == (True, "version 1 is the champion again, instead of version 2")
    assert rollback() == (False, "there was no champion before version 1; it stays")
    assert register().words == "kept: it was rolled back; `pawline promote 3` judges it again"
    assert aliases()["champion"] == 1
    assert promote(3)[0] is True
    assert aliases()["champion"] == 3
    assert rollback() == (True, "version 1 is the champion again, instead of version 3")


def test_an_alias_moved_by_hand_in_mlflow_is_followed(checkout: Path) -> None:
    for number_wrong in (40, 20, 0):
        train(wrong=range(number_wrong), name=str(number_wrong))
        register()
    client = MlflowClient()
    client.set_registered_model_alias("pawline", "champion", "1")
    assert rollback() == (False, "there was no champion before version 1; it stays")
    client.set_registered_model_alias("pawline", "champion", "3")
    client.delete_model_version("pawline", "2")
    assert rollback() == (True, "version 1 is the champion again, instead of version 3")
    client.delete_registered_model_alias("pawline", "champion")
    assert rollback()[1].startswith("there is no champion; ")


WRITES = [
    *("create_registered_model", "create_model_version", "set_registered_model_tag", "set_model_version_tag"),
    *("set_registered_model_alias", "delete_registered_model_alias"),
]


@contextmanager
def after_each_write(then: Callable[[], None]) -> Iterator[None]:
    """Call `then` right after each write to the registry."""

    def watched(write: Callable[..., Any]) -> Callable[..., Any]:
        def write_then(*arguments: Any, **options: Any) -> Any:
            answer = write(*arguments, **options)
            then()
            return answer

        return write_then

    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            patch.setattr(MlflowClient, name, watched(getattr(MlflowClient, name)))
        yield


def state() -> tuple[dict[str, int], list[str], dict[str, Any], list[tuple[str | None, str | None]]]:
    versions = sorted(MlflowClient().search_model_versions("name = 'pawline'"), key=lambda one: int(one.version))
    told = [(tags(int(one.version)).get(VERDICT), tags(int(one.version)).get(RECORD)) for one in versions]
    return aliases(), challenges(), json.loads(tags().get(LINE, "{}")), told


def test_after_a_kill_at_any_write_the_same_command_ends_as_if_nothing_had_happened(checkout: Path) -> None:
    """A first version, an equal one that a person promotes all the same, a better one, and back."""
    commands: list[Callable[[], object]] = [
        register,
        register,
        lambda: promote(2, anyway=True),
        register,
        rollback,
    ]
    models = [{"wrong": range(20)}, {"wrong": range(20), "name": "equal"}, {}, {"name": "better"}, {}]
    champions: list[int | None] = [None]
    num_kills = 0
    for number, (command, model) in enumerate(zip(commands, models, strict=True)):
        if model:
            train(**model)  # type: ignore[arg-type]
        left_by_kills: list[Path] = []

        def keep_what_a_kill_leaves(kept: list[Path] = left_by_kills, number: int = number) -> None:
            if number in (3, 4):  # a version that is added and promoted, and the way back
                kept.append(copy_state(Path(f"killed/{number}/{len(kept)}")))

        with after_each_write(keep_what_a_kill_leaves):
            command()
        after = state()
        champions.append(aliases()["champion"])
        for left in left_by_kills:
            num_kills += 1
            restore_state(left)
            assert aliases().get("champion") in champions[-2:]
            if (found := state()) != after:
                command()
                found = state()
            assert found == after, left
    assert num_kills > 10


def copy_state(to: Path) -> Path:
    """Copy all that a command has written so far: MLflow's store and the local state."""
    to.mkdir(parents=True)
    copy_store("mlflow.db", str(to / "mlflow.db"))
    if Path(".pawline").exists():
        shutil.copytree(".pawline", to / ".pawline", symlinks=True)
    return to


def restore_state(left: Path) -> None:
    copy_store(str(left / "mlflow.db"), "mlflow.db")
    shutil.rmtree(".pawline", ignore_errors=True)
    shutil.copytree(left / ".pawline", ".pawline", symlinks=True)


def copy_store(source: str, target: str) -> None:
    """Copy a database while MLflow has it open."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


class Killed(BaseException):
    """Stands for a kill: nobody catches it."""


def killed(command: Callable[[], object], after_write: int) -> bool:
    """Whether the command came to its write with this number, after which it "died"."""
    num_writes = 0

    def die() -> None:
        nonlocal num_writes
        num_writes += 1
        if num_writes == after_write:
            raise Killed

    with after_each_write(die):
        try:
            command()
        except Killed:
            return True
    return False


def test_the_next_command_finishes_a_move_that_a_kill_interrupted(checkout: Path) -> None:
    for number_wrong in (40, 20, 0):
        train(wrong=range(number_wrong), name=str(number_wrong))
        register()
    assert killed(rollback, 2)  # the note, and the tag that decides
    assert aliases() == {"champion": 3}
    assert register().words.startswith("kept: it was rolled back")
    assert aliases()["champion"] == 2


def test_a_champion_that_changes_while_a_model_is_judged_is_the_one_to_beat(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(wrong=range(40))
    register()
    train(wrong=range(30), **{promotion.EXPERIMENT_TAG: "better"})
    register()
    train(wrong=range(29), name="hardly better than that")
    meanwhile, ask = [lambda: promote(2)], promotion.ask

    def slow(model: Path, pictures: Iterable[bytes]) -> Asked:
        if meanwhile:
            meanwhile.pop()()
        return ask(model, pictures)

    monkeypatch.setattr(promotion, "ask", slow)
    assert register().words.startswith("kept: 1 fixed, 0 broken, p = 1; ")
    assert aliases() == {"champion": 2, "challenger": 3}


def served() -> str:
    """Which model `pawline serve` answers with now: the name of its folder."""
    link = champion_files().link
    assert {path.name for path in link.iterdir()} == {"model.onnx", "export.json", "card.json"}
    assert RuntimeModel(link / "model.onnx").card.model_digest.startswith(link.readlink().name.partition("-")[2])
    return link.readlink().name


def test_a_running_service_answers_with_each_new_champion(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wrong one calls cat 0 a dog. The look is the one that the service takes twice a second."""
    wrong = train(wrong=range(20))
    register()
    assert served() == f"1-{wrong[:12]}"
    current = CurrentModel(champion_files().file)

    def answer() -> str | None:
        current.look()
        return next(current.predictor.predict([picture(0, "cat", "test")])).label

    assert answer() == "dog"
    right = train()
    register()
    assert served() == f"2-{right[:12]}"
    assert answer() == "cat"
    rollback()
    assert served() == f"1-{wrong[:12]}"
    assert answer() == "dog"
    promote(2)
    assert answer() == "cat"
    assert f"the model {right[:12]} answers from now on" in capsys.readouterr().err


def test_the_next_command_lays_the_files_that_a_kill_or_somebody_else_kept_from_the_service(
    checkout: Path,
) -> None:
    old, new = train(wrong=range(20)), train(name="right")
    register()
    laid = champion_files()
    assert served() == f"1-{new[:12]}"
    shutil.rmtree(laid.link.parent / "champions")
    assert known_answer() is None
    assert register().state == "Promoted"
    assert served() == f"1-{new[:12]}"
    train(wrong=range(20))
    register()
    with pytest.MonkeyPatch.context() as deadly:
        deadly.setattr(promotion, "champion_files", lambda: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            promote(2, anyway=True)
    assert aliases()["champion"] == 2
    assert served() == f"1-{new[:12]}"
    (laid.folder / f"2-{old[:12]}.partial").mkdir()
    laid.link.with_name("champion.partial").symlink_to("nowhere")
    assert promote(2) == (True, "version 2 is the champion already")
    assert served() == f"2-{old[:12]}"
    assert sorted(path.name for path in laid.folder.iterdir()) == [f"1-{new[:12]}", f"2-{old[:12]}"]
    (laid.link / "model.onnx").write_bytes(b"changed by somebody")
    promote(2)
    assert served() == f"2-{old[:12]}"


def test_a_champion_whose_files_mlflow_lacks_is_one_line_and_the_old_files_stay(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = train(wrong=range(20))
    register()
    train()
    shutil.move("mlartifacts", "away")
    capsys.readouterr()
    assert promote_by_hand() == (
        True,
        "version 2 is the champion now, instead of version 1: promoted by hand, whatever the gate says",
    )
    [line] = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert (
        "version 2 is not handed to `pawline serve`, which the next command tries again: models:/pawline/2: MLflow"
        in line
    )
    assert aliases() == {"champion": 2}
    assert served() == f"1-{old[:12]}"
    shutil.rmtree("mlartifacts", ignore_errors=True)
    shutil.move("away", "mlartifacts")
    promote(2)
    assert served().startswith("2-")


def promote_by_hand() -> tuple[bool, str]:
    """Return the answer for a model that is registered without a look at the pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promotion, "_verdict", lambda *_: Verdict("can't tell", "can't tell", True))
        register()
    return promote(2, anyway=True)


def test_the_last_three_champions_keep_their_files(tmp_path: Path) -> None:
    laid, made = LaidModels(tmp_path / "champion", tmp_path / "champions"), tmp_path / "made"
    made.mkdir()
    file = write_brightness(made)
    (made / "card.json").write_text("{}")
    for name in ("1-a", "2-b", "3-c", "1-a", "4-d"):
        with laid.held():
            assert laid.lay(name, lambda: nullcontext(file)) is True
            assert laid.lay(name, lambda: pytest.fail("it is known")) is False
    assert [path.name for path in laid.not_in_use()] == ["1-a", "3-c"]
    file.write_bytes(b"damaged")
    with laid.held(), pytest.raises(ModelError, match="its files are damaged"):
        laid.lay("5-e", lambda: nullcontext(file))
    assert laid.link.readlink() == Path("champions/4-d")


def test_a_service_of_an_mlflow_address_follows_it_and_outlives_mlflow(checkout: Path) -> None:
    """Its watcher asks every few seconds; of a store that is gone it says one line."""
    old = train(wrong=range(20))
    register()
    with service(checkout, "--model", "models:/pawline@champion") as client:
        assert client.get("/readyz").json()["model"] == old
        new = train()
        register()
        wait_for(lambda: client.get("/readyz").json()["model"] == new)
        answer = client.post("/predict", content=picture(0, "cat", "test"), headers={"content-type": "image/png"})
        assert answer.json()["predictions"][0]["label"] == "cat"
        MlflowClient().delete_registered_model_alias("pawline", "champion")
        wait_for(lambda: "the old model goes on answering" in (checkout / "background.log").read_text())
        assert client.get("/readyz").json()["model"] == new
        [watcher] = psutil.Process(client.process.pid).children()  # type: ignore[attr-defined]
    watcher.wait(timeout=10)


def test_a_service_whose_mlflow_is_down_at_the_start_is_busy_in_one_line(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    command = ("pawline", "serve", "--port", "0", "--model", "models:/pawline@champion")
    down = run(tmp_path, *command, expect=75, MLFLOW_TRACKING_URI=address)
    assert down.stderr.startswith(f"pawline: MLflow at {address} does not answer: Connection refused")
    assert down.stderr.count("\n") == 1


def test_the_service_itself_loads_no_mlflow() -> None:
    code = "import sys, pawline.cli.serve, pawline.service.server; print({'mlflow', 'pandas'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_trouble_with_mlflow_is_said_once_until_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> str:
        raise BusyError("MLflow does not answer")

    assert look_again(fail, "1", False) == ("1", True)
    assert look_again(fail, "1", True) == ("1", True)
    assert look_again(lambda: "2", "1", True) == ("2", False)
    assert look_again(lambda: "2", "2", False) == ("2", False)
    lines = capsys.readouterr().err.splitlines()
    assert ["goes on answering" in lines[0], lines[1:]] == [True, ["pawline: MLflow has the model again"]]


def test_a_registry_in_use_is_busy(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train()
    monkeypatch.setattr(turns, "LOCK_SECONDS", 0)
    with (
        registry.Registry().locked(),
        pytest.raises(BusyError, match=r"^busy, try again: another command is changing"),
    ):
        register()


def test_a_server_that_is_down_is_busy_and_nothing_is_kept_as_an_answer(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(BusyError, match="does not answer: Connection refused"):
        register()
    assert known_answer() is None


def test_what_cannot_be_judged_gets_one_line(checkout: Path) -> None:
    at = Layout()
    with pytest.raises(
        ModelError, match=r"^models/card.json: not found; make it with `dvc repro`, or get it again"
    ):
        register()
    train(wrong=range(20))
    register()
    train(name="better")
    changed = at.raw / "cat/test7.png"
    changed.write_bytes(picture(8, "cat", "test"))
    with pytest.raises(DatasetError, match=r"test7.png: its bytes are not those of the split; bring it back"):
        register()
    changed.unlink()
    with pytest.raises(DatasetError, match=r"test7.png: No such file or directory; get it again: `dvc checkout`"):
        register()
    write_data(num_test=NUM_TEST + 1)
    with pytest.raises(
        DatasetError, match=r"trained on another split than data/split.parquet; bring both up to date"
    ):
        register()
    with pytest.raises(ParamsError, match=r"^the registered model pawline has no version 9; "):
        promote(9)


def test_a_champion_whose_file_was_changed_is_not_opened(checkout: Path) -> None:
    train(wrong=range(20))
    register()
    for file in (checkout / "mlartifacts").rglob("model.onnx"):
        file.write_bytes(table_of_classes([], "swapped"))
    train(name="better")
    answer = register()
    assert answer.words.startswith("can't tell: the champion, version 1, cannot be asked: ")
    assert "its SHA-256 is" in answer.words
    assert register().is_known is False  # it may be mended


def test_the_commands_answer_1_where_the_answer_is_no(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train()
    for words, code, line in [
        (
            ["register"],
            0,
            "version 1: promoted: the first version, without a champion to beat; no check to pass\n",
        ),
        (["promote", "1"], 0, "version 1 is the champion already\n"),
        (["rollback"], 1, "there was no champion before version 1; it stays\n"),
    ]:
        arguments = parser().parse_args(words)
        assert arguments.run(arguments) == code
        assert capsys.readouterr().out == line
    arguments = parser().parse_args(["register", "--json"])
    assert arguments.run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["is_known"] is True


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser()
    commands = found.add_subparsers()
    register_command.add_command(commands)
    promote_command.add_command(commands)
    return found
