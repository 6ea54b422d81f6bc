"""A recipe: every setting of one training in one dataclass; an experiment states only its differences."""

import hashlib
import json
import tomllib
import types
import typing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from catalogue.errors import BadInput
from vision.preprocessing import FITS, Preprocessing
from vision.saved import BACKBONES, POOLINGS, TIMM, is_backbone, native_size

SHIPPED = Path(__file__).parent / "start"
CLASS_LOSSES = ("cosface", "arcface", "subcenter", "proxy-anchor", "ce", "none")
METRIC_LOSSES = ("supcon", "triplet", "none")
CHOICES = {"pooling": POOLINGS, "head": ("cosine", "linear"), "loss": CLASS_LOSSES, "metric": METRIC_LOSSES,
           "optimizer": ("sgd", "adam", "adamw", "rmsprop"), "schedule": ("cosine", "linear", "step", "constant"),
           "sampling": ("balanced", "natural"), "fit": FITS, "distill_by": ("logits", "embedding"),
           "keep": ("last", "best"), "keep_by": ("auto", "loss", "accuracy", "macro_f1"),
           "compile": ("auto", "off", "default", "reduce-overhead", "max-autotune"),
           "precision": ("auto", "fp32", "bf16")}
COUNTS = ("epochs", "batch", "size", "group", "levels", "subcenters", "renditions", "probe_batch")
SHARES = ("background", "geometry", "light", "blur", "erase", "label_smoothing", "warmup", "margin", "margin_warmup",
          "mixup", "cutmix", "ema", "momentum", "dropout", "class_weights", "saturation", "hue")
POSITIVE = ("lr", "scale", "temperature", "distill_temperature", "mix_alpha", "probe_lr")
NOT_NEGATIVE = ("views", "embedding", "colours", "loss_weight", "contrastive", "triplet_margin", "memory", "trunk_lr",
                "weight_decay", "clip", "frozen", "size_from", "train_size", "distill", "probe", "whitening",
                "patience", "rotation", "seed")


