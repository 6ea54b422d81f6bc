"""The stock report as a picture: the photo with each slot in the colour of its state."""

import io
from collections.abc import Sequence
from functools import cache, lru_cache

from PIL import Image, ImageDraw, ImageFont

from app.stock import Question, SlotAnswer, StockAnswer, states
from app.uploads import picture_of

COLOURS = {"filled": (22, 128, 61), "wrong": (217, 119, 6), "empty": (200, 30, 30)}
LONGEST = 1600
CROP = 200
GAP = 8
MOST_WORDS = 200  # characters of a line, before it is made to fit
# Fonts with letters that Pillow's own lacks, by the names of their files; those that are installed help out.
OTHER_FONTS = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "NotoSansKR-Regular.otf", "NanumGothic.ttf", "malgun.ttf",
               "AppleSDGothicNeo.ttc", "unifont.otf")


def draw_stock(question: Question, answer: StockAnswer) -> bytes:
    """Return a PNG: green where filled (with what is expected, if anything is), amber where another product is, red
    where empty. Crops of single slots are laid side by side."""
    if question.slots or question.grid:
        with picture_of(question.photos[0]) as shelf:
            scale = min(1.0, LONGEST / max(shelf.size))
            sheet = shelf.resize((max(1, round(scale * shelf.width)), max(1, round(scale * shelf.height))))
        boxes = [tuple(scale * edge for edge in one.box or ()) for one in answer.slots]
    else:
        sheet, boxes = _side_by_side(question)
    pen, found = ImageDraw.Draw(sheet), states(answer)
    for one, box in zip(answer.slots, boxes, strict=True):
        _draw_slot(pen, box, COLOURS[found[one.slot]], _words(one))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _side_by_side(question: Question) -> tuple[Image.Image, list[tuple[float, ...]]]:
    columns = min(len(question.photos), 8)
    rows = -(-len(question.photos) // columns)
    step = CROP + GAP
    sheet = Image.new("RGB", (columns * step + GAP, rows * step + GAP), "white")
    boxes: list[tuple[float, ...]] = []
    for number, photo in enumerate(question.photos):
        left, top = GAP + step * (number % columns), GAP + step * (number // columns)
        with picture_of(photo) as image:
            image.thumbnail((CROP, CROP))
            sheet.paste(image, (left + (CROP - image.width) // 2, top + (CROP - image.height) // 2))
        boxes.append((left, top, left + CROP, top + CROP))
    return sheet, boxes


def _words(one: SlotAnswer) -> list[str]:
    if one.state == "empty":
        return [f"{one.slot}: empty {100 * (1 - one.filled):.0f} %"]
    seen = f" {one.name}" if one.name else f" filled {100 * one.filled:.0f} %"
    return [f"{one.slot}:{seen}"] + ([f"not {one.expected}"] if one.as_expected is False else [])


def _draw_slot(pen: ImageDraw.ImageDraw, box: Sequence[float], colour: tuple[int, int, int], words: list[str]) -> None:
    left, top, right, bottom = box
    width = max(2, round(min(right - left, bottom - top) / 40))
    # Inside its own edges, so that neighbours do not paint over each other.
    edges = (left + 1, top + 1, max(left + 2, right - 2), max(top + 2, bottom - 2))
    pen.rectangle(edges, outline=colour, width=width)
    size = max(10, min(18, round((right - left) / 9)))
    for number, told in enumerate(words):
        font, line = _lettered(" ".join(told.split())[:MOST_WORDS], size)  # of a title that a shop wrote
        while len(line) > 3 and pen.textlength(line, font=font) > right - left - 3 * width - 6:
            line = line[:-2] + "…"
        place = (left + width + 2, top + width + 2 + number * (size + 5))
        pen.rectangle((place[0] - 2, place[1] - 1, place[0] + pen.textlength(line, font=font) + 4,
                       place[1] + size + 4), fill=colour)
        pen.text((place[0] + 1, place[1]), line, fill="white", font=font)


def _lettered(line: str, size: int) -> tuple[ImageFont.FreeTypeFont, str]:
    """The first font that has all letters of a line; where none has, Pillow's own, with ? for those that it lacks."""
    letters = set(line) - {" ", "…"}
    for name in ("", *OTHER_FONTS):
        font = _font(name, size)
        if font is not None and not any(_lacks(name, size, letter) for letter in letters):
            return font, line
    own = _font("", size)
    assert own is not None
    return own, "".join("?" if letter in letters and _lacks("", size, letter) else letter for letter in line)


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        font = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    except OSError:
        return None
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@lru_cache(10_000)
def _lacks(name: str, size: int, letter: str) -> bool:
    """Whether a font draws for a letter what it draws for one that nobody has."""
    font = _font(name, size)
    return font is None or bytes(font.getmask(letter)) == bytes(font.getmask("\U0010fffd"))
