"""What `dvc status` says of the stages; asked again only after a file that it is about was touched.

DVC looks at every photograph three times for it, which takes 18,000 of them past a second. So its answer is kept
beside the size, inode and time of change of every file that it is about: what DVC itself trusts. Only
for explaining: whoever runs stages asks DVC.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pawline.errors import BusyError, PawlineError
from tasks.dag import Stage

# What DVC says where another DVC command is at work.
BUSY = ("is busy", "Unable to acquire lock", "RWLock-file")

ANSWER = Path(".pawline/status.json")
SETTINGS = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".dvc/config", ".dvc/config.local")

# Of each stage that changed, what `dvc status --json` lists: {"changed deps": {path: how}}, "changed command", …
Status = dict[str, list[Any]]


def dvc_status(stages: Iterable[Stage]) -> Status:
    """Of the current folder. Raises BusyError when DVC is at work there, PawlineError when it fails."""
    touched = _touched({*SETTINGS, *(path for stage in stages for path in (*stage.deps, *stage.outs))})
    answer = _remembered(touched)
    if answer is None:
        answer, cache = _ask()
        if touched:
            _remember({"touched": touched, "cache": cache, "cached": _cached(cache), "answer": answer})
    return answer


def _remembered(touched: str) -> Status | None:
    try:
        kept = json.loads(ANSWER.read_text())
        return kept["answer"] if (kept["touched"], kept["cached"]) == (touched, _cached(kept["cache"])) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _remember(kept: dict[str, Any]) -> None:
    partial = ANSWER.with_name(f"{ANSWER.name}.{os.getpid()}.partial")
    try:
        ANSWER.parent.mkdir(exist_ok=True)
        partial.write_text(json.dumps(kept))
        partial.replace(ANSWER)
    except OSError:
        partial.unlink(missing_ok=True)  # a checkout that may only be read, a full disk: asked again next time


def _touched(paths: set[str]) -> str:
    """Changes when any file below the paths is written, replaced, added or removed; empty where only DVC can
    tell: at addresses, behind linked folders, and while someone is removing what is looked at."""
    digest = hashlib.sha256()
    try:
        for path in sorted(paths):
            digest.update(repr(sorted(_files(path))).encode())
    except _OnlyDvcKnowsError:
        return ""
    return digest.hexdigest()


class _OnlyDvcKnowsError(Exception):
    pass


def _files(path: str) -> Iterator[tuple[str, int, int, int]]:
    if "://" in path:
        raise _OnlyDvcKnowsError
    file = Path(path)
    if not file.exists():
        return
    found = file.stat()
    yield path, found.st_ctime_ns, found.st_ino, found.st_size
    if file.is_dir():
        yield from _files_below(path)


def _files_below(folder: str) -> Iterator[tuple[str, int, int, int]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=entry.is_file())
                yield entry.path, found.st_ctime_ns, found.st_ino, found.st_size
                if entry.is_dir(follow_symlinks=False):
                    yield from _files_below(entry.path)
                elif entry.is_dir():
                    raise _OnlyDvcKnowsError
    except OSError:
        raise _OnlyDvcKnowsError from None


def _cached(cache: str) -> str:
    """Changes when DVC's cache gains or loses content: `<cache>/files/md5/ab/cdef…`."""
    folders = Path(cache, "files/md5")
    found = sorted((folder.name, folder.stat().st_ctime_ns) for folder in folders.glob("*"))
    return hashlib.sha256(repr(found).encode()).hexdigest()


def _ask() -> tuple[Status, str]:
    """(What DVC says of the stages, the folder of its cache); both asked at the same time."""
    children = [_start("status", "--json"), _start("cache", "dir")]
    status, cache = [_answer(child, *child.communicate()) for child in children]
    return json.loads(status), cache.strip()


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _answer(child: subprocess.Popen[str], answer: str, complaint: str) -> str:
    if child.returncode == 0:
        return answer
    said = " ".join(complaint.split()).removeprefix("ERROR: ")
    if any(sign in said for sign in BUSY):
        raise BusyError(f"busy, try again: {said}")
    raise PawlineError(f"DVC: {said or 'failed and said nothing'}")