@dataclass(frozen=True)
class Recipe:
    """Settings of a training; the defaults are those of `train sku` for a shop of tens to thousands of products on two
    CPU cores.

    `start` is where the trunk's weights come from: `none` (random), `shipped` (the network trained on rendered shoes
    that comes with the project), `torchvision:NAME` or `timm:NAME` (download the weights of that name) or a path to a
    state dict. `margin` is in cosines for cosface and proxy-anchor, in radians for arcface and subcenter; `scale`
    multiplies cosines, proxy-anchor's alpha included. Augmentation strengths run from 0 (off) to 1.
    """

    backbone: str = "resnet18"
    pooling: str = "avg"            # of feature maps: avg, moments, gem, or a transformer's class token
    levels: int = 1                 # how many of the trunk's last stages are pooled, side by side
    embedding: int = 0
    colours: int = 0                # width of what a fine histogram of colours adds to the embedding; 0: none
    colour_share: float = 0.5       # what that counts for in a score
    colours_by_ground: bool = True  # they count for less the less like a studio's a photo's ground is
    whitening: float = 0.0          # power that evens out an embedding's principal axes, 0.5 altogether; 0: none
    neck: bool = True               # batch norm between embedding and head
    dropout: float = 0.0            # share of the embedding that a step leaves out before the head
    head: str = "cosine"
    loss: str = "cosface"           # of the classes; ce is plain cross-entropy, none leaves them to their photos' means
    loss_weight: float = 1.0
    scale: float = 24.0
    margin: float = 0.2
    margin_warmup: float = 0.4      # share of the steps over which the margin grows from 0
    subcenters: int = 1             # directions a class; more than one for subcenter
    label_smoothing: float = 0.0
    class_weights: float = 0.0      # of ce: photos count by (1 / photos of their class) to this power; 0: all the same
    metric: str = "supcon"          # the loss of the embeddings beside the classes'
    contrastive: float = 1.0        # its weight; 0: none
    temperature: float = 0.1        # of supcon
    triplet_margin: float = 0.2     # of triplet, in cosines
    memory: int = 0                 # embeddings of former batches that metric compares with, too
    group: int = 4                  # photos of one product side by side in a batch
    sampling: str = "balanced"      # an epoch is `views` photos of each class, or natural: each photo once
    size: int = 128
    fit: str = "pad"                # how a photo is made square: pad (undistorted) or stretch
    mirrored: bool = True           # answers are the mean of photo and mirror image
    train_size: int = 0             # photos are shown at this size and the network asked at `size`; 0: both at `size`
    size_from: int = 0              # grow to that from here over three quarters of the epochs; 0: the same throughout
    start: str = "none"
    probe: int = 0                  # epochs at first that fit all but the trunk, to features computed once; 0: none
    renditions: int = 4             # of each photo that these are computed of: as it is, and augmented
    probe_lr: float = 1e-3          # of AdamW
    probe_batch: int = 256
    zero_gamma: bool = False        # residual blocks begin as identities
    frozen: int = 0                 # epochs at first in which the trunk stays as it starts
    freeze_norms: bool = False      # the trunk's batch norms keep the statistics they start with
    epochs: int = 30
    views: int = 8                  # photos drawn of each class in a balanced epoch; 0: as many as there are on average
    batch: int = 64
    optimizer: str = "sgd"
    lr: float = 0.02                # at batch 64
    scale_lr: bool = True           # linearly with the batch (Goyal et al. 2017)
    schedule: str = "cosine"        # to zero, or linear; step (a tenth from half way, a hundredth from 3/4), constant
    trunk_lr: float = 1.0           # the trunk's learning rate as a share of the head's
    momentum: float = 0.9           # of sgd
    weight_decay: float = 5e-4      # decoupled with adamw, else L2
    decay_all: bool = False         # of biases and norms, too
    warmup: float = 0.05            # share of the steps
    clip: float = 0.0               # greatest norm of the gradient; 0: any
    ema: float = 0.0                # decay of the moving average of the weights, which is measured and saved; 0: none
    keep: str = "last"              # which epoch is saved: last, or the best by held-out photos
    keep_by: str = "auto"           # what tells the better epoch; auto: accuracy on known classes
    patience: int = 0               # epochs without a better one after which training ends; 0: it never ends early
    mixup: float = 0.0              # share of the batches whose photos are blended; only the class loss sees them
    cutmix: float = 0.0             # share of the batches whose photos get a piece of another
    mix_alpha: float = 0.4
    teacher: str = ""               # a network release to learn from
    distill: float = 1.0            # weight of what the teacher says
    distill_by: str = "logits"
    distill_temperature: float = 4.0
    background: float = 0.5         # how often a plain studio ground is replaced
    geometry: float = 0.7           # zoom, shift, rotation, perspective
    crop: float = 1.0               # the least share of a photo's area that is shown of it; 1: all is
    rotation: float = 0.0           # greatest turn in degrees; 0: as geometry says, 22 at most
    light: float = 0.6              # brightness, contrast, colour of the light
    saturation: float = 0.0         # how far colours fade and glow
    hue: float = 0.0                # how far hues are turned, 1: anyhow; never of shoes: it tells colourways apart
    blur: float = 0.3               # blur, low resolution, noise
    erase: float = 0.3              # how often a rectangle is covered
    flip: bool = True
    precision: str = "auto"         # auto, fp32 or bf16
    compile: str = "auto"           # torch.compile: auto (on GPUs), off, or its mode; reduce-overhead takes CUDA graphs
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise BadInput(f"recipe: {name} is one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        for names, fits, says in ((COUNTS, lambda value: value >= 1, "be at least 1"),
                                  (SHARES, lambda value: 0 <= value <= 1, "lie in [0, 1]"),
                                  (POSITIVE, lambda value: value > 0, "be above 0"),
                                  (NOT_NEGATIVE, lambda value: value >= 0, "be at least 0")):
            for name in names:
                if not fits(getattr(self, name)):
                    raise BadInput(f"recipe: {name} must {says}, not {getattr(self, name)}")
        if not is_backbone(self.backbone):
            raise BadInput(f"recipe: unknown backbone {self.backbone!r}; choose one of {', '.join(BACKBONES)}, or "
                           f"{TIMM}NAME for one of timm's")
        for wrong, says in self._contradictions():
            if wrong:
                raise BadInput(f"recipe: {says}")

    def _contradictions(self) -> typing.Iterator[tuple[bool, str]]:
        """Settings that do not go together, each with a sentence that says so."""
        transformer = self.backbone.startswith("vit")
        balanced = self.sampling == "balanced"
        yield self.batch < 2, f"batch is 2 or more, not {self.batch}"
        yield (bool(balanced and (self.batch % self.group or self.views % self.group)),
               f"batch ({self.batch}) and views ({self.views}) must be multiples of group ({self.group})")
        yield not 16 <= self.size <= 1024, f"size lies between 16 and 1024, not {self.size}"
        yield (bool(self.probe and self.probe_batch % self.group),
               f"probe_batch ({self.probe_batch}) must be a multiple of group ({self.group})")
        yield self.levels > 4, f"levels are 1 to 4, not {self.levels}"
        yield self.colours > 1024, f"colours are at most 1024 wide, not {self.colours}"
        yield not 0 < self.colour_share < 1, f"colour_share lies between 0 and 1, not {self.colour_share}"
        yield self.whitening > 0.5, f"whitening is at most 0.5, not {self.whitening}"
        yield (self.pooling == "token" and not transformer,
               f"{self.backbone} has no class token; pooling is avg, moments or gem")
        yield (bool(self.train_size) and (not 16 <= self.train_size <= self.size or transformer),
               "train_size lies between 16 and size, and a transformer takes one size alone")
        yield (bool(self.size_from) and (not 16 <= self.size_from <= (self.train_size or self.size) or transformer),
               "size_from lies between 16 and train_size or size, and a transformer takes one size alone")
        yield (self.head == "linear" and self.loss != "ce",
               f"a linear head has no directions for {self.loss}; set loss=ce")
        yield ((self.loss == "subcenter") != (self.subcenters > 1),
               "subcenters above 1 and loss=subcenter belong together")
        yield self.loss == "none" and self.metric == "none", "loss and metric cannot both be none"
        yield self.mixup + self.cutmix > 1, "mixup and cutmix are shares of the batches: together at most 1"
        yield (self.mixup + self.cutmix > 0 and self.loss in ("none", "proxy-anchor"),
               f"mixed photos are for a class loss with soft labels, not for loss={self.loss}")
        # An epoch's last batch takes in a photo that would be left over alone.
        yield 0 < self.memory <= self.batch, f"memory ({self.memory}) must be above batch ({self.batch})"
        yield (bool(self.probe) and 0 < self.memory < self.probe_batch,
               f"memory ({self.memory}) holds at least a probe_batch ({self.probe_batch})")
        yield (self.zero_gamma and self.start != "none",
               f"zero_gamma is for a trunk that starts from nothing: the weights of {self.start} would replace it; "
               "set zero_gamma=false or start=none")
        yield self.frozen >= self.epochs, f"the trunk cannot stay frozen for all {self.epochs} epochs"
        yield 1 in (self.ema, self.momentum, self.dropout), "ema, momentum and dropout stay below 1"
        yield (self.class_weights > 0 and self.loss != "ce",
               f"class weights are those of cross-entropy; set loss=ce instead of {self.loss}, or sampling=balanced")
        yield not 0.05 <= self.crop <= 1, f"crop lies between 0.05 and 1, not {self.crop}"
        yield self.rotation > 180, f"rotation is at most 180 degrees, not {self.rotation}"

    @property
    def preprocessing(self) -> Preprocessing:
        """How the photos of this training become pixels."""
        return Preprocessing(self.size, mirrored=self.mirrored, fit=self.fit)

    @property
    def start_file(self) -> Path | None:
        """The file of weights that `start` names; None where it names none, or some that are published."""
        if self.start == "shipped":
            return shipped_start(self.backbone)
        named = self.start == "none" or self.start.startswith(("torchvision:", TIMM))
        return None if named else Path(self.start)

    @property
    def identity(self) -> dict[str, Any]:
        """All settings, with what the file holds that it starts from in place of the file's name: the same path may
        hold other weights tomorrow. `BadInput` if the file cannot be read."""
        stated = asdict(self)
        if (path := self.start_file) is not None:
            try:
                with path.open("rb") as file:
                    stated["start"] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise BadInput(f"recipe: the weights to start from cannot be read ({error}); name a file that is "
                               "there, or set start=none") from error
        return stated

    @property
    def digest(self) -> str:
        """A short name for exactly these settings and weights."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:12]


def shipped_start(backbone: str) -> Path:
    """The weights that come along for a backbone; `BadInput` if none do."""
    path = SHIPPED / f"{backbone}.pt"
    if not path.is_file():
        raise BadInput(f"no {backbone} is shipped to start from; shipped are "
                       f"{', '.join(sorted(one.stem for one in SHIPPED.glob('*.pt'))) or 'none'}")
    return path


def read_recipe(path: Path | None, changes: typing.Iterable[str] = ()) -> Recipe:
    """Return the default recipe changed by a TOML file and by `name=value` words; unknown names are `BadInput`.

    `size=0` is the size that the backbone was made for.
    """
    stated: dict[str, Any] = {}
    if path is not None:
        try:
            stated = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"the recipe {path} cannot be read: {error}") from error
    for word in changes:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"a change to the recipe is written name=value, not {word!r}")
        stated[name.strip()] = value.strip()
    kinds = {column.name: typing.cast(type, column.type) for column in fields(Recipe)}
    unknown = sorted(stated.keys() - kinds.keys())
    if unknown:
        raise BadInput(f"a recipe has no setting {unknown[0]!r}; it has {', '.join(kinds)}")
    found = {name: _as(kinds[name], name, value) for name, value in stated.items()}
    if found.get("flip") is False:  # where left is not right, a mirror image is another thing in answers, too
        found.setdefault("mirrored", False)
    if found.get("size") == 0:
        found["size"] = native_size(found.get("backbone", Recipe.backbone))
    return replace(Recipe(), **found)


def is_a(kind: Any, value: Any) -> bool:
    """Whether a value of a TOML file is what a setting of this kind takes: a whole number is a float, too."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _as(kind: Any, name: str, value: Any) -> Any:
    assert not isinstance(kind, types.UnionType)
    try:
        if isinstance(value, str):
            return {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        if not is_a(kind, value):
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return kind(value)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"recipe: {name} must be a {kind.__name__}, not {value!r}") from error
