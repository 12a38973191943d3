"""What `make run` begins with: a source that DVC could not read is refused before DVC starts."""

from pathlib import Path

from pawline.process import end_with
from pawline.terminal import say
from pawline.workspace.source_check import check_before_repro, notes


def main() -> None:
    check_before_repro(Path())
    for note in notes(Path()):
        say(f"note: {note}")


if __name__ == "__main__":
    end_with(main)
