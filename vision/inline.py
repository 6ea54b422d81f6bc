"""What reports of one HTML file share: their style, and small pictures as data URIs."""

import base64
import io

from PIL import Image

THUMBNAIL = 128
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c}
table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #ddd}
figure img{width:6rem;height:6rem;object-fit:contain}
"""


def thumbnail_uri(image: Image.Image) -> str:
    """Return an upright RGB image as the `src` of an `img`, its longest side at most 128 px."""
    image = image.copy()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
