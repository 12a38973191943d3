"""`pawline verify`: read every output and its object in DVC's cache again, and compare both with `dvc.lock`."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pawline.errors import BusyError, PawlineError
from pawline.terminal import printable, shell_word
from pawline.workspace.checkout import show_staged
from pawline.workspace.damage import Findings, Recorded, find_damage
from pawline.workspace.stale_locks import is_dvc_at_work

MOVED_AWAY = ".pawline/moved-away"  # what stood in the folders of outputs and was not recorded


def add_command(commands: Any) -> None:
    command = commands.add_parser("verify", help="read every output and DVC's cache again; compare with dvc.lock")
    command.set_defaults(run=lambda arguments: verify())


def verify() -> int:
    """Print each file that differs, a line that counts, and what mends them. Returns 0, or 1 when any differs.

    Raises BusyError while DVC is at work, PawlineError where nothing is here yet, as in a fresh clone."""
    if is_dvc_at_work(Path()):  # outputs that a stage is writing look damaged
        raise BusyError("busy, try again: a DVC command is at work in this checkout")
    found = find_damage()
    if not found.is_anything_here:
        raise PawlineError(
            "none of the outputs that dvc.lock records is here yet, and none in DVC's cache; `dvc repro` makes them, "
            "`dvc pull` fetches them where a remote has them"
        )
    for line in problem_lines(found):
        print(printable(line))
    num_files = sum(bool(one.file) for one in found.damaged) + len(found.added)
    num_objects = len({one.object for one in found.damaged if one.kept})
    print(
        f"{found.num_files} files read, {num_files} differ from dvc.lock; "
        f"{found.num_objects} objects of DVC's cache read, {num_objects} damaged or missing"
    )
    for line in remedy(found):
        print(line)
    return 1 if found.damaged or found.added else 0


def problem_lines(found: Findings) -> list[str]:
    lines = [f"{path}: is not part of the recorded output" for path in found.added]
    for one in found.damaged:
        name = f"{one.path}: its list of files in DVC's cache" if one.is_list else f"{one.path}:"
        if one.file:
            lines.append(f"{one.path}: {one.file}")
        if one.kept:
            of = "" if one.is_list else " its object in DVC's cache"
            lines.append(f"{name}{of} {one.kept} ({shown(one.object)})")
    return sorted(lines)


def remedy(found: Findings) -> list[str]:
    """Commands to paste into a shell, with comments; the first ones save what is not Pawline's."""
    in_tree = {one.object for one in found.damaged if one.kept and not one.file and not one.is_list}
    lost = {one.object for one in found.damaged if one.kept} - in_tree  # neither here nor there
    files = [one for one in found.damaged if one.file and one.cached and one.object not in lost]
    folders = {
        one.path for one in found.damaged if Path(one.path).is_dir()
    }  # in place of a file, moved as a whole
    added = [path for path in found.added if folders.isdisjoint(map(str, Path(path).parents))]
    lines = [
        *_section("not recorded, so perhaps yours: moved away", map(_move_away, added)),
        *_section("the working tree holds the recorded content", _restored_from_tree(found.damaged)),
        *_section("DVC's cache holds the recorded content", _restored_from_cache(files)),
        *_section(
            "no copy is left here: from a remote, else computed again. If the last command then finds the same, "
            "the remote holds the damage too: repeat this with `dvc repro` alone",
            _restored_from_elsewhere([one for one in found.damaged if one.object in lost]),
        ),
        *_section(
            "small files that git holds, or that their stage writes again",
            _restored_from_git([one for one in found.damaged if not one.cached]),
        ),
    ]
    return ["To mend this, paste:", *lines, "pawline verify"] if lines else []


def _section(title: str, commands: Iterable[str]) -> list[str]:
    listed = [command for command in dict.fromkeys(commands) if command]
    return [f"# {title}", *listed] if listed else []


def _restored_from_tree(damaged: list[Recorded]) -> Iterable[str]:
    for one in damaged:
        if one.kept and not one.file and not one.is_list:
            folder, kept = shell_word(shown(one.object.parent)), shell_word(shown(one.object))
            yield f"mkdir -p {folder} && cp -f -- {shell_word(one.path)} {kept}"


def _restored_from_cache(damaged: list[Recorded]) -> Iterable[str]:
    yield from (_remove(Path(one.path)) for one in damaged)
    yield from (f"dvc checkout {shell_word(one.out.path)}" for one in damaged)


def _restored_from_elsewhere(damaged: list[Recorded]) -> Iterable[str]:
    for one in damaged:
        yield _remove(one.object)
        if not one.is_list:
            yield _remove(Path(one.path))
    for one in damaged:
        yield f"dvc pull {shell_word(one.out.path)} || dvc repro {shell_word(one.out.stage)}"


def _restored_from_git(damaged: list[Recorded]) -> Iterable[str]:
    yield from (_remove(Path(one.path)) for one in damaged)
    for one in damaged:
        staged = hashlib.md5(show_staged(Path(one.path)), usedforsecurity=False).hexdigest()
        yield (
            f"git restore {shell_word(one.path)}"
            if staged == one.out.md5
            else f"dvc repro {shell_word(one.out.stage)}"
        )


def _remove(file: Path) -> str:
    if file.is_dir():  # in place of a file; it may hold anything
        return _move_away(str(file))
    return f"rm -f -- {shell_word(shown(file))}" if os.path.lexists(file) else ""


def _move_away(path: str) -> str:
    folder = shell_word(str(Path(MOVED_AWAY, path).parent))
    return f"mkdir -p {folder} && mv -n -- {shell_word(path)} {folder}"


def shown(path: Path) -> str:
    """Relative where it lies in the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
