"""OME-XML: sizes, where each plane lies, calibration and channel names; and the XML that is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from migradetect.calibration import Calibration
from migradetect.errors import AxesError, CalibrationError, ReadError
from migradetect.io.recording import Found
from migradetect.io.units import interval_s, length_um, square_pixel

__all__ = ["OmeImage", "OmePlane", "parse_ome", "write_ome"]

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_COPY = "export the movie again as one OME-TIFF"
#: More planes than any recording; a damaged size must not become a long loop.
_MAX_PLANES = 10_000_000


@dataclass(frozen=True, slots=True)
class OmePlane:
    """Place of one plane: file (None is the file with the XML) and number of its page."""

    file: str | None
    page: int


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One image of an OME-XML: sizes T, C, Z, Y, X, places of its planes in that order, names, calibration."""

    sizes: tuple[int, int, int, int, int]
    planes: dict[tuple[int, int, int], OmePlane]
    channel_names: tuple[str | None, ...]
    found: Found
    order: str


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _local(child) == name]


def parse_ome(path: Path, xml: str) -> OmeImage:
    """Read an OME-XML.

    Parameters
    ----------
    path : Path
        File that holds it.
    xml : str
        Text of the ImageDescription.

    Raises
    ------
    ReadError
        If the XML is damaged, or describes several images, or planes outside the file's folder.
    """
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        # entities can blow up to gigabytes; no OME-XML needs them
        raise ReadError(f"{path}: expected plain OME-XML, got a document type; {_COPY}")
    try:
        root = ElementTree.fromstring(xml.strip("\x00 \r\n\t").encode("utf-8"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: unknown encoding
        raise ReadError(f"{path}: expected intact OME-XML, got '{error}'; {_COPY}") from error
    images = _children(root, "Image")
    if _children(root, "BinaryOnly"):
        raise ReadError(f"{path}: expected OME-XML inside the file, got a reference to another file; {_COPY}")
    if len(images) != 1 or not _children(images[0], "Pixels"):
        raise ReadError(
            f"{path}: expected one image, got {len(images)} in one file; save each position as its own file"
        )
    pixels = _children(images[0], "Pixels")[0]
    sizes = tuple(_whole(path, pixels, f"Size{axis}") for axis in "TCZYX")
    n_t, n_c, n_z, n_y, n_x = sizes
    if min(sizes) < 1 or n_t * n_c * n_z > _MAX_PLANES or n_y * n_x > 10**12:
        raise ReadError(f"{path}: expected sizes of a movie, got T, C, Z, Y, X = {sizes}; {_COPY}")
    order = pixels.get("DimensionOrder", "XYZCT")
    if sorted(order) != sorted("XYZCT") or not order.startswith("XY"):
        raise ReadError(f"{path}: expected a DimensionOrder such as XYZCT, got '{order}'; {_COPY}")
    names = [channel.get("Name") for channel in _children(pixels, "Channel")]
    return OmeImage(
        sizes=(n_t, n_c, n_z, n_y, n_x),
        planes=_places(path, root.get("UUID"), pixels, order, (n_t, n_c, n_z)),
        channel_names=tuple(names) if len(names) == n_c else (),
        found=_found(path, pixels),
        order=order,
    )


def _whole(path: Path, element: ElementTree.Element, name: str, default: int | None = None) -> int:
    text = element.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"\d{1,12}", text):
        raise ReadError(f"{path}: expected a whole number as {name} in the OME-XML, got {text!r}; {_COPY}")
    return int(text)


def _places(
    path: Path, own: str | None, pixels: ElementTree.Element, order: str, sizes: tuple[int, int, int]
) -> dict[tuple[int, int, int], OmePlane]:
    """Page of every plane (t, c, z), as the TiffData elements say."""
    total = sizes[0] * sizes[1] * sizes[2]
    size_of = dict(zip("TCZ", sizes, strict=True))
    planes: dict[tuple[int, int, int], OmePlane] = {}
    for block in _children(pixels, "TiffData"):
        uuids = _children(block, "UUID")
        file = _companion(path, own, uuids[0]) if uuids else None
        has_page = block.get("IFD") is not None
        page = _whole(path, block, "IFD", 0)
        # without a count a block is one plane if it says where, else everything (OME-TIFF specification)
        count = _whole(path, block, "PlaneCount", 1 if has_page else total)
        first = {axis: _whole(path, block, f"First{axis}", 0) for axis in "TCZ"}
        index, stride = 0, 1
        for axis in order[2:]:
            index += first[axis] * stride
            stride *= size_of[axis]
        if any(first[axis] >= size_of[axis] for axis in "TCZ") or index + count > total:
            raise ReadError(f"{path}: expected {total} planes, got a block outside them in the OME-XML; {_COPY}")
        for step in range(count):
            rest, at = index + step, {}
            for axis in order[2:]:
                rest, at[axis] = divmod(rest, size_of[axis])
            key = (at["T"], at["C"], at["Z"])
            if key in planes:
                raise ReadError(
                    f"{path}: expected each plane once, got T {key[0]}, C {key[1]}, Z {key[2]} twice; {_COPY}"
                )
            planes[key] = OmePlane(file, page + step)
    if len(planes) != total:
        missing = next(key for key in np.ndindex(*sizes) if key not in planes)
        raise ReadError(
            f"{path}: expected {total} planes, got {len(planes)}; T {missing[0]}, C {missing[1]}, Z {missing[2]} is "
            f"the first that the OME-XML does not place; {_COPY}"
        )
    return planes


def _companion(path: Path, own: str | None, uuid: ElementTree.Element) -> str | None:
    name = uuid.get("FileName")
    # a renamed file still knows itself by its UUID
    if name is None or name == path.name or (own is not None and (uuid.text or "").strip() == own):
        return None
    if name in ("", ".", "..") or re.search(r"[\\/:\x00]", name):
        raise ReadError(f"{path}: expected companion files in the same folder, got '{name}' in the OME-XML; {_COPY}")
    return name


def _number(element: ElementTree.Element, name: str) -> float | None:
    text = element.get(name)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _found(path: Path, pixels: ElementTree.Element) -> Found:
    sides: list[float | None] = []
    for axis in "YX":
        value = _number(pixels, f"PhysicalSize{axis}")
        sides.append(None if value is None else length_um(value, pixels.get(f"PhysicalSize{axis}Unit", "um")))
    problem = None
    try:
        size = square_pixel(path, *sides)
    except CalibrationError as error:
        size, problem = None, str(error)
    source = "OME-XML"
    value = _number(pixels, "TimeIncrement")
    interval = None if value is None else interval_s(value, pixels.get("TimeIncrementUnit", "s"))
    if not interval:
        times = _plane_times(pixels)
        if len(times) > 1:
            interval, source = float(np.median(np.diff(times))), "OME-XML DeltaT"
    return Found(
        pixel_size_um=size,
        pixel_size_source=None if size is None else "OME-XML",
        frame_interval_s=interval,
        frame_interval_source=None if interval is None else source,
        problem=problem,
    )


def _plane_times(pixels: ElementTree.Element) -> list[float]:
    """Time of each frame, from its first channel and slice."""
    times: dict[int, float] = {}
    for plane in _children(pixels, "Plane"):
        value = _number(plane, "DeltaT")
        frame = plane.get("TheT", "")
        if value is None or not frame.isdigit() or plane.get("TheC", "0") != "0" or plane.get("TheZ", "0") != "0":
            continue
        seconds = interval_s(value, plane.get("DeltaTUnit", "s"))
        if seconds is not None:
            times[int(frame)] = seconds
    frames = sorted(times)
    return [times[frame] for frame in frames] if frames == list(range(len(frames))) else []


def write_ome(
    sizes: Sequence[int],
    dtype: str,
    channel_names: Sequence[str],
    calibration: Calibration | None,
    z_step_um: float | None = None,
    named: bool = True,
) -> bytes:
    """OME-XML of one image whose planes are stored in the order T, C, Z.

    Parameters
    ----------
    sizes : sequence of int
        T, C, Z, Y, X.
    dtype : str
        Type of the pixels.
    channel_names : sequence of str
        One per channel.
    calibration : Calibration or None
        Pixel size and frame interval.
    z_step_um : float, optional
        Distance of the slices.
    named : bool
        Write the channel names; False leaves the channels nameless.

    Returns
    -------
    bytes
        ASCII; the same for the same input, so no date and no random identifier stands in it.
    """
    n_t, n_c, n_z, n_y, n_x = sizes
    if len(channel_names) != n_c:
        raise AxesError(f"expected {n_c} channel names, got {len(channel_names)}; name every channel")
    root = ElementTree.Element("OME", {"xmlns": _NAMESPACE, "Creator": "migradetect"})
    image = ElementTree.SubElement(root, "Image", {"ID": "Image:0", "Name": "image"})
    values = {
        "ID": "Pixels:0",
        "DimensionOrder": "XYZCT",
        "Type": {"float32": "float"}.get(dtype, dtype),
        "SizeX": str(n_x),
        "SizeY": str(n_y),
        "SizeZ": str(n_z),
        "SizeC": str(n_c),
        "SizeT": str(n_t),
        "BigEndian": "false",
    }
    if calibration is not None:
        for axis in "XY":
            values[f"PhysicalSize{axis}"] = repr(float(calibration.pixel_size_um))
            values[f"PhysicalSize{axis}Unit"] = "\u00b5m"
        if calibration.frame_interval_s is not None:
            values |= {"TimeIncrement": repr(float(calibration.frame_interval_s)), "TimeIncrementUnit": "s"}
    if z_step_um is not None:
        values |= {"PhysicalSizeZ": repr(float(z_step_um)), "PhysicalSizeZUnit": "\u00b5m"}
    pixels = ElementTree.SubElement(image, "Pixels", values)
    for index, name in enumerate(channel_names):
        attributes = {"ID": f"Channel:0:{index}", "SamplesPerPixel": "1"} | ({"Name": name} if named else {})
        ElementTree.SubElement(pixels, "Channel", attributes)
    ElementTree.SubElement(pixels, "TiffData", {"IFD": "0", "PlaneCount": str(n_t * n_c * n_z)})
    return b'<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(
        root, encoding="us-ascii", xml_declaration=False
    )
