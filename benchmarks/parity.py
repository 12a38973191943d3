"""The parity table of a checkout after `dvc repro`:  python -m benchmarks.parity

What the stage `check` found, and each form of `pawline export`, written into a folder that is deleted again.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.photographs import machine
from pawline.cli.export import INT8
from pawline.export import NAMES
from pawline.workspace.layout import Layout


def main() -> None:
    found = json.loads(Layout().metrics_of("check").read_text())["parity"]
    asked, awkward = found["num_asked"], found["num_awkward"]
    print(machine())
    print(
        f"each probability within {found['bound']:g} of Keras's; {asked} of {found['num_test_images']} test pictures"
    )
    print("| way | test pictures | awkward ones | |\n|---|---|---|---|")
    for way, passed in found["ways"].items():
        print(f"| {way} | {asked} | {awkward if way != 'evaluate' else ''} | {'passed' if passed else 'failed'} |")
    for name, reason in found["skipped"].items():
        print(f"skipped: {name}: {reason}")
    with TemporaryDirectory() as folder:
        for form in [*NAMES, INT8]:
            command = [sys.executable, "-m", "pawline.cli", "export", "--to", form, "--out", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            said = done.stdout or [line for line in done.stderr.splitlines() if line.startswith("pawline:")][-1]
            print(
                f"{'passed' if done.returncode == 0 else 'failed'}: {said.strip().replace(f'{Path(folder)}/', '')}"
            )


if __name__ == "__main__":
    main()
