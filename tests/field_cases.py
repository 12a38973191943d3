"""What strangers bring as a source, drawn: each member of each kind with what `ingest` and `prepare` must make of it.

`tests/test_field.py` holds them, and `python -m benchmarks.field` prints them as a table.
"""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pawline.errors import PawlineError
from pawline.ingest import ingest
from pawline.params.ingest import IngestParams
from pawline.params.prepare import PrepareParams
from pawline.prepare import prepare
from tests.conftest import encode, stripes
from tests.sample_sources import folder_of, member, tar_of, zip_of

Files = dict[str, bytes]
MP4 = b"\0\0\0\x18ftypmp42" + bytes(100)
SEVENZ = b"7z\xbc\xaf\x27\x1c" + bytes(40)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
PREPARE = PrepareParams(
    image_size=16,
    color="rgb",
    aspect="stretch",
    background=255,
    bits=None,
    max_megapixels=64,
    max_bad_fraction=0.95,
    cache_gigabytes=0,
)


@dataclass(frozen=True)
class Case:
    """A member of a kind. make: draws the source below a folder. expected: the outcome, as `outcome` words it, or a
    part of it for a refusal. params: others of `ingest`."""

    kind: str
    member: str
    make: Callable[[Path], Path]
    expected: str
    params: dict[str, Any] = field(default_factory=dict)


def outcome(case: Case, folder: Path) -> str:
    """What happens, in a line: usable pictures per class, parts, quarantine, or the refusal."""
    try:
        source = case.make(folder)
        with redirect_stderr(io.StringIO()):
            result = ingest(
                IngestParams(source=str(source), sha256=None, **case.params), folder / "raw", folder / "downloads"
            )
            index = result.rows.table()
            quarantine = prepare(index, folder / "raw", folder / "prepared", PREPARE, folder / "cache")
    except PawlineError as error:
        return f"refused: {str(error).replace(str(folder), '…')}"
    used = index[~index["path"].isin(quarantine["path"])]
    texts = [_counts(used["class_name"]), _counts(part for part in used["given_part"] if part)]
    texts.append(_counts(quarantine["reason"]))
    return "; ".join(filter(None, texts))


def _counts(words: Any) -> str:
    return ", ".join(f"{word} {count}" for word, count in sorted(Counter(words).items()))


def holds(expected: str, happened: str) -> bool:
    """A refusal needs only the words that are expected of it."""
    return expected in happened if happened.startswith("refused") else expected == happened


# Builders


def picture(seed: int, vertical: bool = True, suffix: str = ".jpg") -> bytes:
    return encode(stripes(vertical, seed), suffix)


CLASSES: Files = {
    f"{name}/{seed}.jpg": picture(seed, name == "cat") for seed in range(3) for name in ("cat", "dog")
}
FLAT: Files = {path.replace("/", "_"): data for path, data in CLASSES.items()}
NAMES = list(FLAT)


def folder(files: Files) -> Callable[[Path], Path]:
    def make(at: Path) -> Path:
        (at / "source").mkdir()
        return folder_of(at / "source", files)

    return make


def with_classes(more: Files) -> Callable[[Path], Path]:
    return folder({**CLASSES, **more})


def zipped(files: Files) -> Callable[[Path], Path]:
    return lambda at: zip_of(at / "source.zip", files)


def tarred(files: Files, *members: tarfile.TarInfo) -> Callable[[Path], Path]:
    return lambda at: tar_of(at / "source.tar", files, *members)


