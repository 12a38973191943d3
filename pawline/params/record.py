"""Frozen, strict records for params, with clear error messages."""

import difflib
import json
import textwrap
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pawline.errors import ParamsError
from pawline.yaml_files import read_yaml


class Record(BaseModel):
    """A frozen record that refuses unknown keys, silent conversions, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# The expected digest of a file, checked before the file is used.
Sha256 = Annotated[
    str | None, Field(pattern=r"^[0-9a-fA-F]{64}$", description="64 hexadecimal digits, or nothing")
]

# In place of a value: the program chooses it.
AUTO: Literal["auto"] = "auto"
Auto = Literal["auto"]

RecordType = TypeVar("RecordType", bound=Record)


def load_record(path: Path, record: type[RecordType]) -> RecordType:
    """Read a YAML file into its record. Raises ParamsError, a single line that names the file and the key."""
    tree = read_yaml(path)
    try:
        # Go through JSON: strict mode accepts a list for a tuple only in JSON.
        return record.model_validate_json(json.dumps(tree, default=str))
    except TypeError as error:  # a key is not text: a date, a list
        raise ParamsError(f"{path}: {error}") from None
    except ValidationError as error:
        # Report an unknown key first: a misspelt key also makes the correct key missing.
        problem = min(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
        raise ParamsError(f"{path}: {_explain(_without_member(problem, record), record)}") from None


# Errors about the form of a value: the field's description says what to write instead.
FORM_ERRORS = {"tuple_type", "too_long", "too_short", "missing", "string_pattern_mismatch"}

Place = tuple[int | str, ...]


def _explain(error: ErrorDetails, record: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'; {_suggestion(str(error['loc'][-1]), _known_keys(record, error['loc'][:-1]))}"
    if error["type"] == "missing" and isinstance(error["loc"][-1], str):
        return f"'{key}' is missing; add it, or restore the file from git"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":  # the validators of our records name their keys and values
        return f"{key}: {message}" if key else message
    value = textwrap.shorten(json.dumps(error["input"]), 80, placeholder=" ...")
    field = _field(record, error["loc"])
    if error["type"] in FORM_ERRORS and field and field.description:
        message = f"expected {field.description}"
    where = key.removesuffix(".1") if error["type"] == "missing" else key  # of half a pair: show the pair
    empty = (
        "; null empties it" if error["input"] == "" and field and NoneType in get_args(field.annotation) else ""
    )
    return f"{where or 'the file'} is {value}: {message[0].lower()}{message[1:]}{empty}"


def _without_member(error: ErrorDetails, record: type[BaseModel]) -> ErrorDetails:
    """The error without the name of a union's member, which pydantic puts into the place: a value or `auto`.

    The message then says that auto is allowed too."""
    for depth in range(1, len(error["loc"])):
        field = _field(record, error["loc"][:depth])
        if field and Auto in get_args(field.annotation):
            place = (*error["loc"][:depth], *error["loc"][depth + 1 :])
            allowed = "" if len(place) > depth else ", or auto"
            return {**error, "loc": place, "msg": f"{error['msg']}{allowed}"}
    return error


def _suggestion(key: str, known_keys: list[str]) -> str:
    matches = difflib.get_close_matches(key, known_keys, n=1)
    return f"did you mean '{matches[0]}'?" if matches else f"known here: {', '.join(known_keys)}"


def _known_keys(record: type[BaseModel], section: Place) -> list[str]:
    field = _field(record, section)
    inner = field.annotation if field else record
    assert isinstance(inner, type) and issubclass(inner, BaseModel)
    return list(inner.model_fields)


def _field(record: Any, place: Place) -> FieldInfo | None:
    """The field of a place such as ("train", "sizes", 0); None for the whole record."""
    field = None
    for name in place:
        if not (isinstance(record, type) and issubclass(record, BaseModel)) or name not in record.model_fields:
            break
        field = record.model_fields[str(name)]
        record = field.annotation
    return field
