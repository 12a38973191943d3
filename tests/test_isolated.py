"""A run with other params has the same source, the same modules and the same store as the checkout."""

import os
from pathlib import Path

import pytest

from pawline.errors import ParamsError
from pawline.workspace import isolated, same_files
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import ISOLATED_NEST, store_address
from tests.conftest import run

LINE = "stages:\n  ingest:\n    cmd: x\n    deps: ['${ingest.source}']\n    outs: [data/ingested]\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Beside a workspace with pictures in three places, a checkout that has only what git tracks."""
    for place in ("pictures", "home/data/photos", "home/photos"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "1.jpg").touch()
    (tmp_path / "home/data/generated.yaml").touch()
    inner = tmp_path / "run" / ISOLATED_NEST
    (inner / "data").mkdir(parents=True)
    (inner / "data/generated.yaml").touch()
    return inner


@pytest.mark.parametrize(
    "source", ["../pictures", "photos", "data/photos", "./data/photos/1.jpg", "data/../photos"]
)
def test_a_relative_source_is_found(checkout: Path, tmp_path: Path, source: str) -> None:
    same_files.bring_source(source, tmp_path / "home", checkout)
    found = checkout / source
    assert found.exists()
    assert (found if found.is_file() else found / "1.jpg").exists()


@pytest.mark.parametrize("source", ["data/generated.yaml", "s3://bucket/pictures", "/pictures", "nowhere"])
def test_what_is_there_or_needs_no_link_gets_none(checkout: Path, tmp_path: Path, source: str) -> None:
    before = sorted(checkout.rglob("*"))
    same_files.bring_source(source, tmp_path / "home", checkout)
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.parametrize("source", ["..", "../" * 9 + "pictures", "../mine.csv", "mine.csv"])
def test_a_source_too_far_out_is_refused_with_its_absolute_path(tmp_path: Path, source: str) -> None:
    with pytest.raises(ParamsError, match=f"make it absolute: {(tmp_path / source).resolve()}$"):
        same_files.check_place(source, tmp_path)


@pytest.mark.parametrize("source", ["models/photos", "models/mine.h5", "./data/deep/photos/1.jpg"])
def test_a_folder_that_stages_write_to_is_never_a_link(checkout: Path, tmp_path: Path, source: str) -> None:
    home = tmp_path / "home"
    (home / source).parent.mkdir(parents=True, exist_ok=True)
    (home / source).touch()
    same_files.bring_source(source, home, checkout, ["models/model.keras", "data/deep/raw"])
    assert (checkout / source).exists()
    assert not (checkout / source).parent.is_symlink() or source.endswith("1.jpg")
    assert not (checkout / "data/deep").is_symlink()
    assert not (checkout / "models").is_symlink()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that tracks a part of its pictures and modules; one tracked picture was edited, one deleted."""
    return make_home(tmp_path / "home", monkeypatch)


def make_home(home: Path, monkeypatch: pytest.MonkeyPatch, top: Path | None = None) -> Path:
    for path in ("photos/cat/1.jpg", "photos/cat/gone.jpg", "photos/dog/2.jpg", "pawline/a.py", ".dvc/config"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("tracked")
    (home / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (home / "dvc.yaml").write_text(LINE)
    (home / ".gitignore").write_text("ignored*\n.pawline\n__pycache__\n")
    top = top or home
    run(top, "git", "init", "--quiet")
    run(top, "git", "config", "user.email", "test@example.org")
    run(top, "git", "config", "user.name", "Test")
    run(top, "git", "add", "--all")
    run(top, "git", "commit", "--quiet", "--message", "a start")
    edit(home)
    monkeypatch.setattr(isolated, "WORKSPACE", home)
    return home


def edit(home: Path) -> None:
    (home / "photos/cat/1.jpg").write_text("edited")
    (home / "photos/cat/gone.jpg").unlink()
    for path in ("photos/cat/new.jpg", "photos/bird/ignored.jpg", "pawline/new.py", "pawline/ignored/b.py"):
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text("untracked")
    (home / "pawline/__pycache__").mkdir()
    (home / "pawline/__pycache__/a.pyc").touch()


@pytest.fixture
def no_params(monkeypatch: pytest.MonkeyPatch) -> None:
    """`params.yaml` as it is here: only the source, and DVC's cache not asked for."""

    class Params:
        class ingest:  # noqa: N801
            source = "photos"

        class network:  # noqa: N801
            class pretrained:  # noqa: N801
                weights = None

    monkeypatch.setattr(isolated, "load_params", lambda _: Params)
    monkeypatch.setattr(isolated, "write", lambda _, __, into: into.write_text("ingest: {source: photos}"))
    monkeypatch.setattr(isolated, "_share_dvc", lambda _: None)


