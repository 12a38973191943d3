"""`pawline gc` says what it would delete, and keeps what any version, experiment, model or live run needs."""

import hashlib
import shutil
from pathlib import Path

import mlflow
import pytest
from filelock import FileLock
from mlflow import MlflowClient

from pawline.tracking.deleted_runs import artifacts_of_deleted_runs
from pawline.tracking.store import use_store
from pawline.workspace.garbage import find_garbage
from tests.background import background, wait_for
from tests.conftest import dvc_here, pawline_here, run
from tests.test_runtime import write_brightness


def files_of(workspace: Path) -> dict[str, str]:
    return {
        str(path.relative_to(workspace)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in workspace.rglob("*")
        if path.is_file() and not path.is_symlink() and not {".git", "tmp", "__pycache__"} & {*path.parts[-4:]}
    }


def gc(workspace: Path, *options: str) -> str:
    return pawline_here(workspace, "gc", *options)


def add_object(workspace: Path, content: bytes) -> Path:
    md5 = hashlib.md5(content).hexdigest()
    place = workspace / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content)
    return place


def lock_naming(place: Path, text: str) -> str:
    """A dvc.lock whose data/quarantine.csv is another object."""
    begin = text.index("md5: ", text.index("path: data/quarantine.csv", text.index("stages:"))) + 5
    return text[:begin] + place.parent.name + place.name + text[begin + 32 :]


def test_what_is_unused_is_shown_with_its_size_and_deleted_only_with_yes(finished: Path) -> None:
    unused = add_object(finished, b"an old model" * 100_000)
    left_behind = finished / ".pawline/runs/brave-cat"
    (left_behind / "checkout").mkdir(parents=True)
    (left_behind / "checkout/big").write_bytes(bytes(2_000_000))
    (finished / ".pawline/runs/brave-cat.lock").touch()
    alive = finished / ".pawline/runs/calm-dog/checkout"
    alive.mkdir(parents=True)
    mine = finished / ".pawline/moved-away/data/ingested/mine.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    (finished / "notes.txt").write_text("mine, and no commit has it")
    champion = (finished / ".pawline/champion/model.onnx").read_bytes()
    (finished / ".pawline/champions/0-before").mkdir()
    (finished / ".pawline/champions/0-before/model.onnx").write_text("an earlier champion")
    before = files_of(finished)
    with FileLock(finished / ".pawline/runs/calm-dog.lock"):
        shown = gc(finished)
        assert files_of(finished) == before | {".pawline/runs/calm-dog.lock": hashlib.md5(b"").hexdigest()}
        assert "    1.2 MB  DVC's cache, used by no commit or experiment (1); deleting costs:" in shown
        assert "    2.0 MB  workspaces of flow runs that were killed (1); deleting costs: nothing" in shown
        assert "decoded pictures (1)" in shown
        assert "files of champions before (1)" in shown
        assert "would be deleted by `pawline gc --yes`" in shown.splitlines()[-1]
        deleted = gc(finished, "--yes")
    assert deleted.splitlines()[-1].endswith("  deleted")
    assert not unused.exists() and not left_behind.exists() and alive.exists()
    gone = {path for path in before if not (finished / path).exists()}
    assert all(
        path.startswith(
            (".pawline/decoded/", ".pawline/runs/brave", ".pawline/training/", ".pawline/champions/0-")
        )
        for path in gone - {str(unused.relative_to(finished))}
    )
    assert mine.read_bytes() == b"mine" and (finished / "notes.txt").exists()
    assert not (finished / ".pawline/champions/0-before").exists()
    assert (finished / ".pawline/champion/model.onnx").read_bytes() == champion
    pawline_here(finished, "verify")
    assert "up to date" in dvc_here(finished, "repro")
    assert "calm-dog" not in gc(finished, "--yes") and not alive.exists()  # nobody holds it any more
    assert gc(finished) == "nothing to delete\n"


HOLDERS = ["commit", "tag", "branch", "stash", "worktree", "experiment"]


def test_what_a_version_needs_is_kept(finished: Path, tmp_path: Path) -> None:
    """Each holder has an object of its own, which nothing else needs."""
    kept = {holder: add_object(finished, f"a quarantine of the {holder}".encode()) for holder in HOLDERS}
    unused = add_object(finished, b"a quarantine that nobody needs")
    lock = finished / "dvc.lock"
    text = lock.read_text()
    for holder, place in kept.items():
        changed = lock_naming(place, text)
        assert changed != text
        hold(holder, finished, tmp_path / "a tree", changed, place)
        assert lock.read_text() == text
    assert "DVC's cache, used by no commit or experiment (1)" in gc(finished, "--yes")
    assert {holder for holder, place in kept.items() if not place.exists()} == set()
    assert not unused.exists()


