"""Augmentation of whole batches on the training device; hue is turned only when told: it tells colourways apart."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from training.batches import shrunk
from training.recipes import Recipe

GRAINS = 8  # how many patterns of noise there are in a batch
# RGB to brightness and two axes of colour, in which turning a hue is a rotation (the NTSC standard's YIQ).
YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


def augment(packed: Tensor, recipe: Recipe, random: torch.Generator, size: int) -> Tensor:
    """Return float RGB 0–255 (n, 3, size, size) made of packed uint8 pixels and masks (n, s, s, 4)."""
    if recipe.geometry or recipe.flip or recipe.rotation or recipe.crop < 1:
        x = _warp(packed.permute(0, 3, 1, 2).float(), recipe, random, size)  # (n, 4, size, size)
    else:
        x = shrunk(packed, size).permute(0, 3, 1, 2).float()
    pixels, mask = x[:, :3], x[:, 3:].clamp(0, 255) / 255
    pixels = _replace_ground(pixels, mask, recipe.background, random)
    pixels = _relight(pixels, recipe.light, random)
    pixels = _recolour(pixels, recipe, random)
    pixels = _degrade(pixels, recipe.blur, random)
    pixels = _erase(pixels, recipe.erase, random)
    return pixels.clamp_(0, 255)


def _uniform(n: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, 1, 1, 1, generator=random, device=random.device)


def _some(chosen: Tensor, pixels: Tensor, change: Callable[[Tensor | slice], Tensor]) -> Tensor:
    """Return the photos (n, 3, s, s), those chosen (n, 1, 1, 1) as `change` gives them, which is told their rows; on a
    CPU they are changed in place."""
    if pixels.device.type != "cpu":  # a GPU would have to be waited for to know which they are
        return torch.where(chosen, change(slice(None)), pixels)
    at = torch.nonzero(chosen.flatten()).flatten()
    return pixels.index_copy_(0, at, change(at)) if len(at) else pixels


def _warp(x: Tensor, recipe: Recipe, random: torch.Generator, size: int) -> Tensor:
    """Cut out, flip, rotate, scale, shift, stretch and tilt by one perspective map a photo.

    From larger photos than `size`, so that parts of them are as sharp as the whole photos that a network is asked with.
    """
    n, strength = len(x), recipe.geometry

    def draw(low: float, high: float) -> Tensor:
        return _uniform(n, low, high, random).flatten()

    angle = draw(-1, 1) * math.radians(recipe.rotation or 22 * strength)
    zoom = torch.exp2(draw(-0.75, 0.75) * strength)                     # < 1 shows a part, > 1 a smaller shoe
    stretch = torch.exp2(draw(-0.25, 0.25) * strength)
    mirror = torch.where(draw(0, 1) < 0.5, -1.0, 1.0) if recipe.flip else torch.ones(n, device=x.device)
    shift_x, shift_y = draw(-0.22, 0.22) * strength, draw(-0.22, 0.22) * strength
    tilt_x, tilt_y = draw(-0.22, 0.22) * strength, draw(-0.22, 0.22) * strength
    cos, sin = torch.cos(angle), torch.sin(angle)
    line = (torch.arange(size, device=x.device) + 0.5) * (2 / size) - 1

    def plane(along: Tensor, down: Tensor, constant: Tensor) -> Tensor:
        """A linear function (n, s, s) of the output's coordinates, by its coefficients (n,)."""
        rows = torch.addcmul(constant[:, None], down[:, None], line)
        return torch.addcmul(rows[:, :, None], along[:, None, None], line)

    # Output to input coordinates: the rows of a projective matrix, each as a plane.
    depth = plane(tilt_x, tilt_y, torch.ones_like(tilt_x)).clamp_(min=0.3)
    mapped = torch.empty(n, size, size, 2, device=x.device)
    torch.div(plane(zoom * stretch * cos * mirror, -zoom * sin, shift_x), depth, out=mapped[..., 0])
    torch.div(plane(zoom * stretch * sin * mirror, zoom * cos, shift_y), depth, out=mapped[..., 1])
    if recipe.crop < 1:
        for axis, (half, centre) in enumerate(_cuts(recipe.crop, draw)):
            mapped[..., axis].mul_(half.view(n, 1, 1)).add_(centre.view(n, 1, 1))
    return F.grid_sample(x, mapped, mode="bilinear", padding_mode="border", align_corners=False)


