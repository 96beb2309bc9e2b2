"""Layers of small convolutional networks in numpy: 3 x 3 convolutions, halving and doubling.

Images are kept with a frame of zeros around each, channels first, so that all pixels of a channel are one row and a
step to a neighbour is a shift of the row: shifted copies cost little, and one matrix product does the rest.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["Weights", "convolved", "doubled", "framed", "halved", "load_weights"]

Image = NDArray[np.float32]
Weights = dict[str, NDArray[np.float32]]


@lru_cache(maxsize=4)
def load_weights(name: str) -> Weights:
    """Weights of a shipped network.

    Parameters
    ----------
    name : str
        File in ``migradetect/data``, plain number arrays.

    Returns
    -------
    dict of str to ndarray
        By the names of the layers: ``<layer>`` of shape (out, in, 3, 3) or (out, in), and ``<layer>_bias``.
    """
    place = resources.files("migradetect") / "data" / name
    with resources.as_file(place) as path, np.load(path, allow_pickle=False) as stored:
        return {key: stored[key].astype(np.float32) for key in stored.files}


def framed(x: Image) -> Image:
    """Images with a frame of zeros around each; (C, N, Y, X) to (C, N, Y + 2, X + 2)."""
    channels, n, height, width = x.shape
    out = np.zeros((channels, n, height + 2, width + 2), np.float32)
    out[:, :, 1:-1, 1:-1] = x
    return out


def convolved(x: Image, weights: Weights, layer: str, chunk: int | None = None) -> Image:
    """3 x 3 convolution and rectification of framed images, framed again.

    Parameters
    ----------
    x : ndarray, shape (C, N, Y + 2, X + 2)
        Framed images.
    weights : dict of str to ndarray
        From :func:`load_weights`.
    layer : str
        Name of the layer.
    chunk : int, optional
        Pixels that are multiplied at once; all by default. Large images are faster in parts that stay in the cache.

    Returns
    -------
    ndarray, shape (layer's output, N, Y + 2, X + 2)
    """
    kernel = weights[layer]
    channels, _, _, width = x.shape
    flat = x.reshape(channels, -1)
    size, edge = flat.shape[1], width + 1
    table = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)
    bias = weights[f"{layer}_bias"][:, None]
    out = np.zeros((len(kernel), size), np.float32)
    step = chunk or size
    columns = np.zeros((9 * channels, min(step, size)), np.float32)
    # the first and last pixels belong to frames, which are wiped out below
    for start in range(edge, size - edge, step):
        n = min(step, size - edge - start)
        for place in range(9):
            shift = start + (place // 3 - 1) * width + place % 3 - 1
            columns[place * channels : (place + 1) * channels, :n] = flat[:, shift : shift + n]
        part = out[:, start : start + n]
        np.add(table @ columns[:, :n], bias, out=part)
        np.maximum(part, 0, out=part)
    out = out.reshape(len(kernel), *x.shape[1:])
    for side in (0, -1):
        out[:, :, side] = out[:, :, :, side] = 0
    return out


def halved(x: Image) -> Image:
    """Largest of each 2 x 2 of framed images of even size, framed again."""
    inner = x[:, :, 1:-1, 1:-1]
    rows = np.maximum(inner[:, :, ::2], inner[:, :, 1::2])
    return framed(np.maximum(rows[..., ::2], rows[..., 1::2]))


def doubled(x: Image) -> Image:
    """Each pixel of framed images as 2 x 2, framed again."""
    inner = x[:, :, 1:-1, 1:-1]
    channels, n, height, width = inner.shape
    out = np.zeros((channels, n, 2 * height + 2, 2 * width + 2), np.float32)
    for dy in range(2):
        for dx in range(2):
            out[:, :, 1 + dy : -1 : 2, 1 + dx : -1 : 2] = inner
    return out
