"""Take the source in: raw bytes and their index."""

from pawline.files import write_json
from pawline.ingest import DOWNLOADS, ingest, summarize
from pawline.params import Params
from tasks.layout import Layout
from tasks.stage import run_stage
from tasks.workspace import main_checkout


def main(params: Params, at: Layout) -> None:
    ingested = ingest(params.ingest, at.raw, main_checkout() / DOWNLOADS)
    ingested.rows.write(at.index)
    write_json(at.metrics_of("ingest"), summarize(ingested))


if __name__ == "__main__":
    run_stage(main)
