"""Layers of small convolutional networks: 3 x 3 convolutions, halving and doubling.

Images are kept channels first and with a frame of zeros around each, so that every inner pixel has all neighbours.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Weights", "convolved", "doubled", "encoded", "framed", "halved", "load_weights"]

Image = NDArray[np.float32]
Weights = dict[str, NDArray[np.float32]]

#: Pixels whose sums stay in the cache.
_BLOCK = 1024


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


def convolved(x: Image, weights: Weights, layer: str) -> Image:
    """3 x 3 convolution and rectification of framed images, framed again.

    Parameters
    ----------
    x : ndarray, shape (C, N, Y + 2, X + 2)
        Framed images.
    weights : dict of str to ndarray
        From :func:`load_weights`.
    layer : str
        Name of the layer.

    Returns
    -------
    ndarray, shape (layer's output, N, Y + 2, X + 2)
    """
    kernel = weights[layer]
    out = np.zeros((len(kernel), *x.shape[1:]), np.float32)
    channels, width = len(x), x.shape[3]
    flat = np.ascontiguousarray(x).reshape(channels, -1)
    _convolve(flat, width, kernel, weights[f"{layer}_bias"], out.reshape(len(kernel), -1))
    # what it makes of the frames is wiped out
    for side in (0, -1):
        out[:, :, side] = out[:, :, :, side] = 0
    return out


@njit(cache=True, nogil=True, fastmath={"contract"})
def _convolve(flat: Any, width: int, kernel: Any, bias: Any, out: Any) -> None:  # pragma: no cover (numba)
    """Write the convolution, four outputs at a time; all pixels of a channel are one row.

    A step to a neighbour is a shift of the row. A block of it stays in the cache while all inputs are added, three
    neighbours at once: twice as fast as a matrix product of shifted rows, without its copies, and by one thread.
    """
    n_out, channels = kernel.shape[0], kernel.shape[1]
    size, edge = flat.shape[1], width + 1
    sums = np.empty((4, _BLOCK), np.float32)
    for start in range(edge, size - edge, _BLOCK):
        n = min(_BLOCK, size - edge - start)
        for first in range(0, n_out, 4):
            k = min(4, n_out - first)
            for q in range(k):
                sums[q, :n] = bias[first + q]
            for c in range(channels):
                for dy in range(3):
                    left = start + (dy - 1) * width - 1
                    row = flat[c, left : left + n + 2]
                    if k == 4:
                        _add_four(row, kernel[first : first + 4, c, dy], sums[:, :n])
                    else:
                        for q in range(k):
                            _add_one(row, kernel[first + q, c, dy], sums[q, :n])
            for q in range(k):
                for j in range(n):
                    out[first + q, start + j] = max(sums[q, j], np.float32(0))


@njit(cache=True, nogil=True, fastmath={"contract"}, inline="always")
def _add_four(row: Any, taps: Any, sums: Any) -> None:  # pragma: no cover (numba)
    """Add a row under the three taps of each of four outputs."""
    a, b, c, d = sums[0], sums[1], sums[2], sums[3]
    a0, a1, a2 = taps[0, 0], taps[0, 1], taps[0, 2]
    b0, b1, b2 = taps[1, 0], taps[1, 1], taps[1, 2]
    c0, c1, c2 = taps[2, 0], taps[2, 1], taps[2, 2]
    d0, d1, d2 = taps[3, 0], taps[3, 1], taps[3, 2]
    for j in range(a.size):
        u, v, w = row[j], row[j + 1], row[j + 2]
        a[j] += a0 * u + a1 * v + a2 * w
        b[j] += b0 * u + b1 * v + b2 * w
        c[j] += c0 * u + c1 * v + c2 * w
        d[j] += d0 * u + d1 * v + d2 * w


@njit(cache=True, nogil=True, fastmath={"contract"}, inline="always")
def _add_one(row: Any, taps: Any, total: Any) -> None:  # pragma: no cover (numba)
    """Add a row under the three taps of one output."""
    for j in range(total.size):
        total[j] += taps[0] * row[j] + taps[1] * row[j + 1] + taps[2] * row[j + 2]


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


def encoded(pictures: Image, weights: Weights, layers: str) -> Image:
    """Four convolutions of pictures, of which the first and third are halved.

    Parameters
    ----------
    pictures : ndarray, shape (N, C, Y, X)
        Edges are multiples of 4.
    weights : dict of str to ndarray
        From :func:`load_weights`.
    layers : str
        Name of the layers, which are numbered from 1.

    Returns
    -------
    ndarray, shape (fourth layer's output, N, Y / 4, X / 4)
    """
    x = framed(pictures.transpose(1, 0, 2, 3))
    x = halved(convolved(x, weights, f"{layers}1"))
    x = convolved(x, weights, f"{layers}2")
    x = halved(convolved(x, weights, f"{layers}3"))
    return convolved(x, weights, f"{layers}4")[:, :, 1:-1, 1:-1]
