"""Who draws the report's charts best?  python -m benchmarks.charts

The same chart (loss of train and val over 30 epochs) by pawline/page/charts.py, by matplotlib as SVG, and by Altair
with vl-convert where both are installed (`uv pip install altair vl-convert-python`; neither is in the lock). Each in a
process of its own: seconds to import, for the first chart and for each further one, and bytes of SVG.
"""

import io
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

from benchmarks.photographs import machine

EPOCHS = list(range(1, 31))
TRAIN, VAL = ([start / epoch for epoch in EPOCHS] for start in (0.7, 0.75))
REPEATS = 10


def pawline() -> Callable[[], str]:
    from importlib.resources import files

    import jinja2
    import pandas as pd

    from pawline.page.charts import line_chart

    text = files("pawline.page").joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["short"] = str
    template = environment.from_string(
        text[: text.index("{%- macro calibration_chart")] + "{{ line_chart(chart) }}"
    )
    history = pd.DataFrame({"epoch": EPOCHS, "loss": TRAIN, "val_loss": VAL})
    return lambda: template.render(chart=line_chart("Loss", history, ["loss", "val_loss"], 20, 1, ""))


def matplotlib() -> Callable[[], str]:
    import matplotlib as library

    library.use("svg")
    import matplotlib.pyplot as plt

    library.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "pawline"}

    def draw() -> str:
        figure, axes = plt.subplots(figsize=(5, 2.85))
        axes.plot(EPOCHS, TRAIN, label="train")
        axes.plot(EPOCHS, VAL, label="val")
        axes.set_xlabel("epoch")
        axes.legend()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        plt.close(figure)
        return text.getvalue()

    return draw


def altair() -> Callable[[], str]:
    import altair as library
    import pandas as pd
    import vl_convert

    rows = pd.DataFrame({"epoch": EPOCHS * 2, "loss": TRAIN + VAL, "part": ["train"] * 30 + ["val"] * 30})
    chart = library.Chart(rows).mark_line().encode(x="epoch:Q", y="loss:Q", color="part:N")
    return lambda: vl_convert.vegalite_to_svg(chart.properties(width=400, height=190).to_dict())


DRAWERS = {"pawline": pawline, "matplotlib": matplotlib, "altair": altair}


def measure(name: str) -> str:
    start = time.perf_counter()
    draw = DRAWERS[name]()
    imported = time.perf_counter()
    text = draw()
    first = time.perf_counter()
    for _ in range(REPEATS):
        draw()
    each = (time.perf_counter() - first) / REPEATS
    seconds = (
        f"import {imported - start:.2f} s, first {1000 * (first - imported):.0f} ms, each {1000 * each:.1f} ms"
    )
    return f"{name}: {seconds}, {len(text.encode()):,} bytes"


def main() -> None:
    if sys.argv[1:]:
        print(measure(sys.argv[1]))
        return
    print(machine(), flush=True)
    for name in DRAWERS:
        if name == "altair" and not (find_spec("altair") and find_spec("vl_convert")):
            print("altair: not installed, or vl-convert-python is not")
            continue
        subprocess.run([sys.executable, "-m", "benchmarks.charts", name], check=True)


if __name__ == "__main__":
    main()
