"""OME-XML that files hold: sizes, where each plane lies, calibration and channel names of every position."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from migradetect.errors import CalibrationError, ReadError
from migradetect.io.recording import Found
from migradetect.io.tiff_checks import MAX_PIXELS
from migradetect.io.units import interval_s, length_um, square_pixel

__all__ = ["OmeImage", "OmePlane", "is_inside", "parse_ome", "reference_of"]

_COPY = "export the movie again as one OME-TIFF"
#: More planes than any recording; a damaged size must not become a long loop.
_MAX_PLANES = 2_000_000


@dataclass(frozen=True, slots=True)
class OmePlane:
    """Place of one plane: file (None is the file with the XML) and number of its page."""

    file: str | None
    page: int


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One image of an OME-XML: sizes T, C, Z, Y, X, places of its planes in that order, names, calibration."""

    name: str | None
    sizes: tuple[int, int, int, int, int]
    planes: dict[tuple[int, int, int], OmePlane]
    channel_names: tuple[str | None, ...]
    found: Found
    order: str

    def files(self) -> list[str]:
        """Names of the companion files that hold its planes, sorted."""
        return sorted({plane.file for plane in self.planes.values() if plane.file is not None})


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        # called before anything that a document type declares is read, whatever the encoding hides
        raise ValueError("a document type")


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _local(child) == name]


def _parsed(path: Path, xml: str) -> ElementTree.Element:
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        # entities can blow up to gigabytes; no OME-XML needs them
        raise ReadError(f"{path}: expected plain OME-XML, got a document type; {_COPY}")
    try:
        parser = ElementTree.XMLParser(target=_Builder())
        return ElementTree.fromstring(xml.strip("\x00 \r\n\t").encode("utf-8"), parser)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: unknown encoding
        raise ReadError(f"{path}: expected intact OME-XML, got '{error}'; {_COPY}") from error


def reference_of(path: Path, xml: str) -> str | None:
    """Name of the file that holds the OME-XML where this one only refers to it; None where it stands here.

    Raises
    ------
    ReadError
        If the XML is damaged, or the file would lie outside the folder of this one.
    """
    # a recording of many files repeats its XML in each: spare the parsing where the word is not in it
    if "BinaryOnly" not in xml:
        return None
    for element in _children(_parsed(path, xml), "BinaryOnly"):
        name = element.get("MetadataFile")
        if name is None or name == path.name:
            raise ReadError(
                f"{path}: expected OME-XML inside the file, got a reference to another file without its name; {_COPY}"
            )
        return _safe(path, name)
    return None


def parse_ome(path: Path, xml: str, n_bytes: int) -> tuple[OmeImage, ...]:
    """Every image (position) of an OME-XML.

    Parameters
    ----------
    path : Path
        File that holds it.
    xml : str
        Text of the ImageDescription, or of a companion file.
    n_bytes : int
        Size of all files that can hold its planes. More planes than bytes are refused before any list is made.

    Raises
    ------
    ReadError
        If the XML is damaged, describes no image, or planes outside the file's folder.
    """
    root = _parsed(path, xml)
    images = _children(root, "Image")
    if not images or not all(_children(image, "Pixels") for image in images):
        raise ReadError(
            f"{path}: expected one image, or several with their pixels, got {len(images)} in one file; save each "
            "position as its own file"
        )
    parsed = tuple(_image(path, root.get("UUID"), image, n_bytes) for image in images)
    if len(parsed) > 1:
        places = [plane for image in parsed for plane in image.planes.values()]
        if len(set(places)) != len(places):
            raise ReadError(f"{path}: expected each page in one image, got pages that several images share; {_COPY}")
    return parsed


def _image(path: Path, own: str | None, image: ElementTree.Element, n_bytes: int) -> OmeImage:
    pixels = _children(image, "Pixels")[0]
    sizes = tuple(_whole(path, pixels, f"Size{axis}") for axis in "TCZYX")
    n_t, n_c, n_z, n_y, n_x = sizes
    if min(sizes) < 1 or n_t * n_c * n_z > min(_MAX_PLANES, n_bytes) or n_y * n_x > MAX_PIXELS:
        raise ReadError(f"{path}: expected sizes of a movie, got T, C, Z, Y, X = {sizes}; {_COPY}")
    order = pixels.get("DimensionOrder", "XYZCT")
    if sorted(order) != sorted("XYZCT") or not order.startswith("XY"):
        raise ReadError(f"{path}: expected a DimensionOrder such as XYZCT, got '{order}'; {_COPY}")
    names = [channel.get("Name") for channel in _children(pixels, "Channel")]
    return OmeImage(
        name=image.get("Name"),
        sizes=(n_t, n_c, n_z, n_y, n_x),
        planes=_places(path, own, pixels, order, (n_t, n_c, n_z)),
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
    return _safe(path, name)


def _safe(path: Path, name: str) -> str:
    """The name, if it is that of a file in the same folder."""
    if name in ("", ".", "..") or re.search(r"[\\/:\x00]", name) or not is_inside(path, path.parent / name):
        raise ReadError(f"{path}: expected companion files in the same folder, got '{name}' in the OME-XML; {_COPY}")
    return name


def is_inside(path: Path, companion: Path) -> bool:
    """Whether a companion file lies, links followed, in the folder of a file or in the one its own link leads to."""
    if not companion.is_symlink():
        return True
    folders = {path.parent.resolve(), path.resolve().parent}
    return companion.resolve().parent in folders


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
    value = _number(pixels, "TimeIncrement")
    times = _plane_times(pixels)
    intervals = [
        ("OME-XML", None if value is None else interval_s(value, pixels.get("TimeIncrementUnit", "s"))),
        ("OME-XML DeltaT", float(np.median(np.diff(times))) if len(times) > 1 else None),
    ]
    return Found.of([("OME-XML", size)], intervals, problem)


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
