"""Invented brands, model names, style codes and prices; any likeness to a real brand is unintended."""

from __future__ import annotations

from dataclasses import dataclass

from demo.colours import Colourway
from demo.shoe import STREAM_NAMES, Model, stream

BRANDS: dict[str, str] = {  # brand -> letters of its style codes
    "Norrvik": "NK", "Tavero": "TV", "하늘결": "HG", "Kestrin": "KS", "Pelluno": "PL", "달무리": "DM", "Velmora": "VM",
    "Brackwell": "BW",
}
_KOREAN = ("하늘결", "달무리")
_KOREAN_NAMES = (
    "구름", "바람", "새벽", "물결", "노을", "별빛", "솔잎", "이슬", "나루", "여울", "가람", "누리", "마루", "산들",
)
_NAMES = (
    "Ardo", "Bregen", "Calisto", "Dunmar", "Elvas", "Fjora", "Galdan", "Hollis", "Istra", "Jorund", "Kelmo", "Lunden",
    "Mirell", "Nolvo", "Orsk", "Pardan", "Quintel", "Rovik", "Sarrel", "Tindra", "Ulmo", "Varden", "Westry", "Yarrow",
)
_KIND_WORDS = {
    "low sneaker": ("Low", "Court", "로우"), "high sneaker": ("High", "Mid", "하이"),
    "runner": ("Runner", "Trail", "러너"), "boot": ("Boot", "Chelsea", "부츠"), "loafer": ("Loafer", "Moc", "로퍼"),
    "heel": ("Heel", "Pump", "힐"), "sandal": ("Sandal", "Strap", "샌들"), "slide": ("Slide", "Pool", "슬라이드"),
}
_PRICES = {"low sneaker": 99, "high sneaker": 119, "runner": 139, "boot": 189, "loafer": 149, "heel": 139,
           "sandal": 79, "slide": 45}


@dataclass(frozen=True)
class Label:
    """What a shop prints under a shoe."""

    brand: str
    name: str
    price: str
    style: str  # the part of the style code that all colourways share
    slug: str


def label_of(model: Model) -> Label:
    """The label of a model; the same seed gives the same."""
    draw = stream(model.seed, STREAM_NAMES)
    brand = str(draw.choice(list(BRANDS)))
    korean = brand in _KOREAN
    word = str(draw.choice(_KOREAN_NAMES if korean else _NAMES))
    kind = _KIND_WORDS[model.kind][2 if korean else int(draw.integers(2))]
    if model.kind == "boot" and kind == "Chelsea" and not model.panels.elastic:
        kind = "Boot"
    number = int(draw.integers(1, 10)) if draw.random() < 0.4 else 0
    name = f"{word} {kind}" + (f" {number}" if number else "")
    price = _PRICES[model.kind] * int(draw.integers(7, 16)) // 10
    style = f"{BRANDS[brand]}-{1000 + (model.seed * 7919 + 4821) % 9000:04d}"
    slug = f"{BRANDS[brand].lower()}-{model.kind.replace(' ', '-')}-{model.seed}"
    return Label(brand, name, f"{price}000 KRW", style, slug)


def style_code(label: Label, colourway: Colourway) -> str:
    """The full style code, such as NK-4821-103: the model's part, then the colourway's."""
    return f"{label.style}-{100 + colourway.index * 3 + (colourway.model_seed * 13) % 90:03d}"