def _cuts(least: float, draw: Callable[[float, float], Tensor]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Half the width and the centre, half the height and the centre (n,), in [-1, 1], of rectangles within photos:
    `least` to all of the area, 3:4 to 4:3 as far as they fit (Szegedy et al. 2015, "Going deeper with convolutions").
    """
    area = draw(least, 1)
    # 2 to the power 0.415 is 4:3; a side no longer than the photo's is at most 1 / area times the other.
    widest = torch.log2(1 / area).clamp(max=0.415)
    slant = torch.exp2(draw(-1, 1) * widest / 2)
    across, down = area.sqrt() * slant, area.sqrt() / slant
    return (across, draw(-1, 1) * (1 - across)), (down, draw(-1, 1) * (1 - down))


def _replace_ground(pixels: Tensor, mask: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Put another ground behind shoes on a plain one: smooth colours, coarse texture, or a piece of another photo."""
    if not share:
        return pixels
    chosen = (_uniform(len(pixels), 0, 1, random) < share) & (mask.amin((1, 2, 3), keepdim=True) < 1)
    return _some(chosen, pixels, lambda at: _regrounded(pixels[at], pixels, mask[at], random))


def _regrounded(pixels: Tensor, others: Tensor, mask: Tensor, random: torch.Generator) -> Tensor:
    """Photos (n, 3, s, s) with another ground where their mask (n, 1, s, s) is 0, made up or a piece of `others`."""
    n, size = len(pixels), pixels.shape[-1]
    device = pixels.device
    coarse = size // 4
    tone = torch.rand(n, 3, 1, 1, generator=random, device=device)
    ground = 0.6 * tone.mean(1, keepdim=True) + 0.4 * tone
    for cells, weight in ((2, 1.0), (6, 0.5), (coarse, 0.35)):
        noise = torch.rand(n, 3, cells, cells, generator=random, device=device) - 0.5
        # Mostly grey noise: grounds in the world are rarely rainbows.
        noise = 0.75 * noise.mean(1, keepdim=True) * 1.7 + 0.25 * noise
        noise = weight * _uniform(n, 0, 1, random) * noise
        ground = ground + F.interpolate(noise, (coarse, coarse), mode="bilinear", align_corners=False)
    ground = F.interpolate(255 * ground, (size, size), mode="bilinear", align_corners=False)
    grains = torch.rand(min(n, GRAINS), 1, size, size, generator=random, device=device) - 0.5
    _add_grains(ground, grains, _uniform(n, 0, 40, random))
    other = torch.randperm(len(others), generator=random, device=device)[:n]
    ground = _some(_uniform(n, 0, 1, random) < 0.25, ground, lambda at: others[other[at]].roll(size // 2, dims=-1))
    return torch.lerp(ground.clamp_(0, 255), pixels, mask)


def _relight(pixels: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """Tone, exposure, contrast, the light's warmth (red against blue, a little green), and a gradient of shade."""
    if not strength:
        return pixels
    n, size = len(pixels), pixels.shape[-1]
    # Tones bend by a parabola through black and white, x + bend · x (1 − x): a gamma curve, at a third of its time.
    bend = _uniform(n, -0.55, 0.55, random) * strength
    warmth, tint = _uniform(n, -0.22, 0.22, random) * strength, _uniform(n, -0.06, 0.06, random) * strength
    gains = torch.cat([1 + warmth, 1 + tint, 1 - warmth], 1)             # (n, 3, 1, 1)
    gains = gains * torch.exp2(_uniform(n, -0.7, 0.45, random) * strength)
    contrast = 1 + _uniform(n, -0.35, 0.25, random) * strength
    steep = gains * contrast / 255
    slope = torch.addcmul((1 + bend) * steep, pixels, -bend * steep / 255)
    x = torch.addcmul(0.5 - 0.5 * contrast, pixels, slope)               # (tone · gains − ½) · contrast + ½
    corners = 1 - 0.5 * strength * torch.rand(n, 1, 2, 2, generator=random, device=pixels.device)
    shade = F.interpolate(corners, (size, size), mode="bilinear", align_corners=True)
    return x.clamp_(0, 1).mul_(shade.mul_(255))


def _recolour(pixels: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    """Fade or strengthen colours, and turn hues about the grey axis; how bright a pixel is stays."""
    if not recipe.saturation and not recipe.hue:
        return pixels
    n = len(pixels)
    gain = 1 + recipe.saturation * _uniform(n, -1, 1, random)                # (n, 1, 1, 1)
    turn = math.pi * recipe.hue * _uniform(n, -1, 1, random)
    in_phase, quadrature = gain * torch.cos(turn), gain * torch.sin(turn)
    one, none = torch.ones_like(turn), torch.zeros_like(turn)
    rows = ((one, none, none), (none, in_phase, -quadrature), (none, quadrature, in_phase))
    turned = torch.stack([torch.cat([part.view(n, 1) for part in row], 1) for row in rows], 1)  # (n, 3, 3)
    yiq = torch.tensor(YIQ, device=pixels.device)
    matrix = torch.linalg.inv(yiq) @ turned @ yiq
    return (matrix @ pixels.flatten(2)).view_as(pixels).clamp(0, 255)


def _degrade(pixels: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """Blur by going through a lower resolution, and sensor noise."""
    if not strength:
        return pixels
    n, size = len(pixels), pixels.shape[-1]
    factor = 1 + 2.5 * strength * float(torch.rand((), generator=random, device=pixels.device))
    lower = max(8, int(size / factor))

    def soften(at: Tensor | slice) -> Tensor:
        low = F.interpolate(pixels[at], (lower, lower), mode="bilinear", align_corners=False, antialias=factor > 2)
        return F.interpolate(low, (size, size), mode="bilinear", align_corners=False)

    pixels = _some(_uniform(n, 0, 1, random) < 0.5, pixels, soften)
    grains = torch.randn(min(n, GRAINS), *pixels.shape[1:], generator=random, device=pixels.device)
    return _add_grains(pixels, grains, _uniform(n, 0, 18, random) * strength)


def _add_grains(pixels: Tensor, grains: Tensor, strengths: Tensor) -> Tensor:
    """Add to n photos, in place, at their strengths (n, 1, 1, 1), a few patterns of noise (k, …) that they share:
    drawing one for each would cost more than all else here."""
    for some, strong in zip(pixels.split(len(grains)), strengths.split(len(grains)), strict=True):
        some.addcmul_(grains[:len(some)], strong)
    return pixels


def _erase(pixels: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Cover a rectangle with one colour (Zhong et al. 2017, "Random erasing")."""
    if not share:
        return pixels
    n, size = len(pixels), pixels.shape[-1]
    line = torch.arange(size, device=pixels.device) / size
    centre_x, centre_y = _uniform(n, 0, 1, random), _uniform(n, 0, 1, random)
    half_x, half_y = _uniform(n, 0.05, 0.22, random), _uniform(n, 0.05, 0.22, random)
    across = (line.view(1, 1, 1, -1) - centre_x).abs() < half_x
    down = (line.view(1, 1, -1, 1) - centre_y).abs() < half_y
    colour = 255 * torch.rand(n, 3, 1, 1, generator=random, device=pixels.device)
    return _some(_uniform(n, 0, 1, random) < share, pixels,
                 lambda at: torch.where(across[at] & down[at], colour[at], pixels[at]))
