"""What is wrong with each frame, by comparison with the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from migradetect.frame_quality._measure import THUMB_PX, FrameFacts

__all__ = ["Quality", "judge_frames"]

Image = NDArray[np.float32]
Array = NDArray[np.float64]

#: More pixels without a number than this share can't be filled in from the others.
_MOST_FILLED = 0.01
#: More pixels at the camera's upper limit than this share are told of; above the second one nothing is left to see.
_SATURATED, _BLINDED = 0.005, 0.5
#: A gain between consecutive frames beyond this, up or down, is a change of the lamp: bleaching takes a few per cent.
_JUMP_GAIN = 1.6
#: Frames that look alike by this correlation tell a gain.
_ALIKE = 0.8
#: A frame with less than this share of the contrast of those before and after is dark.
_DARK = 0.35
#: Fine detail below this share of the movie's median is out of focus beyond use.
_BLURRED = 0.2
#: Detail per pixel, in units of the noise, below which a movie has none to be lost.
_LEAST_DETAIL = 0.003
#: Depth of the darkest places, in units of the noise, that vignetting of a dim empty field does not reach.
_UNEVEN = 15.0
#: Texture that an empty field does not have, in units of the noise; inside of cells it is 4 to 40.
_TEXTURED = 3.5
#: Typical correlation of consecutive small pictures from which on the loss of it means something, the share of it that
#: is then left, and the shift over which it is looked for, small pixels.
_STEADY, _LOST, _NEAR_PX = 0.6, 0.6, 3
#: Peak of the registration that is clear, and the share of the usual one below which nothing is recognised.
_CLEAR, _GONE = 12.0, 0.45
#: Height of the peak when the second frame is registered to the first, over its spread.
Anchored = Callable[[int, int], float]


@dataclass(frozen=True)
class Quality:
    """What is wrong with each frame.

    Parameters
    ----------
    flags : tuple of tuple of str, length T
        Names of what was found, in order.
    is_usable : ndarray of bool, shape (T,)
        The frame takes part in the analysis.
    is_uneven : ndarray of bool, shape (T,)
        The light differs strongly from place to place: where no cell is found, one may fill the field.
    """

    flags: tuple[tuple[str, ...], ...]
    is_usable: NDArray[np.bool_]
    is_uneven: NDArray[np.bool_]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Indices of the usable frames."""
        return np.flatnonzero(self.is_usable)


@dataclass
class _Notes:
    flags: list[list[str]]
    is_usable: NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, bool))

    def usable(self) -> list[int]:
        return [int(frame) for frame in np.flatnonzero(self.is_usable)]

    def add(self, frame: int, flag: str, is_usable: bool) -> None:
        if flag not in self.flags[frame]:
            self.flags[frame].append(flag)
        self.is_usable[frame] &= is_usable


def judge_frames(
    facts: Mapping[str, Sequence[FrameFacts]],
    n_pixels: int,
    anchored: Anchored,
    missing: frozenset[int] = frozenset(),
) -> Quality:
    """Flag what is wrong with each frame, and tell which can be used.

    Parameters
    ----------
    facts : mapping of str to sequence of FrameFacts, length T
        By role of the channel; those of channels that detection uses.
    n_pixels : int
        Pixels of a plane.
    anchored : callable
        Takes two frame numbers; height of the peak when the second is registered to the first, over its spread.
        Asked only where frames look different.
    missing : frozenset of int
        Frames that were never recorded.

    Returns
    -------
    Quality
    """
    n_frames = len(next(iter(facts.values())))
    notes = _Notes([[] for _ in range(n_frames)], np.ones(n_frames, bool))
    for frame in missing:
        notes.add(frame, "missing", False)
    # a channel that is empty from end to end was switched off: the others can be used
    lit = [planes for planes in facts.values() if not all(plane.is_empty for plane in planes)]
    for planes in facts.values():
        is_off = bool(lit) and not any(planes is one for one in lit)
        for frame, plane in enumerate(planes):
            if frame not in missing:
                _judge_alone(notes, frame, plane, n_pixels, is_off)
    for planes in lit:
        _judge_focus(notes, planes)
        _judge_light(notes, planes)
    for planes in lit:
        _judge_field(notes, planes, anchored)
    uneven, texture = (
        np.max([[getattr(plane, name) for plane in planes] for planes in facts.values()], axis=0)
        for name in ("unevenness", "texture")
    )
    is_uneven = (uneven > _UNEVEN) | (texture > _TEXTURED)
    return Quality(tuple(tuple(flags) for flags in notes.flags), notes.is_usable, is_uneven)


def _judge_alone(notes: _Notes, frame: int, plane: FrameFacts, size: int, is_off: bool) -> None:
    if plane.margin:
        notes.add(frame, "margin", True)
    if plane.n_not_finite:
        notes.add(frame, "not_finite", is_off or plane.n_not_finite <= _MOST_FILLED * size)
    if plane.is_empty:
        if plane.n_not_finite < size:
            notes.add(frame, "all_zero" if plane.high == 0 else "constant", is_off)
        return
    # cameras end at 2^8 - 1 to 2^16 - 1; a largest count that many pixels share elsewhere is no limit of the camera
    is_limit = plane.high >= 255 and float(np.log2(plane.high + 1)).is_integer()
    if is_limit and plane.share_at_top > _SATURATED:
        notes.add(frame, "saturated", plane.share_at_top <= _BLINDED)


