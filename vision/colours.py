"""What colours a shoe has: a fine histogram of its pixels, shortened to the axes along which shoes differ most."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BINS = (12, 32, 32)     # of lightness and colour in CIELAB: most shoes are nearly grey, so colour needs more
REACH = 80.0            # greatest a* and b* that are told apart
POWER = 0.35            # of the shares: below a half a little of a rare colour counts beside much of a common one
WHITENING = -0.1        # power of an axis' variance that it is weighed with
GROUND = 14.0           # how far from the border's mean colour a pixel surely is no ground, in steps of 255
PLAIN, UNEVEN = 2.0, 6.0  # upper quartile of the border's distance from its median: a studio's ground, and surely none
DIM, LIT = 150.0, 220.0   # least channel of that median: ground or light that is surely no studio's, and one that is
LEAST = 0.2             # what ground counts for: a white shoe on white must not vanish
SIDE = 64               # pixels along a side that suffice: with four times as many no more shoes are found
COUNT = BINS[0] * BINS[1] * BINS[2]
TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE = (0.9505, 1.0, 1.089)


class ColourEmbedding(nn.Module):
    """Pixels → vectors (n, width): the histogram's principal components, fitted to photos by `fit`.

    Colour indexing (Swain & Ballard 1991) is hard to beat where colourways of one model differ in nothing else, and
    misleads where light and ground are not a studio's. `by_ground` therefore shortens a photo's vector the less like a
    studio's its ground is, to none at last: how much a cue counts is read off the query (Zheng et al. 2015,
    "Query-adaptive late fusion"). Otherwise all vectors have unit length.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, width: int, by_ground: bool = False) -> None:
        super().__init__()
        self.by_ground = by_ground
        self.register_buffer("mean", torch.zeros(COUNT))
        self.register_buffer("axes", torch.zeros(COUNT, width))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return vectors (n, width), none longer than 1, of float RGB pixels 0–255 (n, 3, h, w)."""
        with torch.autocast(pixels.device.type, enabled=False):  # half precision cannot tell neighbouring shades apart
            vectors = F.normalize((self.shares(pixels) - self.mean) @ self.axes)
            return vectors * studio_likeness(pixels)[:, None] if self.by_ground else vectors

    def shares(self, pixels: Tensor) -> Tensor:
        """Return the `colour_shares` (n, COUNT) that the axes are of; of every pixel where colours always count the
        same, as former networks have it."""
        step = max(1, pixels.shape[3] // SIDE) if self.by_ground else 1
        return colour_shares(pixels[:, :, ::step, ::step])

    @torch.no_grad()
    def fit(self, shares: Tensor) -> None:
        """Take the axes from the `shares` (n, COUNT) of photos; fewer photos than axes leave the rest empty."""
        width = self.axes.shape[1]
        self.mean.copy_(shares.mean(0))
        centred = shares - self.mean
        rank = min(width, len(shares) - 1)
        _, spread, axes = torch.pca_lowrank(centred, min(rank + 32, *centred.shape), center=False, niter=4)
        variance = (spread[:rank].square() / len(shares)).clamp(min=1e-9)
        self.axes.zero_()
        self.axes[:, :rank] = axes[:, :rank] * variance**WHITENING


def colour_shares(pixels: Tensor) -> Tensor:
    """Return unit histograms (n, COUNT) of float RGB pixels 0–255 (n, 3, h, w), each in the soft bins nearest to it."""
    border = border_of(pixels).mean(2)
    away = (pixels - border[:, :, None, None]).abs().amax(1) / GROUND
    weight = (LEAST + (1 - LEAST) * away.clamp(max=1)).flatten(1)                               # (n, p)
    most = torch.tensor(BINS, device=pixels.device).view(1, 3, 1) - 1
    place = cielab(pixels / 255).flatten(2).clamp(0, 1) * most                                  # (n, 3, p)
    low = torch.minimum(place.floor(), most - 1)
    part = place - low
    counts = pixels.new_zeros(pixels.shape[0], COUNT)
    for corner in range(8):
        up = [corner >> axis & 1 for axis in range(3)]
        shares = [part[:, axis] if up[axis] else 1 - part[:, axis] for axis in range(3)]
        at = ((low[:, 0] + up[0]) * BINS[1] + low[:, 1] + up[1]) * BINS[2] + low[:, 2] + up[2]
        counts = counts.scatter_add(1, at.long(), weight * shares[0] * shares[1] * shares[2])
    return F.normalize((counts / counts.sum(1, keepdim=True)) ** POWER)


def studio_likeness(pixels: Tensor) -> Tensor:
    """Return how like a studio's the ground of float RGB pixels 0–255 (n, 3, h, w) is (n,), from 0 to 1: even, and
    white or nearly so, which proves the light to be neither coloured nor dim.

    The upper quartile of the border's pixels tells how even: sides that padding made even are half of them, and a shoe
    that touches a side is less than a quarter.
    """
    border = border_of(pixels)                                                          # (n, 3, b)
    ordered = border.sort(2).values  # OpenVINO knows no median
    median = ordered[:, :, ordered.shape[2] // 2, None]
    away = (border - median).abs().amax(1).sort(1).values                               # (n, b)
    even = (UNEVEN - away[:, 3 * away.shape[1] // 4]) / (UNEVEN - PLAIN)
    light = (median.amin((1, 2)) - DIM) / (LIT - DIM)
    return even.clamp(0, 1) * light.clamp(0, 1)


def border_of(pixels: Tensor) -> Tensor:
    """Return the outermost pixels (n, 3, 2h + 2w) of pixels (n, 3, h, w)."""
    return torch.cat([pixels[:, :, 0], pixels[:, :, -1], pixels[:, :, :, 0], pixels[:, :, :, -1]], 2)


def cielab(pixels: Tensor) -> Tensor:
    """Return CIELAB lightness and colour axes (n, 3, h, w), each scaled to [0, 1], of sRGB in [0, 1] (n, 3, h, w)."""
    pixels = pixels.clamp(0, 1)
    linear = torch.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    to_xyz = torch.tensor(TO_XYZ, device=pixels.device) / torch.tensor(WHITE, device=pixels.device)[:, None]
    xyz = F.conv2d(linear, to_xyz[:, :, None, None])
    roots = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = roots.unbind(1)
    return torch.stack([1.16 * y - 0.16, 250 * (x - y) / REACH + 0.5, 100 * (y - z) / REACH + 0.5], 1)