def one_file(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(at: Path) -> Path:
        (at / name).write_bytes(content)
        return at / name

    return make


def rows(line: str = "{name},{label}", header: str = "path,label") -> str:
    lines = [line.format(name=name, stem=Path(name).stem, label=name[:3]) for name in NAMES]
    return "\n".join([header, *lines]) + "\n"


def table(
    text: str, name: str = "labels.csv", encoding: str = "utf-8", files: Files = FLAT
) -> Callable[[Path], Path]:
    return folder({**files, name: text.encode(encoding)})


def packed(files: Files) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def parts(*names: str, files: Files = CLASSES, more: Files | None = None) -> Files:
    """The files once in each part, with other pictures in each."""
    found: Files = {}
    for number, part in enumerate(names):
        for path in files:
            suffix = Path(path).suffix
            found[f"{part}/{path}"] = picture(100 * number + len(found), "cat" in path, suffix)
    return found | (more or {})


def parquet(*paths: str, names: list[str] | None = None, label: str = "label") -> Callable[[Path], Path]:
    def make(at: Path) -> Path:
        for number, path in enumerate(paths):
            data = [(picture(10 * number + seed, cat == 0), cat) for seed in range(3) for cat in (0, 1)]
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            pictures = pa.array([{"bytes": image, "path": None} for image, _ in data], kind)
            shard = pa.table({"image": pictures, label: [cat for _, cat in data]})
            if names:
                features = {label: {"_type": "ClassLabel", "names": names}}
                shard = shard.replace_schema_metadata(
                    {"huggingface": json.dumps({"info": {"features": features}})}
                )
            (at / "source" / path).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(shard, at / "source" / path)
        return at / "source"

    return make


def saved(form: str, mode: str = "RGB", frames: int = 1, **options: Any) -> bytes:
    images = [Image.fromarray(stripes(True, 50 + number)).convert(mode) for number in range(frames)]
    stream = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(stream, form, **more, **options)
    return stream.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved("JPEG", exif=exif)


def palette() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(stripes(True, 60)).quantize(16).save(stream, "PNG", transparency=0)
    return stream.getvalue()


def huge_header() -> bytes:
    header = struct.pack(">IIBBBBB", 2_000_000_000, 2_000_000_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + crc + saved("PNG")[33:]


def encrypted(at: Path) -> Path:
    archive = bytearray(packed(CLASSES))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = archive.find(mark)
        while place >= 0:
            archive[place + offset] |= 1
            place = archive.find(mark, place + 4)
    return one_file("source.zip", bytes(archive))(at)


def zip64(at: Path) -> Path:
    with zipfile.ZipFile(at / "source.zip", "w") as archive:
        for name, content in CLASSES.items():
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(content)
    return at / "source.zip"


def linked(at: Path) -> Path:
    """Pictures that are links out of the folder, behind a table."""
    folder_of(at / "elsewhere", FLAT)
    source = folder_of(at / "source", {"labels.csv": rows().encode()})
    for name in NAMES:
        (source / name).symlink_to(at / "elsewhere" / name)
    return source


def hub_cache(at: Path) -> Path:
    source = parquet("blobs/0123")(at)
    (source / "snapshots/1/data").mkdir(parents=True)
    (source / "snapshots/1/data/train-00000-of-00001.parquet").symlink_to(source / "blobs/0123")
    return source


def arrays() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, images=np.zeros((2, 8, 8)), labels=[0, 1])
    return stream.getvalue()


NUMBERED: Files = {f"{number:03}.jpg": picture(number, number % 2 == 1) for number in range(1, 7)}
NUMBER_ROWS = "".join(f"{number},{'cat' if number % 2 else 'dog'}\n" for number in range(1, 7))
KAGGLE = {
    "train.zip": packed({f"train/{path.replace('/', '.')}": data for path, data in CLASSES.items()}),
    "test1.zip": packed({f"test1/{number}.jpg": picture(80 + number) for number in range(3)}),
    "sampleSubmission.csv": b"id,label\n1,0\n",
}
CIFAR = {f"cifar-10-batches-py/data_batch_{number}": pickle.dumps({b"data": [1]}) for number in range(1, 6)}
BOTH = "cat 3, dog 3"
THREE_PARTS = "cat 9, dog 9; test 6, train 6, val 6"
ONE_HOT = "filename, cat, dog\n" + "".join(f"{name}, {int('c' in name)}, {int('g_' in name)}\n" for name in NAMES)

HAM = "lesion_id,image_id,dx\n" + "".join(f"L{n},ISIC_{n:07},{'nv' if n % 2 else 'mel'}\n" for n in range(6))
HAM_PICTURES = {f"HAM10000_images_part_{1 + n % 2}/ISIC_{n:07}.jpg": picture(n, n % 2 == 0) for n in range(6)}
TINY_IMAGENET = {
    **{f"train/{path.replace('/', '/images/')}": data for path, data in CLASSES.items()},
    **{f"{part}/images/{part}_{n}.JPEG": picture(70 + n) for part in ("val", "test") for n in range(2)},
    "val/val_annotations.txt": b"val_0.JPEG n01",
    "wnids.txt": b"n01",
}

ARCHIVES = [
    Case("C archives", "Kaggle's zip of zips", zipped(KAGGLE), BOTH),
    Case("C archives", "a folder of Kaggle's zips", folder(KAGGLE), BOTH),
    Case("C archives", "a folder with the zip of zips", folder({"dogs-vs-cats.zip": packed(KAGGLE)}), BOTH),
    Case(
        "C archives",
        "a folder of Cat.zip and Dog.zip",
        folder(
            {
                f"{name}.zip": packed({f"{n}.jpg": picture(n, name == "Cat") for n in range(3)})
                for name in ("Cat", "Dog")
            }
        ),
        "Cat 3, Dog 3",
    ),
    Case(
        "C archives",
        "images.zip beside labels.csv",
        folder({"images.zip": packed(FLAT), "labels.csv": rows().encode()}),
        BOTH,
    ),
    Case(
        "C archives",
        "backslashes in zip members",
        zipped({k.replace("/", "\\"): v for k, v in CLASSES.items()}),
        BOTH,
    ),
    Case("C archives", "zip64", zip64, BOTH),
    Case("C archives", "encrypted zip", encrypted, "is encrypted; unpack it with its password"),
    Case(
        "C archives",
        "hard and soft links in a tar",
        tarred(
            CLASSES,
            member("dog/h.jpg", tarfile.LNKTYPE, "dog/1.jpg"),
            member("dog/s.jpg", tarfile.SYMTYPE, "1.jpg"),
        ),
        f"{BOTH}; unreadable 2",
    ),
    Case(
        "C archives", ".7z", one_file("cats.7z", SEVENZ), "unpack 'cats.7z' first, for example with `7z x cats.7z`"
    ),
    Case("C archives", ".rar", one_file("cats.rar", b"Rar!\x1a\x07\x01\0"), "unpack 'cats.rar' first"),
    Case(
        "C archives", ".7z in a zip", zipped({"train.7z": SEVENZ, "readme.txt": b"x"}), "unpack 'train.7z' first"
    ),
    Case(
        "C archives",
        "train.7z beside trainLabels.csv (Kaggle's CIFAR-10)",
        folder({"train.7z": SEVENZ, "trainLabels.csv": b"id,label\n1,cat\n2,dog\n"}),
        "none of its 2 pictures is there, such as '1'; unpack 'train.7z' first",
    ),
    Case(
        "C archives",
        "a zip three levels deep",
        zipped({"a.zip": packed({"b.zip": packed(CLASSES)})}),
        "unpack 'a/b.zip' first",
    ),
    Case(
        "C archives",
        "a piece of a split zip",
        one_file("cats.zip.001", packed(CLASSES)[:900]),
        "unpack 'cats.zip.001' first",
    ),
    Case(
        "C archives",
        "a login page saved as zip",
        one_file("cats.zip", b"<!DOCTYPE html><html>"),
        "this is a web page",
    ),
    Case("C archives", "a Git LFS pointer", one_file("cats.zip", LFS), "a pointer of Git LFS"),
    Case("C archives", "an empty zip", zipped({}), "it holds no file"),
    Case("C archives", "a single picture", one_file("cat.jpg", picture(1)), "this is a single picture"),
]

LAYOUTS = [
    Case(
        "C layouts",
        "classes called train and bus",
        folder({f"{name}/{n}.jpg": picture(n, name == "bus") for name in ("train", "bus") for n in range(3)}),
        "bus 3, train 3",
    ),
    Case("C layouts", "Tiny ImageNet", folder(TINY_IMAGENET), BOTH),
    Case(
        "C layouts",
        "training_set/training_set/cat (Kaggle)",
        folder(parts("training_set/training_set", "test_set/test_set")),
        "cat 6, dog 6; test 6, train 6",
    ),
    Case(
        "C layouts",
        "seg_train, seg_test, seg_pred (Intel)",
        folder(parts("seg_train/seg_train", "seg_test/seg_test", more={"seg_pred/seg_pred/1.jpg": picture(999)})),
        "cat 6, dog 6; test 6, train 6",
    ),
    Case("C layouts", "train, dev, test", folder(parts("train", "dev", "test")), THREE_PARTS),
    Case(
        "C layouts",
        "a copy of itself inside (chest_xray)",
        folder(
            (files := parts("train", "val", "test")) | {f"chest_xray/{path}": data for path, data in files.items()}
        ),
        THREE_PARTS,
    ),
    Case(
        "C layouts",
        "a Roboflow export for classification",
        folder(parts("train", "valid", "test", more={"README.roboflow.txt": b"x"})),
        THREE_PARTS,
    ),
    Case(
        "C layouts",
        "classes in names with a line: cat_0.jpg",
        folder(FLAT),
        "if the names hold the classes ('cat_0.jpg'), write a labels.csv of path,label",
    ),
    Case(
        "C layouts",
        "no classes: IMG_0001.jpg",
        folder({f"IMG_{n:04}.jpg": picture(n) for n in range(4)}),
        "put each class in a folder of its own",
    ),
    Case(
        "C layouts",
        "COCO",
        folder({**parts("train", "valid", files=FLAT), "train/_annotations.coco.json": b"{}"}),
        "gives boxes or areas",
    ),
    Case(
        "C layouts",
        "YOLO",
        folder(
            {
                **parts("train/images", files=FLAT),
                "train/labels/cat_0.txt": b"0 1 1 1 1",
                "data.yaml": b"names: [cat]",
            }
        ),
        "gives boxes or areas",
    ),
    Case(
        "C layouts",
        "Pascal VOC",
        folder({**parts("VOC/JPEGImages", files=FLAT), "VOC/Annotations/cat_0.xml": b"<a/>"}),
        "gives boxes or areas",
    ),
    Case("C layouts", "CIFAR's pickles", folder(CIFAR), "holds arrays or records, not picture files"),
    Case("C layouts", ".npz", one_file("data.npz", arrays()), "holds arrays or records, not picture files"),
    Case(
        "C layouts",
        "one idx file of MNIST",
        one_file("train-images-idx3-ubyte.gz", gzip.compress(b"\0\0\x08\x03" + bytes(900))),
        "holds arrays or records",
    ),
    Case(
        "C layouts",
        "MNIST's idx files",
        folder({"train-images-idx3-ubyte.gz": gzip.compress(b"x")}),
        "holds arrays or records",
    ),
    Case("C layouts", "TFRecord", folder({"train.tfrecord": b"x"}), "holds arrays or records"),
    Case(
        "C layouts",
        "Arrow of datasets.save_to_disk",
        folder({"train/data-00000-of-00001.arrow": b"ARROW1", "train/state.json": b"{}"}),
        "holds arrays or records",
    ),
    Case(
        "C layouts",
        "WebDataset shards",
        tarred({"0.jpg": picture(1), "0.cls": b"0", "1.jpg": picture(2), "1.cls": b"1"}),
        "shards of WebDataset",
    ),
    Case(
        "C layouts",
        "files that stand for others (.dvc)",
        folder({f"{path}.dvc": b"outs:" for path in CLASSES}),
        "only stands for a file that is not here",
    ),
]

NIH = "Image Index,Finding Labels,Patient ID\n" + "".join(
    f"{n:04}_000.png,{'Mass' if n % 2 else 'No Finding'},{n}\n" for n in range(6)
)
NIH_PICTURES = {f"images_{1 + n // 3:03}/images/{n:04}_000.png": picture(n, n % 2 == 0, ".png") for n in range(6)}

TABLES = [
    Case(
        "D tables",
        "NIH's chest X-rays: images_001 and images_002, a table",
        folder({**NIH_PICTURES, "Data_Entry_2017.csv": NIH.encode()}),
        "Mass 3, No Finding 3",
    ),
    Case(
        "D tables",
        "HAM10000: two folders of pictures, a table",
        folder({**HAM_PICTURES, "HAM10000_metadata.csv": HAM.encode()}),
        "mel 3, nv 3",
    ),
    Case(
        "D tables",
        "pixels in the table (FER2013, MNIST)",
        one_file("fer2013.csv", b"emotion,pixels\n0,70 80\n"),
        "holds the pixels of the pictures themselves",
    ),
    Case(
        "D tables",
        "UTF-16 with tabs (Excel)",
        table(rows("{name}\t{label}", "path\tlabel"), encoding="utf-16"),
        BOTH,
    ),
    Case(
        "D tables",
        "semicolons and a byte order mark",
        table(rows("{name};{label}", "path;label"), encoding="utf-8-sig"),
        BOTH,
    ),
    Case(
        "D tables",
        "Latin-1",
        table(rows().replace("cat\n", "Kätzchen\n"), encoding="latin-1"),
        "not UTF-8; save it as CSV in UTF-8",
    ),
    Case(
        "D tables", "a line break inside quotes", table(rows('{name},{label},"a\nb"', 'path,label,"no\nte"')), BOTH
    ),
    Case("D tables", "a header in capitals", table(rows(header="PATH,LABEL")), BOTH),
    Case("D tables", "a German header", table(rows("{name};{label}", "Dateiname;Kategorie"), "bilder.csv"), BOTH),
    Case("D tables", "a French header", table(rows(header="fichier,classe")), BOTH),
    Case("D tables", "a Spanish header", table(rows(header="archivo,clase")), BOTH),
    Case(
        "D tables", "a doubled column that has no role", table(rows("{name},{label},1,2", "path,label,x,x")), BOTH
    ),
    Case(
        "D tables",
        "a doubled label column",
        table(rows("{name},{label},x", "path,label,label")),
        "two columns are called 'label'",
    ),
    Case("D tables", "no header", table(rows().split("\n", 1)[1]), "the first line must name the columns"),
    Case(
        "D tables",
        "backslashes in paths",
        table(rows("images\\{name},{label}"), files={f"images/{name}": data for name, data in FLAT.items()}),
        BOTH,
    ),
    Case("D tables", "paths of a Windows machine", table(rows("C:\\Users\\me\\{name},{label}")), BOTH),
    Case("D tables", "paths of a Kaggle notebook", table(rows("/kaggle/input/pets/{name},{label}")), BOTH),
    Case(
        "D tables", "labels as numbers", table(rows().replace("cat\n", "0\n").replace("dog\n", "1\n")), "0 3, 1 3"
    ),
    Case(
        "D tables", "ids that lost their zeros in Excel", table("id,label\n" + NUMBER_ROWS, files=NUMBERED), BOTH
    ),
    Case(
        "D tables",
        "an id that may be 01 or 001",
        table("id,label\n" + NUMBER_ROWS, files={**NUMBERED, "01.jpg": picture(70)}),
        "'1' may be '001.jpg' or '01.jpg'",
    ),
    Case("D tables", "one-hot columns", table(ONE_HOT, "_classes.csv"), BOTH),
    Case(
        "D tables",
        "a row with two classes",
        table(ONE_HOT.replace(" 0, 1", " 1, 1"), "_classes.csv"),
        "has 2 classes",
    ),
    Case(
        "D tables",
        "a missing label",
        table(rows() + "cat_0.jpg,\n"),
        "has no label; add a label, or leave the row out",
    ),
    Case(
        "D tables",
        "metadata.jsonl",
        table("".join(json.dumps({"file_name": n, "label": n[:3]}) + "\n" for n in NAMES), "metadata.jsonl"),
        BOTH,
    ),
    Case(
        "D tables",
        "captions in metadata.jsonl",
        table("".join(json.dumps({"file_name": n, "text": f"my {n}"}) + "\n" for n in NAMES), "metadata.jsonl"),
        "holds no classes",
    ),
    Case("D tables", "labels.xlsx", folder({**FLAT, "labels.xlsx": packed({"x": b""})}), "save it as labels.csv"),
    Case("D tables", "labels.json", folder({**FLAT, "labels.json": b"{}"}), "save it as labels.csv"),
    Case(
        "D tables",
        "Roboflow's _classes.csv in each part",
        zipped(
            parts("train", "valid", "test", files=FLAT)
            | {f"{p}/_classes.csv": ONE_HOT.encode() for p in ("train", "valid", "test")}
        ),
        THREE_PARTS,
    ),
    Case(
        "D tables",
        "Parquet of the Hub, one shard",
        parquet("data/train-00000-of-00001.parquet", names=["cat", "dog"]),
        BOTH,
    ),
    Case(
        "D tables",
        "Parquet of the Hub, three parts",
        parquet(
            *(f"data/{p}-00000-of-00001.parquet" for p in ("train", "validation", "test")), names=["cat", "dog"]
        ),
        THREE_PARTS,
    ),
    Case("D tables", "Parquet without names", parquet("train/0000.parquet"), "0 3, 1 3"),
    Case(
        "D tables",
        "Parquet of two configurations",
        parquet("a/train-00000-of-00001.parquet", "b/train-00000-of-00001.parquet"),
        "set ingest.source to one of its folders of Parquet files",
    ),
    Case("D tables", "the cache of the Hub", hub_cache, "set ingest.source to the folder below its snapshots/"),
    Case("D tables", "links behind a table", linked, BOTH, {"follow_links": True}),
]

NO_PICTURES = [
    Case(
        "E no pictures",
        "Takeout's sidecars",
        folder(
            {
                **{f"Takeout/Google Photos/{k}": v for k, v in CLASSES.items()},
                **{f"Takeout/Google Photos/{k}.supplemental-metadata.json": b"{}" for k in CLASSES},
                "Takeout/archive_browser.html": b"<html>",
            }
        ),
        BOTH,
    ),
    Case(
        "E no pictures",
        "motion photos (.MP, .MVIMG, a film behind the JPEG)",
        with_classes({"cat/PXL_1.MP": MP4, "cat/x.MVIMG": MP4, "cat/PXL_1.MP.jpg": picture(90) + MP4}),
        "cat 4, dog 3",
    ),
    Case(
        "E no pictures",
        "Synology's #recycle and @eaDir",
        with_classes({"#recycle/1.jpg": picture(91), "cat/@eaDir/1.jpg/SYNO.jpg": picture(92)}),
        BOTH,
    ),
    Case(
        "E no pictures",
        "Thumbs.db, .picasa.ini, desktop.ini",
        with_classes({"cat/Thumbs.db": b"x", "cat/.picasa.ini": b"x", "dog/desktop.ini": b"x"}),
        BOTH,
    ),
    Case(
        "E no pictures",
        "__MACOSX and ._ files",
        zipped({**CLASSES, "__MACOSX/cat/._0.jpg": b"x", "cat/._0.jpg": b"x"}),
        BOTH,
    ),
    Case(
        "E no pictures",
        "placeholders of clouds (.icloud, zero bytes)",
        with_classes({"cat/1.heic.icloud": b"bplist00", "cat/cloud.jpg": b"", "dog/zero.jpg": bytes(500)}),
        f"{BOTH}; empty 1, not_an_image 1",
    ),
    Case(
        "E no pictures",
        "Git LFS pointers in place of pictures",
        with_classes({"cat/lfs.jpg": LFS}),
        f"{BOTH}; not_an_image 1",
    ),
    Case(
        "E no pictures",
        "web pages saved as .jpg",
        with_classes({"cat/403.jpg": b"<html>403"}),
        f"{BOTH}; not_an_image 1",
    ),
]

NAMES_OF_USERS = [
    Case(
        "F names",
        "Cat and cat",
        folder({**CLASSES, "Cat/9.jpg": picture(93)}),
        "differ by case or Unicode form only",
    ),
    Case(
        "F names",
        "'cat' and 'cat '",
        folder({**CLASSES, "cat /9.jpg": picture(93)}),
        "differ by spaces at an end only",
    ),
    Case(
        "G names",
        "reserved by Windows (CON, aux.)",
        folder({**CLASSES, "CON/1.jpg": picture(94), "aux./1.jpg": picture(95)}),
        f"CON 1, aux. 1, {BOTH}",
    ),
    Case(
        "G names",
        "255 bytes, and 100 folders",
        with_classes({f"cat/{'a' * 251}.jpg": picture(96), f"dog/{'d/' * 100}x.jpg": picture(97)}),
        "cat 4, dog 4",
    ),
    Case(
        "G names",
        "commas, brackets, #, %, quotes",
        folder(
            {
                f"{name}/{n}.jpg": picture(n + k)
                for k, name in ((0, "a, (b) #1 100%"), (50, 'it\'s "c"'))
                for n in range(2)
            }
        ),
        'a, (b) #1 100% 2, it\'s "c" 2',
    ),
    Case(
        "G names",
        "not UTF-8, in a tar",
        tarred({**CLASSES, "caf\udce9/1.jpg": picture(98)}),
        "caf\\xe9 1, cat 3, dog 3",
    ),
    Case(
        "G names",
        "half of a character in JSON",
        table('{"path": "\\ud800.jpg", "label": "cat"}\n', "labels.jsonl"),
        "half of a character",
    ),
]

FORMATS = [
    Case("B pictures", name, with_classes({f"cat/{name}": data}), expected)
    for name, data, expected in [
        ("animated.gif", saved("GIF", frames=3), "cat 4, dog 3"),
        ("animated.webp", saved("WEBP", frames=3), "cat 4, dog 3"),
        ("pages.tif", saved("TIFF", frames=3), "cat 4, dog 3"),
        ("CMYK.jpg", saved("JPEG", "CMYK"), "cat 4, dog 3"),
        ("progressive.JPEG", saved("JPEG", progressive=True), "cat 4, dog 3"),
        ("cut off.jpg", saved("JPEG")[:600], f"{BOTH}; truncated 1"),
        ("1 bit.png", saved("PNG", "1"), "cat 4, dog 3"),
        ("palette with transparency.png", palette(), "cat 4, dog 3"),
        ("gray with alpha.png", saved("PNG", "LA"), "cat 4, dog 3"),
        ("turned by EXIF.jpg", turned(), "cat 4, dog 3"),
        ("huge header.png", huge_header(), f"{BOTH}; too_large 1"),
        ("a JPEG called.png", saved("JPEG"), "cat 4, dog 3"),
        ("a PNG called.txt", saved("PNG"), "cat 4, dog 3"),
        ("without ending", saved("BMP"), "cat 4, dog 3"),
        ("drawing.svg", b"<svg/>", BOTH),
        ("new.jxl", b"\xff\x0a" + bytes(50), f"{BOTH}; unsupported 1"),
        ("layers.psd", b"8BPS\0\1" + bytes(50), f"{BOTH}; unsupported 1"),
        ("scan.dcm", bytes(128) + b"DICM", f"{BOTH}; unsupported 1"),
    ]
]

CASES = [*FORMATS, *ARCHIVES, *LAYOUTS, *TABLES, *NO_PICTURES, *NAMES_OF_USERS]
