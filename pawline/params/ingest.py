"""The section `ingest` of `params.yaml`."""

from pydantic import Field

from pawline.params.record import Record, Sha256

NO_COLUMN = "none"

Column = str | None


class TableParams(Record):
    """The columns of a table; an empty key is guessed by name, `group` is used only where it is set."""

    path: Column = Field(default=None, min_length=1)
    label: Column = Field(default=None, min_length=1)
    part: Column = Field(default=None, min_length=1)
    group: Column = Field(default=None, min_length=1)

    @property
    def uses_no_table(self) -> bool:
        return self.path == NO_COLUMN

    @property
    def chosen(self) -> dict[str, str]:
        """The columns that are set, by their key."""
        return {key: column for key, column in self.model_dump().items() if column}


class IngestParams(Record):
    source: str = Field(min_length=1)
    sha256: Sha256
    classes_from_names: bool = True
    follow_links: bool = False
    table: TableParams = TableParams()
