"""How much a place looks like a migrasome through the movie: a small convolutional network on its pictures.

A careful human plays the movie back and forth before a dim spot is counted: what was there before, how it grew, whether
both labels show the same, what fiber it stands on. The network sees the same, added up by :mod:`migradetect.scenes`.
Its answer is one more piece of evidence; the judge of :mod:`migradetect.tracks` weighs it against the others.

The weights are plain number arrays, trained by ``workflows/benchmark/train_scenes.py``. Near pictures of all times go
through the same layers: four 3 x 3 convolutions (LeCun et al. 1998, doi:10.1109/5.726791) with rectification, the
largest of each 2 x 2 after the first and third; the mean and the centre. Wide pictures have layers of their own; three
dense layers see all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.convolution import Weights, encoded, load_weights
from migradetect.scenes import NEAR_STEP_UM, PICTURE_PX, WIDE_STEP_UM, Scenes

__all__ = ["load_scene_network", "near_inputs", "scene_log_odds", "wide_inputs"]

Image = NDArray[np.float32]

#: Places that go through the network at once.
_BATCH = 16
#: Noise units, per sample, at which brightness begins to count by its logarithm.
_SOFT_SNR = 3.0
#: A sample that was open in fewer frames than this is not known.
_LEAST_SHARE = 0.2
#: Least height of a bead above its surroundings, noise of an empty pixel times its samples.
_LEAST_HEIGHT = 0.3
#: Brightness of the surroundings: this share of the samples is darker.
_DARK_SHARE = 0.2
#: Noise of the sum of two labels, each of 1.
_BOTH = float(np.sqrt(0.5))
#: More frames than this say no more.
_MOST_LOOKS = 30
#: Logits beyond this say no more.
_MOST = 8.0
#: A place with an answer nearer to 0 is looked at from all sides: one view of what is hard to tell is partly chance.
_DOUBTFUL = 3.0
#: The part of the time that the others are compared with.
_MIDDLE = 2


def near_inputs(scenes: Scenes, calibration: Calibration) -> Image:
    """Near pictures as the network takes them.

    Parameters
    ----------
    scenes : Scenes
        N places.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    ndarray, shape (N, 5, 4, 32, 32)
        Of each label the brightness over that of the centre in the middle of the time; both labels over the noise, by
        the logarithm; the open share.
    """
    step = float(calibration.px(NEAR_STEP_UM))
    share = scenes.near[:, :, 2]
    known = share > _LEAST_SHARE
    labels = scenes.near[:, :, :2] / np.maximum(share, _LEAST_SHARE)[:, :, None] * known[:, :, None]
    n, half = len(labels), PICTURE_PX // 2
    middle = labels[:, _MIDDLE]
    rank = int(_DARK_SHARE * PICTURE_PX**2)
    dark = np.partition(middle.reshape(n, 2, -1), rank, axis=2)[:, :, rank]
    centre = middle[:, :, half - 2 : half + 2, half - 2 : half + 2].mean(axis=(2, 3))
    height = np.maximum(centre - dark, _LEAST_HEIGHT / step)
    above = labels - dark[:, None, :, None, None]
    relative = np.clip(above / height[:, None, :, None, None], -0.5, 2.0) * known[:, :, None]
    looks = np.sqrt(np.clip(scenes.n_looks, 1, _MOST_LOOKS)).astype(np.float32)
    both = above.sum(axis=2) * (_BOTH * step * looks)[:, :, None, None]
    soft = np.arcsinh(both / _SOFT_SNR) / 3
    return np.concatenate([relative, soft[:, :, None], share[:, :, None]], axis=2).astype(np.float32)


def wide_inputs(scenes: Scenes, calibration: Calibration) -> Image:
    """Wide pictures as the network takes them.

    Parameters
    ----------
    scenes : Scenes
        N places.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    ndarray, shape (N, 4, 32, 32)
        Labels over the noise of a sample, by the logarithm; bodies; bodies before.
    """
    out = scenes.wide.copy()
    noise = 2 / float(calibration.px(WIDE_STEP_UM))
    out[:, :2] = np.arcsinh(out[:, :2] / (_SOFT_SNR * noise)) / 3
    return out


def load_scene_network() -> Weights:
    """Weights of the shipped network.

    Returns
    -------
    dict of str to ndarray
        ``near<k>`` and ``wide<k>`` (out, in, 3, 3) with ``_bias``, for k from 1 to 4; ``dense<k>`` (out, in) and
        ``dense<k>_bias`` for k from 1 to 3.
    """
    return load_weights("scenes.npz")


def scene_log_odds(scenes: Scenes, calibration: Calibration, weights: Weights) -> NDArray[np.float64]:
    """Log-odds of each place to show a migrasome.

    Where one view leaves doubt it is the mean of eight, turned and mirrored: a microscope knows no up and down.

    Parameters
    ----------
    scenes : Scenes
        N places.
    calibration : Calibration
        Pixel size.
    weights : dict of str to ndarray
        From :func:`load_scene_network`.

    Returns
    -------
    ndarray, shape (N,)
        -8 to 8.
    """
    out = np.empty(len(scenes.near))
    for start in range(0, len(out), _BATCH):
        rows = slice(start, start + _BATCH)
        part = Scenes(scenes.near[rows], scenes.n_looks[rows], scenes.wide[rows])
        near, wide, is_seen = near_inputs(part, calibration), wide_inputs(part, calibration), part.n_looks > 0
        said = _answers(near, wide, is_seen, weights)
        doubtful = np.abs(said) < _DOUBTFUL
        if doubtful.any():
            near, wide, is_seen = near[doubtful], wide[doubtful], is_seen[doubtful]
            said[doubtful] = np.mean([_answers(*view, is_seen, weights) for view in _views(near, wide)], axis=0)
        out[rows] = said
    return np.clip(out, -_MOST, _MOST)


def _views(near: Image, wide: Image) -> Iterator[tuple[Image, Image]]:
    """Both pictures turned by right angles, and mirrored: eight views of the same."""
    for turns in range(4):
        turned = np.rot90(near, turns, (3, 4)), np.rot90(wide, turns, (2, 3))
        for near_view, wide_view in (turned, (turned[0][..., ::-1], turned[1][..., ::-1])):
            yield np.ascontiguousarray(near_view), np.ascontiguousarray(wide_view)


def _answers(near: Image, wide: Image, is_seen: NDArray[np.bool_], weights: Weights) -> NDArray[np.float64]:
    """Log-odds of places by one view of their pictures."""
    features = _near_features(near, is_seen, weights), _seen(wide, weights, "wide"), is_seen.astype(np.float32)
    x = np.concatenate(features, axis=1)
    for k in (1, 2, 3):
        # not by a product of matrices, whose sums depend on the number of threads
        x = np.einsum("ni,oi->no", x, weights[f"dense{k}"]) + weights[f"dense{k}_bias"]
        x = np.maximum(x, 0) if k < 3 else x
    return np.asarray(x[:, 0], np.float64)


def _near_features(near: Image, is_seen: NDArray[np.bool_], weights: Weights) -> Image:
    """What the convolutions make of each part of the time, side by side; 0 for those without a frame."""
    out = np.zeros((*is_seen.shape, 2 * len(weights["near4"])), np.float32)
    # a single image is the first, middle and last third at once
    is_single = np.array_equal(near[:, 1], near[:, _MIDDLE]) and np.array_equal(near[:, 3], near[:, _MIDDLE])
    asked = is_seen & ~np.isin(np.arange(is_seen.shape[1]), (1, 3)) if is_single else is_seen
    if asked.any():
        out[asked] = _seen(near[asked], weights, "near")
    if is_single:
        out[:, 1] = out[:, 3] = out[:, _MIDDLE]
    return out.reshape(len(out), -1)


def _seen(pictures: Image, weights: Weights, layers: str) -> Image:
    """Mean and centre of what the convolutions make of pictures; (N, C, 32, 32) to (N, twice the last layer)."""
    x = encoded(pictures, weights, layers)
    half = x.shape[2] // 2
    centre = x[:, :, half - 1 : half + 1, half - 1 : half + 1].mean(axis=(2, 3))
    return np.concatenate([x.mean(axis=(2, 3)), centre]).T
