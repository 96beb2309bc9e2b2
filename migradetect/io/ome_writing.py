"""OME-XML of the files that are written."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from migradetect.calibration import Calibration
from migradetect.errors import AxesError

__all__ = ["write_ome"]

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


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
