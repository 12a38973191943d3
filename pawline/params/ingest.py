"""The section `ingest` of `params.yaml`."""

from pydantic import Field

from pawline.params.record import Record, Sha256


class IngestParams(Record):
    source: str = Field(min_length=1)
    sha256: Sha256
    classes_from_names: bool = True
    follow_links: bool = False
