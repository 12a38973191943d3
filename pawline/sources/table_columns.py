"""Decide which column of a table names the picture, its class, its part and its group: by params, else by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pawline.errors import DatasetError, ParamsError
from pawline.params.ingest import NO_COLUMN, TableParams
from pawline.sources.class_folders import READY_MADE_PARTS
from pawline.sources.table_files import Table
from pawline.terminal import listed

# Names without spaces, lines and capitals, the surest first: of several in one line, none is sure.
PATH_NAMES = (
    {"path"},
    {
        "filename",
        "filepath",
        "file",
        "imagepath",
        "imgpath",
        "imagefile",
        "imagefilename",
        "imagename",
        "imgname",
        "imageindex",
    },
    {"image", "img", "picture", "photo"},
    {"imageid", "imgid", "id", "uid", "uuid", "name"},
    # What people call it who do not write in English.
    {
        *("datei", "dateiname", "dateipfad", "pfad", "bild", "bilddatei", "bildname", "foto"),
        *("fichier", "nomfichier", "chemin", "archivo", "fichero", "nombrearchivo", "ruta", "imagen"),
        *(
            "arquivo",
            "nomearquivo",
            "imagem",
            "caminho",
            "immagine",
            "nomefile",
            "percorso",
            "bestand",
            "bestandsnaam",
        ),
    },
)
LABEL_NAMES = (
    {"label"},
    {
        "class",
        "labels",
        "classname",
        "category",
        "categoryname",
        "breed",
        "species",
        "target",
        "labelname",
        "diagnosis",
        "dx",
        "choice",
        "findinglabels",
    },
    {
        *("klasse", "kategorie", "bezeichnung", "art", "etikett", "rasse"),
        *("classe", "etiquette", "étiquette", "catégorie", "categorie", "espèce"),
        *("clase", "etiqueta", "categoría", "categoria", "especie", "raza", "rótulo", "rotulo", "espécie"),
        *("etichetta", "specie", "razza", "soort", "ras"),
    },
)
PART_NAMES = {"split", "subset", "datasplit"}
# These names mean other things too: such a column is a part where it holds only words for parts.
POSSIBLE_PART_NAMES = {"part", "partition", "set", "phase", "usage", "dataset", "fold"}
# fastai's form: true marks the part, false is train.
MARKS = {"isvalid": "val", "isval": "val", "isvalidation": "val", "istest": "test"}
GROUP_NAMES = {
    *("group", "groupid", "patient", "patientid", "subject", "subjectid", "person", "personid", "lesionid"),
    *("video", "videoid", "burst", "burstid", "camera", "cameraid", "sequence", "sequenceid", "scene", "sceneid"),
}

YES, NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no", ""}


@dataclass(frozen=True)
class Columns:
    """The columns by their role.

    classes: one column for each class, with a 1 in the class of the row; empty where `label` holds the class.
    sure: whether params or names say where the class stands, and not only that no other column is left.
    """

    path: str
    label: str = ""
    classes: tuple[str, ...] = ()
    part: str = ""
    group: str = ""
    unused: tuple[str, ...] = ()
    sure: bool = True

    @property
    def are_the_documented_ones(self) -> bool:
        return (self.path, self.label) == ("path", "label")

    @property
    def read(self) -> list[str]:
        """The columns of every row, in order: path, part, group where there are such, and the class."""
        return [self.path, *([self.label] if self.label else self.classes), *filter(None, [self.part, self.group])]

    def __str__(self) -> str:
        label = repr(self.label) if self.label else f"the 1 in {_listed(self.classes)}"
        roles = [f"picture from column {self.path!r}", f"class from {label}"]
        roles += [f"{role} from {name!r}" for role, name in (("part", self.part), ("group", self.group)) if name]
        text = ", ".join(roles)
        if self.unused:
            text += f"; not used: {_listed(self.unused)}"
        if hint := next((name for name in self.unused if _plain(name) in GROUP_NAMES and not self.group), ""):
            text += f" (set ingest.table.group to {hint!r} to keep its pictures in one part)"
        return text

    def class_of(self, values: list[str], where: str) -> str:
        """The class in the values of `classes` of one row. Raises DatasetError for several; empty for none."""
        found = [name for name, value in zip(self.classes, values, strict=True) if value.lower() in YES]
        if len(found) > 1:
            raise DatasetError(
                f"{where} has {len(found)} classes ({_listed(found)}), and a picture can have one; leave the row out"
            )
        return found[0] if found else ""

    def part_of(self, value: str, where: str) -> str:
        """train, val or test; empty in a table without parts. Raises DatasetError for any other word."""
        if not self.part:
            return ""
        part = _part(self.part, value)
        if not part:
            raise DatasetError(
                f"{where}: {self.part} is {value!r}, expected train, val or test; correct it, or set "
                f"ingest.table.part to another column, or to '{NO_COLUMN}' to cut the parts by hash"
            )
        return part


def find_columns(table: Table, params: TableParams) -> Columns:
    """Decide the role of each column.

    Raises DatasetError where a column cannot be guessed, ParamsError where params name a missing column."""
    names = table.columns
    _check_params(table, params)
    if doubled := sorted({name for name in names if names.count(name) > 1 and _may_be_used(name, params)}):
        raise DatasetError(f"{table.name}: two columns are called {doubled[0]!r}; rename one of them")
    names = list(dict.fromkeys(names))
    path = params.path or table.bytes_column or _by_name(table, names, key="path", known=PATH_NAMES)
    if not path:
        found = _listed(names) if any(names) else "none"
        if any(_plain(name).startswith("pixel") for name in names):
            raise DatasetError(
                f"{table.name}: holds the pixels of the pictures themselves ({found}); write each row as a PNG into "
                "the folder of its class"
            )
        raise DatasetError(
            f"{table.name}: no column for the picture's file, found {found}; the first line must name the columns, "
            "such as path,label, or set ingest.table.path to the column"
        )
    left = [name for name in names if name not in (path, params.label, params.group)]
    part = "" if params.part == NO_COLUMN else params.part or _part_column(table, left)
    left = [name for name in left if name != part]
    label, classes, sure = _label_columns(table, left, params)
    unused = tuple(name for name in left if name not in (label, *classes))
    return Columns(path, label, classes, part, params.group or "", unused=unused, sure=sure)


def _may_be_used(name: str, params: TableParams) -> bool:
    """Whether a name says that the column has a role; a second column `x` that nobody reads does no harm."""
    known = {*PART_NAMES, *POSSIBLE_PART_NAMES, *MARKS}.union(*PATH_NAMES, *LABEL_NAMES)
    return name in params.chosen.values() or _plain(name) in known


def _check_params(table: Table, params: TableParams) -> None:
    for key, column in params.chosen.items():
        if column not in table.columns and (key, column) != ("part", NO_COLUMN):
            raise ParamsError(
                f"ingest.table.{key} is {column!r}, but {table.name} has no such column; "
                f"it has {_listed(table.columns)}"
            )


def _by_name(table: Table, names: Sequence[str], key: str, known: tuple[set[str], ...]) -> str:
    """The column with the surest name, or an empty text. Raises DatasetError where two are equally sure."""
    for tier in known:
        found = [name for name in names if _plain(name) in tier]
        if len(found) > 1:
            raise DatasetError(
                f"{table.name}: {_listed(found)} may each be the {key}; set ingest.table.{key} to the right one"
            )
        if found:
            return found[0]
    return ""


def _part_column(table: Table, left: Sequence[str]) -> str:
    names = [name for name in left if _plain(name) in PART_NAMES | {*MARKS}]
    doubtful = [name for name in left if _plain(name) in POSSIBLE_PART_NAMES]
    names += [name for name in doubtful if all(_part(name, value) for value in _values(table, name))]
    if len(names) > 1:
        raise DatasetError(
            f"{table.name}: {_listed(names)} may each be the part (train, val, test); "
            f"set ingest.table.part to the right one, or to '{NO_COLUMN}'"
        )
    return names[0] if names else ""


def _label_columns(table: Table, left: list[str], params: TableParams) -> tuple[str, tuple[str, ...], bool]:
    """(the column with the class, the columns of the classes, sure): one of the first two is empty."""
    if label := params.label or _by_name(table, left, key="label", known=LABEL_NAMES):
        return label, (), True
    if len(left) == 1:
        _refuse_captions(table, left[0])
        return left[0], (), False
    are_marks = len(left) > 1 and all(value.lower() in YES | NO for row in table.rows(left) for value in row)
    is_one_hot = are_marks and all(sum(value.lower() in YES for value in row) == 1 for row in table.rows(left))
    several = [name for name in left if _plain(name).endswith(("label", "class", "category"))]
    if len(several) > 1 and not is_one_hot:
        raise DatasetError(
            f"{table.name}: {_listed(several)} may each be the label; set ingest.table.label to the right one"
        )
    if are_marks:
        return "", tuple(left), True
    found = f"one of {_listed(left)}" if left else "no other column"
    raise DatasetError(
        f"{table.name}: no column 'label', found {found}; set ingest.table.label to the class's column"
    )


def _refuse_captions(table: Table, column: str) -> None:
    """Raise DatasetError for the only column that is left where it describes each picture in words of its own."""
    values = [value for (value,) in table.rows([column])]
    if (
        len(values) > 3
        and len({*values}) > 0.9 * len(values)
        or any(value.startswith(("{", "[")) for value in values)
    ):
        raise DatasetError(
            f"{table.name}: the column {column!r} holds no classes, since nearly each row has a text of its own, "
            f"such as {values[0][:40]!r}; add a column 'label', or set ingest.table.label to {column!r}"
        )


def _part(column: str, value: str) -> str:
    if mark := MARKS.get(_plain(column)):
        return mark if value.lower() in YES else "train" if value.lower() in NO - {""} else ""
    return READY_MADE_PARTS.get(value.lower(), "")


def _values(table: Table, column: str) -> set[str]:
    return {value for (value,) in table.rows([column])}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _listed(names: Sequence[str]) -> str:
    return listed(map(repr, names), 8)
