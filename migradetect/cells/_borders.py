"""Where two bodies meet: a small convolutional network that sees the light and the outline.

Two bodies that touch or lie over one another are parted by eye where corners of the outline face each other and an
edge, a bright rim or a step of brightness runs between them. Any of these alone is found within single bodies as well.
The network sees them together, on the coarse grid of about 0.4 um, relative to the brightness of the bodies, so that it
does not depend on camera, label or pixel size. It is a U-Net of few channels (Ronneberger et al. 2015,
doi:10.1007/978-3-319-24574-4_28); its weights are plain number arrays, trained by
``workflows/benchmark/train_borders.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from migradetect.cells._grid import depth_um
from migradetect.convolution import Weights, convolved, doubled, framed, halved, load_weights
from migradetect.filters import quantile

__all__ = ["border_inputs", "border_probability"]

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Depth in a body that still matters, um.
_DEPTH_UM = 4.0
#: Least brightness relative to the typical body, where its logarithm is taken.
_LEAST_LIGHT = 0.1
#: The network halves its images this many times.
_HALVINGS = 4
#: Pixels around the bodies that the network sees.
_MARGIN_PX = 32


def border_inputs(image: Image, mask: Mask, pixel_um: float, typical: float) -> Image:
    """What the network sees.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Signal on the coarse grid, smoothed.
    mask : ndarray of bool, shape (Y, X)
        Bodies.
    pixel_um : float
        Of the grid.
    typical : float
        Light of a typical body.

    Returns
    -------
    ndarray, shape (2, Y, X)
        Logarithm of the light relative to the typical body; depth below the outline, 0 to 1.
    """
    light = np.log(np.maximum(image / np.float32(max(typical, 1e-6)), np.float32(_LEAST_LIGHT)))
    return np.stack([light, np.tanh(depth_um(mask, pixel_um) / np.float32(_DEPTH_UM))]).astype(np.float32)


def border_probability(image: Image, mask: Mask, pixel_um: float, weights: Weights | None = None) -> Image:
    """Probability of each pixel to lie where two bodies meet.

    Parameters
    ----------
    image, mask, pixel_um
        As for :func:`border_inputs`.
    weights : dict of str to ndarray, optional
        Of the network; the shipped ones by default.

    Returns
    -------
    ndarray, shape (Y, X)
        0 to 1; 0 outside of bodies.
    """
    weights = load_weights("borders.npz") if weights is None else weights
    out = np.zeros(mask.shape, np.float32)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return out
    box = tuple(slice(max(0, int(k[0]) - _MARGIN_PX), int(k[-1]) + 1 + _MARGIN_PX) for k in (rows, columns))
    seen = border_inputs(image, mask, pixel_um, quantile(image[mask]))[:, *box]
    height, width = seen.shape[1:]
    # beyond the field the light goes on, as it does for the depth
    unit = 2**_HALVINGS
    whole = np.pad(seen, ((0, 0), (0, -height % unit), (0, -width % unit)), mode="edge")
    out[box] = _applied(whole, weights)[:height, :width]
    return np.where(mask, out, np.float32(0))


def _applied(x: Image, weights: Weights) -> Image:
    """Answer of the network for an image of shape (2, Y, X)."""
    channels, height, width = x.shape
    # four pixels are one of four times the channels: what matters is wider than a pixel
    blocks = x.reshape(channels, height // 2, 2, width // 2, 2).transpose(0, 2, 4, 1, 3)
    x = framed(np.ascontiguousarray(blocks).reshape(4 * channels, 1, height // 2, width // 2))
    levels = []
    for k in (1, 2, 3):
        x = convolved(convolved(x, weights, f"down{k}a"), weights, f"down{k}b")
        levels.append(x)
        x = halved(x)
    x = convolved(x, weights, "bottom")
    for k in (3, 2, 1):
        x = convolved(np.concatenate([levels.pop(), doubled(x)]), weights, f"up{k}")
    inner = x[:, 0, 1:-1, 1:-1]
    odds = np.tensordot(weights["out"], inner, axes=1) + weights["out_bias"][:, None, None]
    odds = odds.reshape(2, 2, height // 2, width // 2).transpose(2, 0, 3, 1).reshape(height, width)
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)
