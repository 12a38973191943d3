"""What `make run` begins with: a source that DVC could not read is refused before DVC starts."""

import sys
from pathlib import Path

from pawline.process import end_with
from pawline.workspace.source_check import check_before_repro, notes


def main() -> None:
    check_before_repro(Path())
    for note in notes(Path()):
        print(f"pawline: note: {note}", file=sys.stderr)


if __name__ == "__main__":
    end_with(main)
