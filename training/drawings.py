"""Drawings by matplotlib: written to a file, or as the `src` of an `img` in a report."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Fonts with letters that matplotlib's own lacks (Hangul, kana, Chinese); those that are installed help out.
OTHER_FONTS = ("Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans KR", "NanumGothic", "Malgun Gothic",
               "Apple SD Gothic Neo", "WenQuanYi Zen Hei", "Unifont")


def save_drawing(figure: "Figure", path: Path) -> None:
    """Write a drawing at `path`; `BadInput` if it is no picture's name, or cannot be written."""
    _let_others_help_out(figure)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise BadInput(f"the plot cannot be written to {path} ({error}); name a .png, .svg or .pdf") from error


def drawing_uri(figure: "Figure") -> str:
    """A drawing as the `src` of an `img`."""
    _let_others_help_out(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _let_others_help_out(figure: "Figure") -> None:
    from matplotlib.font_manager import fontManager
    from matplotlib.text import Text
    installed = {entry.name for entry in fontManager.ttflist}
    for text in figure.findobj(Text):
        text.set_fontfamily(["DejaVu Sans", *(name for name in OTHER_FONTS if name in installed)])
