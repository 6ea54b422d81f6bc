"""A picture inside an HTML file: small, as a data URI, so that a report is one file."""

import base64
import io

from PIL import Image

THUMBNAIL = 128


def thumbnail_uri(image: Image.Image) -> str:
    """Return an upright RGB image as the `src` of an `img`, its longest side at most 128 px."""
    image = image.copy()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