def hold(holder: str, workspace: Path, tree: Path, changed: str, place: Path) -> None:
    """Let one version name an object in its dvc.lock; the checkout is then as it was."""
    lock = workspace / "dvc.lock"
    text = lock.read_text()
    if holder == "worktree":  # uncommitted there
        run(workspace, "git", "worktree", "add", "--quiet", "--detach", str(tree))
        (tree / "dvc.lock").write_text(changed)
        return
    lock.write_text(changed)
    if holder == "stash":
        run(workspace, "git", "stash", "--quiet")
    if holder == "experiment":
        before = (workspace / "data/quarantine.csv").read_bytes()
        (workspace / "data/quarantine.csv").write_bytes(place.read_bytes())
        dvc_here(workspace, "exp", "save", "--force", "--name", "an-experiment")
        run(workspace, "git", "checkout", "--quiet", "dvc.lock")
        (workspace / "data/quarantine.csv").unlink()
        (workspace / "data/quarantine.csv").write_bytes(before)
    if holder in ("commit", "tag", "branch"):
        run(workspace, "git", "checkout", "--quiet", "-b", f"side-{holder}")
        run(workspace, "git", "commit", "--quiet", "--all", "--message", "another version")
        if holder == "tag":
            run(workspace, "git", "tag", "v1")
        if holder == "commit":  # neither branch nor tag ends there
            lock.write_text(text)
            run(workspace, "git", "commit", "--quiet", "--all", "--message", "and back")
        run(workspace, "git", "checkout", "--quiet", "main")
        if holder == "tag":
            run(workspace, "git", "branch", "--quiet", "-D", f"side-{holder}")


def test_a_cache_that_other_checkouts_share_is_left_alone(finished: Path, tmp_path: Path) -> None:
    shutil.move(finished / ".dvc/cache", tmp_path / "shared")
    dvc_here(finished, "cache", "dir", "--local", str(tmp_path / "shared"))
    (tmp_path / "shared/files/md5/00").mkdir(exist_ok=True)
    theirs = tmp_path / "shared/files/md5/00" / ("0" * 30)
    theirs.write_bytes(b"theirs")
    assert "DVC's cache" not in gc(finished, "--yes")
    assert theirs.exists()


def test_nothing_is_deleted_while_a_stage_is_at_work(finished: Path) -> None:
    waiting = "import time; print('on', flush=True); time.sleep(60)"
    with background(finished, "python", "-c", waiting, "-m", "tasks.train"):
        wait_for(lambda: (finished / "background.log").read_text() == "on\n")
        before = files_of(finished)
        error = run(finished, "pawline", "gc", "--yes", expect=75).stderr
        assert "is at work in" in error and error.endswith(": try again after it has ended\n")
        assert files_of(finished) == before


def test_walks_of_models_in_use_stay_and_all_others_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In use are the model of the checkout, whether it is exported or not, and the champion."""
    monkeypatch.chdir(tmp_path)
    for folder in ("models", ".pawline/champions/1-one", ".pawline/walks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "models/model.keras").write_bytes(b"a model")
    write_brightness(tmp_path / ".pawline/champions/1-one", model_digest="c" * 64)
    (tmp_path / ".pawline/champion").symlink_to("champions/1-one")
    walks = tmp_path / ".pawline/walks"
    for digest in (hashlib.sha256(b"a model").hexdigest(), "c" * 64, "0" * 64):
        for kept in (f"{digest}/network.json", f"{digest}-epochs/file/1/network.json", f"{digest}-exciting.json"):
            (walks / kept).parent.mkdir(parents=True, exist_ok=True)
            (walks / kept).write_bytes(bytes(1000))
    monkeypatch.setattr("pawline.workspace.garbage._unused_objects", list)  # of DVC, which is not there
    [found] = [garbage for garbage in find_garbage() if garbage.kind.startswith("networks for the walk")]
    assert sorted(path.name[64:] for path in found.paths) == ["", "-epochs", "-exciting.json"]
    assert {path.name[:64] for path in found.paths} == {"0" * 64}
    assert found.num_bytes == 3000
    found.delete()
    assert len(list(walks.iterdir())) == 6


def test_artifacts_of_deleted_runs_go_unless_their_model_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    place = tmp_path / "a place"
    place.mkdir()
    (place / "dvc.yaml").touch()
    monkeypatch.chdir(place)
    use_store()
    client, runs = MlflowClient(), {}
    for name in ("living", "deleted", "champion"):
        with mlflow.start_run(run_name=name) as run_of_it:
            mlflow.log_text("figures", "figures.txt")
            runs[name] = run_of_it.info
    client.create_registered_model("pawline")
    version = client.create_model_version("pawline", runs["champion"].artifact_uri, runs["champion"].run_id)
    client.set_registered_model_alias("pawline", "champion", version.version)
    assert artifacts_of_deleted_runs() == []
    for name in ("deleted", "champion"):
        client.delete_run(runs[name].run_id)
    assert artifacts_of_deleted_runs() == [place / f"mlartifacts/{runs['deleted'].run_id}/artifacts"]


def test_before_the_first_run_and_commit_there_is_nothing_to_delete(workspace: Path) -> None:
    shutil.rmtree(workspace / ".git")
    run(workspace, "git", "init", "--quiet")
    assert gc(workspace, "--yes") == "nothing to delete\n"
    assert (workspace / "pictures/vertical/007.jpg").exists()
