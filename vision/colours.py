"""What colours a shoe has: a histogram of the pixels that are not plain ground, beside what the network learnt."""

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 64           # the grid of pixels that are counted; averaging them instead would blend the shoe's colours away
GROUND = 20.0       # how far from the border's mean colour a pixel surely is no ground, in steps of 255
LEAST = 0.1         # what ground counts for: a white shoe on white must not vanish


def colour_counts(pixels: Tensor, bins: int) -> Tensor:
    """Return unit histograms (n, bins³) of float RGB pixels 0–255 (n, 3, h, w), in `bins` soft bins a channel.

    They hold the roots of the shares, so that two histograms' inner product is their Bhattacharyya coefficient. Colour
    indexing (Swain & Ballard 1991) is hard to beat where colourways of one model differ in nothing else.
    """
    with torch.autocast(pixels.device.type, enabled=False):  # half precision cannot tell neighbouring shades apart
        step = max(1, pixels.shape[-1] // SIDE)
        grid = pixels[:, :, ::step, ::step].float()
        border = torch.cat([grid[:, :, 0], grid[:, :, -1], grid[:, :, :, 0], grid[:, :, :, -1]], 2).mean(2)
        away = (grid - border[:, :, None, None]).abs().amax(1) / GROUND                         # (n, side, side)
        weight = (LEAST + (1 - LEAST) * away.clamp(max=1)).flatten(1).unsqueeze(1)              # (n, 1, p)
        place = (grid.flatten(2) / 256 * bins - 0.5).clamp(0, bins - 1)                         # (n, 3, p)
        middles = torch.arange(bins, device=pixels.device, dtype=torch.float32).view(1, 1, bins, 1)
        near = (1 - (place.unsqueeze(2) - middles).abs()).clamp(min=0)                          # (n, 3, bins, p)
        red_green = (near[:, 0].unsqueeze(2) * near[:, 1].unsqueeze(1)).flatten(1, 2)           # (n, bins², p)
        counts = ((red_green * weight) @ near[:, 2].transpose(1, 2)).flatten(1)                 # (n, bins³)
        return F.normalize((counts / counts.sum(1, keepdim=True) + 1e-6).sqrt())
