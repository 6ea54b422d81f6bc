"""Drawings by matplotlib: written to a file, or as the `src` of an `img` in a report."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_drawing(figure: "Figure", path: Path) -> None:
    """Write a drawing at `path`; `BadInput` if it is no picture's name, or cannot be written."""
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise BadInput(f"the plot cannot be written to {path} ({error}); name a .png, .svg or .pdf") from error


def drawing_uri(figure: "Figure") -> str:
    """A drawing as the `src` of an `img`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
