"""Which checkout keeps what worktrees and experiments share."""

from pathlib import Path

import pytest

from pawline.workspace.checkout import main_checkout
from tests.conftest import run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/dvc.yaml").touch()
    return tmp_path / "project"


def commit(folder: Path) -> None:
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    someone = ("-c", "user.email=test@example.org", "-c", "user.name=Test")
    run(folder, "git", *someone, "commit", "--quiet", "--message", "a start")


def test_without_git_it_is_the_project_itself(project: Path) -> None:
    (project / "data").mkdir()
    assert main_checkout(project) == main_checkout(project / "data") == project


def test_a_worktree_belongs_to_its_checkout(project: Path, tmp_path: Path) -> None:
    commit(project)
    run(project, "git", "worktree", "add", "--quiet", str(tmp_path / "other"))
    assert main_checkout(tmp_path / "other") == main_checkout(project) == project


def test_in_a_subfolder_of_a_repository_it_is_that_subfolder(project: Path, tmp_path: Path) -> None:
    commit(tmp_path)
    run(tmp_path, "git", "worktree", "add", "--quiet", str(tmp_path / "other"))
    assert main_checkout(project) == main_checkout(tmp_path / "other/project") == project


def test_a_worktree_of_a_bare_repository_stands_alone(project: Path, tmp_path: Path) -> None:
    commit(project)
    run(tmp_path, "git", "clone", "--quiet", "--bare", "project", "bare.git")
    run(tmp_path / "bare.git", "git", "worktree", "add", "--quiet", str(tmp_path / "other"))
    assert main_checkout(tmp_path / "other") == tmp_path / "other"


def test_an_experiment_belongs_to_where_dvc_made_it(project: Path) -> None:
    temporary = project / ".dvc/tmp/exps/standalone/tmp123"
    temporary.mkdir(parents=True)
    assert main_checkout(temporary) == project
