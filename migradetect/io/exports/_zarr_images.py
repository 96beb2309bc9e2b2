"""Images and labels as OME-Zarr 0.4 (Zarr 2) or 0.5 (Zarr 3), plane by plane.

The metadata follow the specifications at ngff.openmicroscopy.org. Each level of the pyramid has half the size of the
one before: the mean of four pixels for images, every second pixel for labels, which have no means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["open_root", "write_image", "write_labels"]

#: Levels are added until the longer side fits, px; what is smaller is shown whole.
_TOP_PX = 512
_CHUNK_PX = 1024
_UNITS = {"t": {"type": "time", "unit": "second"}, "c": {"type": "channel"}}
_SPACE = {"type": "space", "unit": "micrometer"}
_COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FFFFFF")


def open_root(path: Any, version: str) -> Any:
    """Empty group, of the Zarr format that a version of OME-Zarr stands on."""
    import zarr

    return zarr.create_group(str(path), zarr_format=2 if version == "0.4" else 3)


def _put_metadata(group: Any, values: dict[str, Any], version: str) -> None:
    if version == "0.4":
        group.attrs.update(values)
    else:
        group.attrs.update({"ome": {"version": version, **values}})


def _shapes(shape_yx: tuple[int, int]) -> list[tuple[int, int]]:
    shapes = [shape_yx]
    while max(shapes[-1]) > _TOP_PX:
        shapes.append((max(1, (shapes[-1][0] + 1) // 2), max(1, (shapes[-1][1] + 1) // 2)))
    return shapes


def _multiscales(axes: str, name: str, n_levels: int, scale: Sequence[float], version: str) -> list[dict[str, Any]]:
    datasets = []
    for level in range(n_levels):
        factors = [value * (2**level if axis in "yx" else 1) for axis, value in zip(axes, scale, strict=True)]
        # the first pixel of a smaller level stands in the middle of those it is made of
        shift = [value * (2**level - 1) / 2 if axis in "yx" else 0.0 for axis, value in zip(axes, scale, strict=True)]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": factors}]
        if level:
            steps.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    known = {"name": name, "axes": [{"name": axis, **_UNITS.get(axis, _SPACE)} for axis in axes], "datasets": datasets}
    return [known | ({"version": version} if version == "0.4" else {})]


def _arrays(group: Any, leading: tuple[int, ...], shapes: list[tuple[int, int]], dtype: str, version: str) -> list[Any]:
    names = {2: ("t", "y", "x"), 3: ("t", "c", "y", "x")}
    made = []
    for level, shape in enumerate(shapes):
        options: dict[str, Any] = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        if version != "0.4":
            options = {"dimension_names": names[len(leading) + 1]}
        chunks = (1,) * len(leading) + tuple(min(_CHUNK_PX, side) for side in shape)
        made.append(
            group.create_array(
                str(level), shape=(*leading, *shape), chunks=chunks, dtype=dtype, fill_value=0, **options
            )
        )
    return made


def _half_mean(plane: NDArray[Any]) -> NDArray[Any]:
    padded = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="edge").astype(np.float32)
    mean = (padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]) / 4
    return np.rint(mean).astype(plane.dtype) if plane.dtype.kind in "ui" else mean.astype(plane.dtype)


def write_image(
    group: Any,
    read: Callable[[int, int], NDArray[Any]],
    shape_tcyx: tuple[int, int, int, int],
    dtype: str,
    channels: Sequence[str],
    scale_tyx: tuple[float, float, float],
    name: str,
    version: str,
) -> None:
    """Write a recording into a group.

    Parameters
    ----------
    group : zarr.Group
        Where.
    read : callable
        Takes frame and channel, gives a plane of shape (Y, X).
    shape_tcyx : tuple of int
        Frames, channels, rows, columns.
    dtype : str
        Type of the pixels.
    channels : sequence of str
        Names.
    scale_tyx : tuple of float
        Seconds, um, um.
    name : str
        Of the image.
    version : str
        0.4 or 0.5.
    """
    n_t, n_c, *shape = shape_tcyx
    shapes = _shapes((shape[0], shape[1]))
    levels = _arrays(group, (n_t, n_c), shapes, dtype, version)
    windows = []
    for channel in range(n_c):
        for frame in range(n_t):
            plane = read(frame, channel)
            if frame == 0:
                low, high = (float(value) for value in np.nanpercentile(plane, (0.5, 99.8)))
            for level in levels:
                level[frame, channel] = plane
                plane = _half_mean(plane)
        limit = float(np.iinfo(dtype).max) if np.dtype(dtype).kind == "u" else max(high, 1.0)
        windows.append({"min": 0.0, "max": limit, "start": low, "end": max(high, low + 1e-6)})
    scale = (scale_tyx[0], 1.0, scale_tyx[1], scale_tyx[2])
    shown = [
        {"label": label, "color": _COLOURS[k % len(_COLOURS)], "active": True, "window": windows[k]}
        for k, label in enumerate(channels)
    ]
    known: dict[str, Any] = {
        "multiscales": _multiscales("tcyx", name, len(shapes), scale, version),
        "omero": {"name": name, "channels": shown, "rdefs": {"model": "color"}},
    }
    if version == "0.4":
        known["omero"]["version"] = "0.4"
    _put_metadata(group, known, version)


def write_labels(
    group: Any,
    stacks: Iterable[tuple[str, Iterator[NDArray[Any]], str]],
    shape_tyx: tuple[int, int, int],
    scale_tyx: tuple[float, float, float],
    version: str,
    beside_image: bool,
) -> list[str]:
    """Write label images into ``labels/`` of a group.

    Parameters
    ----------
    group : zarr.Group
        The image, or a group without one.
    stacks : iterable of (str, iterator of ndarray, str)
        Name, planes and data type of each.
    shape_tyx, scale_tyx : tuple
        Size; seconds, um, um.
    version : str
        0.4 or 0.5.
    beside_image : bool
        Whether the group is an image.

    Returns
    -------
    list of str
        Their names.
    """
    inside = group.create_group("labels")
    names = []
    shapes = _shapes(shape_tyx[1:])
    for name, planes, dtype in stacks:
        one = inside.create_group(name)
        levels = _arrays(one, (shape_tyx[0],), shapes, dtype, version)
        for frame, plane in enumerate(planes):
            for level in levels:
                level[frame] = plane.astype(dtype)
                plane = plane[::2, ::2]
        about: dict[str, Any] = {"source": {"image": "../../"}} if beside_image else {}
        if version == "0.4":
            about["version"] = "0.4"
        known = {"multiscales": _multiscales("tyx", name, len(shapes), scale_tyx, version), "image-label": about}
        _put_metadata(one, known, version)
        names.append(name)
    _put_metadata(inside, {"labels": names}, version)
    return names