def _judge_light(notes: _Notes, planes: Sequence[FrameFacts]) -> None:
    """Flashes and dark frames, which leave again, are not used; a step that stays is told of."""
    frames = notes.usable()
    if len(frames) < 3:
        return
    contrast, level = (np.array([getattr(planes[t], name) for t in frames]) for name in ("contrast", "level"))
    gain = np.array([0.0, *(_log_gain(planes[a], planes[b]) for a, b in pairwise(frames))])
    for k, frame in enumerate(frames):
        before, after = slice(max(0, k - 3), k), slice(k + 1, k + 4)
        beside = [float(np.median(contrast[part])) for part in (before, after) if contrast[part].size]
        levels = [float(np.median(level[part])) for part in (before, after) if level[part].size]
        is_dark = contrast[k] < _DARK * min(beside)
        leak = [level[k] - one for one in levels]
        is_leak = min(map(abs, leak)) > max(0.5 * max(beside), 0.2 * abs(levels[0])) and len({x > 0 for x in leak}) == 1
        if is_dark or is_leak:
            notes.add(frame, "illumination_jump", False)
    _judge_steps(notes, frames, gain)


def _judge_steps(notes: _Notes, frames: list[int], gain: Array) -> None:
    most = np.log(_JUMP_GAIN)
    k = 1
    while k < len(frames):
        if abs(gain[k]) < most:
            k += 1
            continue
        # back within three frames: what lies between was lit otherwise
        back = [j for j in range(k + 1, min(k + 4, len(frames))) if abs(gain[j]) >= most and gain[j] * gain[k] < 0]
        for j in range(k, back[0] if back else k + 1):
            notes.add(frames[j], "illumination_jump", not back)
        k = back[0] + 1 if back else k + 1


def _log_gain(before: FrameFacts, after: FrameFacts) -> float:
    """Logarithm of the factor by which a frame is brighter than the one before; 0 where they are not alike."""
    a, b = before.thumb - before.thumb.mean(), after.thumb - after.thumb.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if not norm > 0 or float((a * b).sum()) < _ALIKE * norm:
        return 0.0
    return 0.5 * float(np.log((b * b).sum() / (a * a).sum()))


def _judge_focus(notes: _Notes, planes: Sequence[FrameFacts]) -> None:
    frames = notes.usable()
    if len(frames) < 3:
        return
    names = ("detail", "sharpness", "contrast")
    detail, sharpness, contrast = (np.array([getattr(planes[t], name) for t in frames]) for name in names)
    if np.median(detail) < _LEAST_DETAIL:
        return
    is_blurred = (detail < _BLURRED * np.median(detail)) & (sharpness < _BLURRED * np.median(sharpness))
    is_blurred &= contrast > _DARK * np.median(contrast)  # else it is dark
    for frame in np.array(frames)[is_blurred].tolist():
        notes.add(frame, "out_of_focus", False)


def _judge_field(notes: _Notes, planes: Sequence[FrameFacts], anchored: Anchored) -> None:
    """Keep the longest record of one field where the stage went elsewhere."""
    frames = notes.usable()
    if len(frames) < 3:
        return
    alike = np.array([_likeness(planes[a].thumb, planes[b].thumb) for a, b in pairwise(frames)])
    typical = float(np.median(alike))
    suspects = (np.flatnonzero(alike < _LOST * typical) + 1).tolist()
    calm = [k for k in range(1, len(frames)) if k not in suspects]
    if typical < _STEADY or not suspects or not calm:
        return
    # small pictures of other cells can look alike; what stands on the dish tells for sure
    some = [calm[k] for k in np.linspace(0, len(calm) - 1, 3).round().astype(int)]
    usual = float(np.median([anchored(frames[k - 1], frames[k]) for k in some]))
    if usual < _CLEAR:
        return
    cuts = [k for k in suspects if anchored(frames[k - 1], frames[k]) < _GONE * usual]
    fields: list[list[int]] = []
    for part in np.split(np.array(frames), cuts):
        # back where it was: the same field goes on
        same = next((one for one in fields if anchored(one[-1], int(part[0])) >= _GONE * usual), None)
        if same is None:
            fields.append(part.tolist())
        else:
            same.extend(part.tolist())
    sizes = [len(one) for one in fields]
    kept = set(fields[sizes.index(max(sizes))])
    for frame in frames:
        if frame not in kept:
            notes.add(frame, "stage_jump", False)


def _likeness(a: Image, b: Image) -> float:
    """Largest correlation of two small pictures over small shifts."""
    # the lower half says little and holds the vignette; bodies are what moves with the stage
    a, b = (np.sqrt(np.maximum(one - np.median(one), 0)) for one in (a, b))
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if not norm > 0:
        return 0.0
    correlation = np.fft.irfft2(np.conj(np.fft.rfft2(a)) * np.fft.rfft2(b), a.shape) / norm
    near = np.abs(np.fft.fftfreq(THUMB_PX, 1 / THUMB_PX)) <= _NEAR_PX
    return float(correlation[np.ix_(near, near)].max())
