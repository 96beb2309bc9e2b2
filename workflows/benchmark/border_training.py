"""Training of the network that sees where two bodies meet with PyTorch, which only the training needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from migradetect.cells._borders import border_inputs

#: Channels at each level, from the finest to the bottom.
WIDTHS = (16, 24, 32, 32)
#: Side of a training image in pixels of the coarse grid, and images at each step.
SIDE, BATCH = 128, 16
#: Pixels this close to another cell are a border, pixels of the coarse grid.
BORDER_PX = 2
#: Share of the training images that are centred near a border; of those that keep the axes of the field; of those in
#: which each cell is dimmed or brightened; blurred; with more noise.
NEAR_BORDER, UPRIGHT, DIMMED, BLURRED, NOISY = 0.6, 0.35, 0.5, 0.3, 0.4


@dataclass(frozen=True)
class Example:
    """Bodies of one frame on the coarse grid."""

    image: np.ndarray
    """Signal, smoothed."""
    mask: np.ndarray
    """Bodies as they were found."""
    truth: np.ndarray
    """True cells, 0 to 255."""
    pixel_um: float

    @classmethod
    def load(cls, path: Path) -> Example:
        """From a file with these arrays."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["image"], stored["mask"], stored["truth"], float(stored["pixel_um"]))

    @property
    def typical(self) -> float:
        """Light of a typical body; 0 without any."""
        return float(np.median(self.image[self.mask])) if self.mask.any() else 0.0


class BorderNet(nn.Module):
    """The layers of the network; names are those of the stored arrays."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        layers = {
            "down1a": (8, a),
            "down1b": (a, a),
            "down2a": (a, b),
            "down2b": (b, b),
            "down3a": (b, c),
            "down3b": (c, c),
            "bottom": (c, d),
            "up3": (c + d, c),
            "up2": (b + c, b),
            "up1": (a + b, a),
        }
        for name, (n_in, n_out) in layers.items():
            setattr(self, name, nn.Conv2d(n_in, n_out, 3, padding=1))
        self.out = nn.Conv2d(a, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Log-odds, shape (N, Y, X), of images of shape (N, 2, Y, X)."""
        x = functional.pixel_unshuffle(x, 2)
        levels = []
        for k in (1, 2, 3):
            x = torch.relu(getattr(self, f"down{k}b")(torch.relu(getattr(self, f"down{k}a")(x))))
            levels.append(x)
            x = functional.max_pool2d(x, 2)
        x = torch.relu(self.bottom(x))
        for k in (3, 2, 1):
            x = torch.cat([levels.pop(), functional.interpolate(x, scale_factor=2, mode="nearest")], 1)
            x = torch.relu(getattr(self, f"up{k}")(x))
        return functional.pixel_shuffle(self.out(x), 2)[:, 0]

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights as they are stored."""
        named = {
            name.replace(".weight", "").replace(".bias", "_bias"): value.detach().numpy().astype(np.float32)
            for name, value in self.named_parameters()
        }
        named["out"] = named["out"][:, :, 0, 0]
        return named


def borders_of(truth: np.ndarray) -> np.ndarray:
    """Pixels of cells that lie near another cell: 1, else 0."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BORDER_PX + 1,) * 2)
    value = truth.astype(np.float32)
    highest, lowest = cv2.dilate(value, kernel), cv2.erode(np.where(truth > 0, value, np.float32(1e6)), kernel)
    return ((truth > 0) & (highest > lowest)).astype(np.float32)


def varied(example: Example, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A part of a frame as another microscope might have shown it: inputs (2, Y, X), borders and bodies (Y, X).

    It is turned, mirrored and scaled; its cells differ more in brightness; blur, noise and contrast are others.
    """
    near = np.nonzero(borders_of(example.truth)) if rng.random() < NEAR_BORDER else (np.zeros(0, int),) * 2
    rows, columns = near if near[0].size else np.nonzero(example.mask)
    k, off = rng.integers(rows.size), 10 * rng.normal(size=2)
    zoom = float(np.exp(rng.uniform(-0.25, 0.25)))
    angle = rng.integers(4) * np.pi / 2 if rng.random() < UPRIGHT else rng.uniform(0, 2 * np.pi)
    mirror = -1 if rng.random() < 0.5 else 1
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    turn = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    centre = np.array([columns[k] + off[0], rows[k] + off[1]])
    affine = np.column_stack([turn, centre - turn @ np.full(2, SIDE / 2)]).astype(np.float32)

    def cut(image: np.ndarray, flags: int) -> np.ndarray:
        return cv2.warpAffine(image, affine, (SIDE, SIDE), flags=flags | cv2.WARP_INVERSE_MAP)

    image, typical = example.image, example.typical
    if rng.random() < DIMMED:
        gain = np.exp(0.3 * rng.random() * rng.normal(size=256)).astype(np.float32)
        gain[0] = 1
        image = image * cv2.GaussianBlur(gain[example.truth], (0, 0), 1.0)
    image = cut(image.astype(np.float32), cv2.INTER_LINEAR)
    mask, truth = (
        cut(one, cv2.INTER_NEAREST) for one in (example.mask.astype(np.uint8), example.truth.astype(np.uint8))
    )
    if rng.random() < BLURRED:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < NOISY:
        image = image + (typical * rng.uniform(0, 0.1) * rng.normal(size=image.shape)).astype(np.float32)
    seen = border_inputs(image, mask > 0, example.pixel_um / zoom, typical)
    seen[0] = seen[0] * np.exp(0.2 * rng.normal()) + 0.2 * rng.normal()
    return seen, borders_of(truth), (mask > 0).astype(np.float32)


def train_network(examples: list[Example], steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Fit the network.

    Parameters
    ----------
    examples : list of Example
        Frames.
    steps : int
        Steps of the optimizer, of 16 images each.
    seed : int
        Of weights, order and variations.

    Returns
    -------
    dict of str to ndarray
        As :func:`migradetect.convolution.load_weights` gives them.
    """
    examples = [one for one in examples if one.truth.any() and one.typical > 0.1]
    if not examples:
        raise ValueError("examples: expected frames with cells, got none")
    # frames in which bodies meet teach most
    share = np.array([3.0 if borders_of(one.truth).any() else 1.0 for one in examples])
    share /= share.sum()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = BorderNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    recent: list[float] = []
    for step in range(1, steps + 1):
        drawn = [varied(examples[k], rng) for k in rng.choice(len(examples), BATCH, p=share)]
        x, border, body = (torch.from_numpy(np.stack(one).astype(np.float32)) for one in zip(*drawn, strict=True))
        # what lies outside of bodies is never asked for, and borders are few
        weight = (0.95 * body + 0.05) * (1 + 2 * border)
        each = functional.binary_cross_entropy_with_logits(net(x), border, reduction="none")
        loss = (each * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent.append(float(loss.detach()))
        if step % 500 == 0 or step == steps:
            print(f"network, step {step} of {steps}: loss {np.mean(recent):.4f}", flush=True)
            recent.clear()
    return net.arrays()
