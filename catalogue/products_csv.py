"""Reading and writing `products.csv`, the table beside a folder of product photos."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from catalogue.errors import BadInput

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif"}


@dataclass(frozen=True)
class ProductRow:
    """One product of a `products.csv`; its photos lie in `<set>/<slug>/` beside the file. `price` is `129000 KRW`."""

    set: str
    slug: str
    brand: str = ""
    name: str = ""
    price: str = ""
    colour: str = ""
    sku: str = ""
    model_group: str = ""
    shoe_type: str = ""
    kind: str = ""
    n_images: str = ""

    def __post_init__(self) -> None:
        for part in (self.set, self.slug):
            if not part or part in (".", "..") or "/" in part or "\\" in part or "\0" in part:
                raise ValueError(f"set and slug must be plain folder names, not {part!r}")


HEADER = tuple(column.name for column in fields(ProductRow))


def read_products(folder: Path) -> Iterator[ProductRow]:
    """Yield the rows of `folder/products.csv`; unknown columns are ignored, a bad row is `BadInput` with its line."""
    path = folder / "products.csv"
    for line, row in read_csv(path, required=("set", "slug")):
        try:
            yield ProductRow(**{name: (row.get(name) or "").strip() for name in HEADER})
        except ValueError as error:
            raise BadInput(f"{path}, line {line}: {error}") from error


def read_csv(path: Path, required: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a UTF-8 CSV with a header; `BadInput` if it is missing a required column."""
    if not path.is_file():
        raise BadInput(f"{path} does not exist; the folder needs a products.csv beside its photos")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            missing = [name for name in required if name not in (reader.fieldnames or ())]
            if missing:
                raise BadInput(f"{path} has no column {missing[0]!r}; its columns are: "
                               f"{', '.join(reader.fieldnames or ()) or 'none'}")
            for row in reader:
                # A line with too few fields has None in the others, one with too many a list under None.
                yield reader.line_num, {name: value or "" for name, value in row.items() if name is not None}
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{path}, near line {reader.line_num}: {error}; save it as a UTF-8 CSV") from error


def write_products(path: Path, rows: Iterable[ProductRow]) -> None:
    """Write rows as a `products.csv`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def photo_paths(folder: Path, row: ProductRow) -> list[Path]:
    """The product's photo files in their numbers' order (2.jpg before 10.jpg)."""
    place = folder / row.set / row.slug
    if not place.is_dir():
        return []
    found = [path for path in place.iterdir() if path.suffix.lower() in PICTURES]
    return sorted(found, key=lambda path: (len(path.stem), path.stem))
