"""A recording as the file describes it, before roles, projection and the user's calibration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from migradetect.errors import AxesError
from migradetect.io.options import Kind
from migradetect.io.tiff import Stack

__all__ = ["Claim", "Found", "PlaneReader", "Recording", "fewer_frames", "of_stack", "squeezed", "with_axes"]


class PlaneReader(Protocol):
    """Hands out the planes of a container that is not TIFF; picklable, keeps nothing open."""

    @property
    def path(self) -> str:
        """What to call it in messages."""

    def plane(self, index: int) -> NDArray[Any]:
        """One plane, shape (Y, X), by its number in the container."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A value and where it stands."""

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Found:
    """Calibration found in a file.

    Parameters
    ----------
    pixel_sizes_um, frame_intervals_s : tuple of Claim
        Every value that stands in the file, the one to use first.
    problem : str or None
        Why a pixel size that is there can't be used.
    """

    pixel_sizes_um: tuple[Claim, ...] = ()
    frame_intervals_s: tuple[Claim, ...] = ()
    problem: str | None = None

    @classmethod
    def of(
        cls,
        pixel_sizes_um: Iterable[tuple[str, float | None]] = (),
        frame_intervals_s: Iterable[tuple[str, float | None]] = (),
        problem: str | None = None,
    ) -> Found:
        """Pairs of source and value, in order of preference; values that are None or not positive are no values."""

        def claims(pairs: Iterable[tuple[str, float | None]]) -> tuple[Claim, ...]:
            return tuple(Claim(float(value), source) for source, value in pairs if value is not None and value > 0)

        return cls(claims(pixel_sizes_um), claims(frame_intervals_s), problem)

    def also(self, other: Found) -> Found:
        """With the values of another place behind its own."""
        return replace(
            self,
            pixel_sizes_um=(*self.pixel_sizes_um, *other.pixel_sizes_um),
            frame_intervals_s=(*self.frame_intervals_s, *other.frame_intervals_s),
        )

    @property
    def pixel_size_um(self) -> float | None:
        """Pixel size to use."""
        return self.pixel_sizes_um[0].value if self.pixel_sizes_um else None

    @property
    def pixel_size_source(self) -> str | None:
        """Where it stands."""
        return self.pixel_sizes_um[0].source if self.pixel_sizes_um else None

    @property
    def frame_interval_s(self) -> float | None:
        """Frame interval to use."""
        return self.frame_intervals_s[0].value if self.frame_intervals_s else None

    @property
    def frame_interval_source(self) -> str | None:
        """Where it stands."""
        return self.frame_intervals_s[0].source if self.frame_intervals_s else None


@dataclass(frozen=True)
class Recording:
    """Planes of one movie with their axes as recorded.

    Parameters
    ----------
    path : Path
        What to call it in messages.
    kind : str
        Container.
    axes : str
        Letter per axis, ``"TCYX"``; ``"?"`` is an axis the file does not name. Axes of one plane are left out.
    shape : tuple of int
        Size of each axis.
    dtype : str
        Type of the pixels.
    files : tuple of Path
        Every file.
    file_index, offsets : ndarray, shape ``shape[:-2]``
        Where each plane lies, see :class:`~migradetect.io.source.TiffSource`.
    raw, dtypes : tuple
        Per file, see :class:`~migradetect.io.source.TiffSource`.
    channel_names : tuple of (str or None)
        Name of each channel as far as known; empty where none is.
    found : Found
        Calibration in the file.
    reader : PlaneReader or None
        Reads the planes of a container that is not TIFF; `offsets` are then numbers of planes.
    warnings : tuple of str
        What the user should know; the planes are good nevertheless.
    acquired_s : float or None
        When the first plane was recorded, from an arbitrary start.
    frame_numbers : tuple of int
        Numbers of the frames where some are missing and the user allows it; else empty.
    """

    path: Path
    kind: Kind
    axes: str
    shape: tuple[int, ...]
    dtype: str
    files: tuple[Path, ...]
    file_index: NDArray[np.int32]
    offsets: NDArray[np.int64]
    raw: tuple[bool, ...]
    dtypes: tuple[str, ...]
    channel_names: tuple[str | None, ...]
    found: Found
    reader: PlaneReader | None = None
    warnings: tuple[str, ...] = ()
    acquired_s: float | None = None
    frame_numbers: tuple[int, ...] = ()

    def size(self, axis: str) -> int:
        """Size of an axis; 1 where it is absent."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def in_tcz(self, values: NDArray[Any]) -> NDArray[Any]:
        """Per-plane values rearranged to the shape (T, C, Z)."""
        leading = self.axes[:-2]
        order = [leading.index(axis) for axis in "TCZ" if axis in leading]
        sizes = tuple(self.size(axis) for axis in "TCZ")
        return np.ascontiguousarray(values.transpose(order).reshape(sizes))


def squeezed(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Axes and sizes without the leading ones of size 1."""
    kept = [(axis, size) for axis, size in zip(axes[:-2], shape[:-2], strict=True) if size != 1]
    return "".join(axis for axis, _ in kept) + axes[-2:], (*(size for _, size in kept), *shape[-2:])