def assert_same(home: Path) -> None:
    with isolated.isolated({}, "one") as workspace:
        there = workspace.path
        assert files(there / "photos") == files(home / "photos")
        assert (there / "photos/cat/1.jpg").read_text() == "edited"
        assert sorted(workspace.modules) == ["pawline/ignored/b.py", "pawline/new.py"]
        assert (there / "pawline/ignored/b.py").read_text() == "untracked"
        assert main_checkout(there) == home
        run(there, "git", "reset", "--hard", "--quiet")  # as `dvc exp save` does
    assert (home / "photos/cat/1.jpg").read_text() == "edited"
    assert not (home / ".pawline/runs/one").exists()
    assert not (home / "photos/cat/gone.jpg").exists()


@pytest.mark.usefixtures("no_params")
def test_a_source_that_git_tracks_in_part_is_whole_and_untracked_modules_come_along(home: Path) -> None:
    assert_same(home)


@pytest.mark.usefixtures("no_params")
def test_below_the_root_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same(make_home(tmp_path / "top/project", monkeypatch, tmp_path / "top"))


@pytest.mark.usefixtures("no_params")
def test_in_a_submodule(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    run(outer, "git", "init", "--quiet")
    run(outer, "git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(home), "inner")
    run(outer / "inner", "git", "config", "user.email", "test@example.org")
    run(outer / "inner", "git", "config", "user.name", "Test")
    edit(outer / "inner")
    monkeypatch.setattr(isolated, "WORKSPACE", outer / "inner")
    assert_same(outer / "inner")


@pytest.mark.usefixtures("no_params")
def test_in_a_worktree(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(home, "git", "worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    edit(tmp_path / "other")
    monkeypatch.setattr(isolated, "WORKSPACE", tmp_path / "other")
    with isolated.isolated({}, "one") as workspace:
        assert files(workspace.path / "photos") == files(tmp_path / "other/photos")
        assert main_checkout(workspace.path) == home


@pytest.mark.usefixtures("no_params")
def test_a_change_that_git_may_not_see_is_refused(home: Path) -> None:
    run(home, "git", "update-index", "--assume-unchanged", "photos/dog/2.jpg")
    (home / "photos/dog/2.jpg").write_text("edited in secret")
    with (
        pytest.raises(ParamsError, match=r"git would give another .*2.jpg than the one in the checkout"),
        isolated.isolated({}, "one"),
    ):
        pass


@pytest.mark.usefixtures("no_params")
def test_a_link_that_git_tracks_is_refused(home: Path) -> None:
    (home / "photos").rename(home / "elsewhere")
    (home / "photos").symlink_to("elsewhere")
    run(home, "git", "add", "photos")
    with pytest.raises(ParamsError, match="photos is a link that git tracks"), isolated.isolated({}, "one"):
        pass


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("rm", "-rf", ".git"), "not a git repository.*git init"),
        (("git", "update-ref", "-d", "HEAD"), "dvc.yaml is in no commit.*git commit"),
        (("git", "config", "--unset", "user.name"), "git has no user.name"),
        (("git", "config", "--unset", "user.email"), "git has no user.email"),
    ],
)
def test_what_would_fail_after_the_stages_is_refused_before(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(home.parent))
    run(home, *command)
    with pytest.raises(ParamsError, match=message), isolated.isolated({}, "one"):
        pass
    assert not (home / ".pawline").exists()


def test_a_relative_store_is_that_of_the_checkout(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_folder = home / ".pawline/runs/one" / ISOLATED_NEST
    run_folder.mkdir(parents=True)
    monkeypatch.chdir(run_folder)
    for given, used in {
        "sqlite:///mine.db": f"sqlite:///{home}/mine.db",
        "sqlite:////tmp/mine.db": "sqlite:////tmp/mine.db",
        "http://127.0.0.1:5000": "http://127.0.0.1:5000",
    }.items():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
        assert store_address() == used
