"""Take the source in: raw bytes and their index."""

from pawline.files import write_json, write_table
from pawline.ingest import ingest, summarize
from pawline.params import Params
from tasks.layout import Layout
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    index = ingest(params.ingest, at.raw)
    write_table(at.index, index)
    write_json(at.metrics_of("ingest"), summarize(index))


if __name__ == "__main__":
    run_stage(main)