def fewer_frames(path: Path, n_frames: int, planned: float | None) -> tuple[str, ...]:
    """Warning where a recording has fewer frames than were planned; empty where it has not."""
    if planned is None or n_frames >= planned:
        return ()
    return (f"{path}: {n_frames} frames, {planned:g} were planned: stopped early, or frames are missing at the end",)


def of_stack(
    stack: Stack, kind: Kind, axes: str, shape: tuple[int, ...], names: tuple[str | None, ...], found: Found
) -> Recording:
    """Recording of a single TIFF file whose planes are in the order of `axes`."""
    if shape == (1, *stack.shape_yx):
        axes, shape = squeezed(axes, shape)
    return Recording(
        path=stack.facts.path,
        kind=kind,
        axes=axes,
        shape=shape,
        dtype=stack.dtype.name,
        files=(stack.facts.path,),
        file_index=np.zeros(shape[:-2], dtype=np.int32),
        offsets=stack.offsets.reshape(shape[:-2]),
        raw=(stack.raw,),
        dtypes=(stack.dtype.str,),
        channel_names=names,
        found=found,
    )


def with_axes(recording: Recording, axes: str, n_channels: int | None) -> Recording:
    """The recording with the axes that the user names.

    Parameters
    ----------
    recording : Recording
        As the file describes it.
    axes : str
        Letters out of T, C and Z, then YX. As many as the file has: they rename its axes one by one. More than it has:
        its planes are divided, the number of channels being that of the given roles.
    n_channels : int or None
        Number of roles given by the user.

    Raises
    ------
    AxesError
        If the letters don't fit what the file holds.
    """
    letters = axes.strip().upper()
    leading = letters[:-2]
    if not letters.endswith("YX") or set(leading) - set("TCZ") or len(set(leading)) != len(leading):
        raise AxesError(
            f"{recording.path}: expected --axes of letters out of T, C, Z, each once, ending in YX, got '{axes}'; "
            "for example --axes TCYX"
        )
    have = recording.axes[:-2]
    sizes = recording.shape[:-2]
    if len(leading) == len(have):
        new_sizes = sizes
    elif leading == "" or len(have) > 1 or (have == "" and n_channels not in (None, 1)):
        raise _misfit(recording, letters, "name as many axes as it has")
    elif have == "":
        new_sizes = (1,) * len(leading)
    else:
        new_sizes = _divided(recording, letters, n_channels)
    shape = new_sizes + recording.shape[-2:]
    kept_axes, kept_shape = squeezed(letters, shape)
    same_channels = (
        "C" not in letters or len(recording.channel_names) == dict(zip(leading, new_sizes, strict=True))["C"]
    )
    return replace(
        recording,
        axes=kept_axes,
        shape=kept_shape,
        file_index=recording.file_index.reshape(kept_shape[:-2]),
        offsets=recording.offsets.reshape(kept_shape[:-2]),
        # names belong to the axis that was C; renaming the axes must not move them to another one
        channel_names=recording.channel_names if same_channels and ("C" in have) == ("C" in kept_axes) else (),
    )


def _divided(recording: Recording, letters: str, n_channels: int | None) -> tuple[int, ...]:
    """Sizes of the leading axes when one axis of planes holds several."""
    leading, total = letters[:-2], recording.shape[0]
    if "C" not in leading or len(leading) != 2:
        raise _misfit(recording, letters, "the size of Z is not known; save it as OME-TIFF or ImageJ hyperstack")
    if n_channels is None:
        raise _misfit(recording, letters, "give the roles as well, for example --channels tspan4,wga")
    if total % n_channels:
        raise _misfit(
            recording, letters, f"{total} planes can't be divided by {n_channels} channels; planes are missing"
        )
    other = total // n_channels
    return tuple(n_channels if axis == "C" else other for axis in leading)


def _misfit(recording: Recording, letters: str, remedy: str) -> AxesError:
    shape = " x ".join(map(str, recording.shape))
    return AxesError(f"{recording.path}: expected axes {letters}, got {recording.axes} ({shape}); {remedy}")
