"""Models as files for `pawline serve`: a link to the folder of the one in use, which is switched by one rename.

A folder appears whole, and nothing in it changes afterwards: a service that follows the link never reads half of one
model and half of another.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pawline.errors import ModelError
from pawline.files import file_digest, whole_folder
from pawline.runtime.export_card import export_card_path, read_export_card
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import Layout, LocalState
from pawline.workspace.turns import turn

MODEL, CARD = Layout().exported.name, Layout().card.name
MOST_KEPT = 3  # folders, the one in use among them: going back is then a switch without a download


@dataclass(frozen=True)
class LaidModels:
    """link: `champion`, a link to a folder in `folder`, `champions`, which stands beside it."""

    link: Path
    folder: Path

    @property
    def file(self) -> Path:
        """The exported file of the model in use, with export.json and card.json beside it."""
        return self.link / MODEL

    def held(self) -> AbstractContextManager[None]:
        """For the length of a block, the lock that whoever lays a model holds. Raises BusyError after 30 s."""
        return turn(self.folder.with_name(f"{self.folder.name}.lock"), str(self.link))

    def lay(self, name: str, get: Callable[[], AbstractContextManager[Path]]) -> bool:
        """Let the model with this name be the one in use; the caller holds the lock. Returns whether the link moved.

        get: brings its exported file with both cards beside it; called where no whole folder has it. Raises ModelError
        for files that do not belong together."""
        if not _is_whole(self.folder / name):
            with get() as file, whole_folder(self.folder / name) as partial:
                for each in (file, export_card_path(file), file.with_name(CARD)):
                    shutil.copyfile(each, partial / each.name)
                if not _is_whole(partial):
                    raise ModelError("its files are damaged: their SHA-256 is not the one that export.json says")
        target = os.path.join(self.folder.name, name)  # noqa: PTH118 - relative, so that a checkout may move
        is_new = not self.link.is_symlink() or os.readlink(self.link) != target  # noqa: PTH115 - the text of it
        if is_new:
            new = self.link.with_name(f"{self.link.name}.partial")
            new.unlink(missing_ok=True)  # left by a kill
            new.symlink_to(target)
            new.replace(self.link)
            os.utime(self.folder / name)
        self._remove_oldest()
        return is_new

    def not_in_use(self) -> list[Path]:
        """The other folders, the one that was in use last first."""
        used = self.link.resolve()
        others = [path for path in self.folder.glob("*") if path.resolve() != used]
        return sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)

    def _remove_oldest(self) -> None:
        partial = list(self.folder.glob("*.partial"))
        whole = [path for path in self.not_in_use() if path not in partial]
        for path in (*partial, *whole[MOST_KEPT - 1 :]):
            shutil.rmtree(path, ignore_errors=True)


def champion_files() -> LaidModels:
    """The champion of this checkout, which its worktrees and experiments share."""
    at = LocalState(main_checkout())
    return LaidModels(at.champion, at.champions)


def _is_whole(folder: Path) -> bool:
    """Whether a folder holds an exported file and its cards; somebody may have changed it."""
    try:
        return file_digest(folder / MODEL) == read_export_card(folder / MODEL).digest and (folder / CARD).is_file()
    except (OSError, ModelError):
        return False
