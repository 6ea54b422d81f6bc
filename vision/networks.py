"""The network: a torchvision ResNet trunk, an embedding with a named exit, and a head over product classes."""

from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from vision.preprocessing import Preprocessing
from vision.saved import BACKBONES


@dataclass(frozen=True)
class Architecture:
    """What is needed to build the network again.

    `embedding` is the width of a linear reduction after pooling, 0 for the trunk's own width. `head` is `linear`
    (softmax regression) or `cosine` (classes are directions; Wang et al. 2018, "CosFace"), whose logits are
    `scale` · cosine.
    """

    backbone: str = "resnet18"
    embedding: int = 0
    head: str = "cosine"
    scale: float = 24.0

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"unknown backbone {self.backbone!r}; choose one of {', '.join(BACKBONES)}")
        if self.head not in ("linear", "cosine") or self.embedding < 0 or self.scale <= 0:
            raise ValueError(f"impossible architecture: {self}")


class Network(nn.Module):
    """Trunk → pooled features → embedding → head. `embed` is the exit for retrieval, `forward` gives class logits."""

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture, classes: int, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.architecture = architecture
        self.mirrored = preprocessing.mirrored
        trunk = getattr(torchvision.models, architecture.backbone)(weights=None)
        width: int = trunk.fc.in_features
        trunk.fc = nn.Identity()
        self.trunk = trunk
        self.reduce = nn.Linear(width, architecture.embedding, bias=False) if architecture.embedding else nn.Identity()
        self.width = architecture.embedding or width
        # BNNeck (Luo et al. 2019): the classifier sees features of zero mean and unit variance, and so does retrieval.
        self.neck = nn.BatchNorm1d(self.width)
        self.neck.bias.requires_grad_(False)
        self.head: nn.Module = (CosineHead(self.width, classes, architecture.scale) if architecture.head == "cosine"
                                else nn.Linear(self.width, classes))
        self.register_buffer("mean", 255 * torch.tensor(preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(preprocessing.std).view(1, 3, 1, 1), persistent=False)

    def features(self, pixels: Tensor) -> Tensor:
        """Return penultimate features (n, d), not yet of unit length, of float RGB pixels 0–255 (n, 3, h, w)."""
        x = self.trunk((pixels - self.mean) / self.std)                 # (n, width)
        return self.neck(self.reduce(x))                                # (n, d)

    def embed(self, pixels: Tensor) -> Tensor:
        """Return unit embeddings (n, d) of float RGB pixels 0–255 (n, 3, h, w)."""
        return F.normalize(self.features(pixels).float())

    def forward(self, pixels: Tensor) -> Tensor:
        """Return class logits (n, classes) of float RGB pixels 0–255 (n, 3, h, w)."""
        return self.head(self.features(pixels))


class CosineHead(nn.Module):
    """Logits are `scale` times the cosine between the features and one direction a class."""

    def __init__(self, width: int, classes: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(F.normalize(torch.randn(classes, width)))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (n, classes) of features (n, width)."""
        return self.scale * F.linear(F.normalize(features), F.normalize(self.weight))


class ServingForm(nn.Module):
    """The network as it is exported: uint8 pixels (n, h, w, 3) → unit embeddings (n, d) and class logits (n, c)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.mirrored = network.mirrored

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Both exits from one pass through the trunk; of a mirrored network the mean of photo and mirror image."""
        upright = pixels.permute(0, 3, 1, 2).float()                    # (n, 3, h, w)
        vectors, logits = self._exits(upright)
        if not self.mirrored:
            return vectors, logits
        other_vectors, other_logits = self._exits(upright.flip(3))
        return F.normalize(vectors + other_vectors), (logits + other_logits) / 2

    def _exits(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(pixels)
        return F.normalize(features.float()), self.network.head(features)
