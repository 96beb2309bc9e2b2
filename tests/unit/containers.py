"""The same pixels in every container that microscopes write, forged as small as they can be."""

import json
import struct
import uuid
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile

from migradetect.calibration import Calibration
from migradetect.io import write_movie

CALIBRATION = Calibration(0.125, 120.0)
NAMES = ("TSPAN4-GFP", "WGA")


def forge_tiff(planes, extra_tags=(), page_tags=None, header=b"", declared=None):
    """Classic little-endian TIFF with tags that no writer offers; returns the bytes and the place of each plane.

    `declared` planes follow one directory, as ImageJ and MetaMorph write them.
    """
    out = bytearray(b"II*\0\0\0\0\0" + header)
    places, link = [], 4
    pages = planes[:1] if declared else planes
    for index, plane in enumerate(pages):
        data = b"".join(item.tobytes() for item in planes) if declared else plane.tobytes()
        out += b"\0" * (len(out) % 2)
        start = len(out)
        places.append(start)
        out += data
        height, width = plane.shape
        bits = plane.dtype.itemsize * 8
        tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1)]
        tags += [(273, 4, 1, start), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, plane.nbytes)]
        for code, kind, count, value in (*extra_tags, *((page_tags or [()] * len(planes))[index])):
            if isinstance(value, bytes):
                out += b"\0" * (len(out) % 2)
                tags.append((code, kind, count, len(out)))
                out += value
            else:
                tags.append((code, kind, count, value))
        out += b"\0" * (len(out) % 2)
        struct.pack_into("<I", out, link, len(out))
        out += struct.pack("<H", len(tags))
        for code, kind, count, value in sorted(tags):
            out += struct.pack("<HHII", code, kind, count, value)
        link = len(out)
        out += b"\0\0\0\0"
    return bytes(out), places


def json_tag(values):
    text = json.dumps(values).encode() + b"\0"
    return (51123, 2, len(text), text)


def tcyx(data):
    return [(t, c, data[t, c]) for t in range(data.shape[0]) for c in range(data.shape[1])]


# --- OME-TIFF ---------------------------------------------------------------------------------------------------------


def ome_xml(data, blocks, root="", names=NAMES, image_names=("a",), calibrated=True):
    """OME-XML; `blocks` has the TiffData elements of each image."""
    n_t, n_c, height, width = data.shape
    size = 'PhysicalSizeX="0.125" PhysicalSizeY="0.125" TimeIncrement="120" TimeIncrementUnit="s"' if calibrated else ""
    channels = "".join(f'<Channel ID="Channel:0:{i}" Name={quoteattr(name)}/>' for i, name in enumerate(names))
    images = "".join(
        f'<Image ID="Image:{i}" Name={quoteattr(name)}><Pixels ID="Pixels:{i}" DimensionOrder="XYCZT" '
        f'Type="{data.dtype.name}" SizeX="{width}" SizeY="{height}" SizeZ="1" SizeC="{n_c}" SizeT="{n_t}" {size}>'
        f"{channels}{block}</Pixels></Image>"
        for i, (name, block) in enumerate(zip(image_names, blocks, strict=True))
    )
    return f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{root}>{images}</OME>'


def pages(path, planes, description=None, software=None, **kwargs):
    with tifffile.TiffWriter(path, ome=False, shaped=False, **kwargs) as tif:
        for index, plane in enumerate(planes):
            tif.write(
                plane,
                metadata=None,
                photometric="minisblack",
                contiguous=False,
                description=description if index == 0 else None,
                software=software,
            )


def ome_variant(folder, data, **kwargs):
    writer = {name: kwargs.pop(name) for name in ("bigtiff", "byteorder") if name in kwargs}
    metadata = {"axes": "TCYX", "Channel": {"Name": list(NAMES)}, "PhysicalSizeX": 0.125, "PhysicalSizeY": 0.125}
    metadata |= {"PhysicalSizeXUnit": "um", "PhysicalSizeYUnit": "um", "TimeIncrement": 120.0, "TimeIncrementUnit": "s"}
    path = folder / "movie.ome.tif"
    tifffile.imwrite(path, data, metadata=metadata, photometric="minisblack", **writer, **kwargs)
    return path


def ome_of_many_files(folder, data):
    """One file per frame, each with the whole XML."""
    ids = [f"urn:uuid:{uuid.UUID(int=t + 1)}" for t in range(len(data))]
    block = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" IFD="{c}" PlaneCount="1">'
        f'<UUID FileName="movie_{t}.ome.tif">{ids[t]}</UUID></TiffData>'
        for t in range(data.shape[0])
        for c in range(data.shape[1])
    )
    for t, frame in enumerate(data):
        pages(folder / f"movie_{t}.ome.tif", frame, ome_xml(data, [block], f' UUID="{ids[t]}"'))
    return folder / "movie_0.ome.tif"


def companion_xml(folder, data):
    """One file per frame, the XML beside them, each file with nothing but a reference."""
    block = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" IFD="{c}" PlaneCount="1"><UUID FileName="m_{t}.ome.tif">u{t}</UUID>'
        "</TiffData>"
        for t in range(data.shape[0])
        for c in range(data.shape[1])
    )
    (folder / "movie.companion.ome").write_text(ome_xml(data, [block], ' UUID="own"'), encoding="utf-8")
    reference = '<OME xmlns="x" UUID="u{}"><BinaryOnly MetadataFile="movie.companion.ome" UUID="own"/></OME>'
    for t, frame in enumerate(data):
        pages(folder / f"m_{t}.ome.tif", frame, reference.format(t))
    return folder / "movie.companion.ome"


def positions_in_one_file(path, stacks, names=("A", "B")):
    """Several images in one OME-TIFF, one behind the other."""
    n = stacks[0].shape[0] * stacks[0].shape[1]
    blocks = [f'<TiffData IFD="{i * n}" PlaneCount="{n}"/>' for i in range(len(stacks))]
    planes = [plane for stack in stacks for _, _, plane in tcyx(stack)]
    pages(path, planes, ome_xml(stacks[0], blocks, image_names=names))
    return path


# --- Micro-Manager ----------------------------------------------------------------------------------------------------


def micromanager(folder, data, n_files=2, summary=None, pixel_size_um=0.125):
    """Stack without OME-XML, over several files."""
    summary = {"Frames": len(data), "Interval_ms": 120000.0, "PixelSize_um": pixel_size_um} | (summary or {})
    text = json.dumps(summary).encode()
    header = struct.pack("<8I", 54773648, 0, 483765892, 0, 99384722, 0, 2355492, len(text)) + text
    for number, part in enumerate(np.array_split(np.arange(len(data)), n_files)):
        keys = [(t, c) for t in part for c in range(data.shape[1])]
        tags = [
            [
                json_tag(
                    {
                        "FrameIndex": int(t),
                        "ChannelIndex": c,
                        "SliceIndex": 0,
                        "PositionIndex": 0,
                        "Channel": NAMES[c],
                        "PixelSizeUm": pixel_size_um,
                        "ElapsedTime-ms": 120000.0 * int(t) + 7,
                    }
                )
            ]
            for t, c in keys
        ]
        content, _ = forge_tiff([data[t, c] for t, c in keys], page_tags=tags, header=header)
        (folder / f"movie_MMStack{f'_{number}' if number else ''}.tif").write_bytes(content)
    return folder / "movie_MMStack.tif"


def ndtiff(folder, data, positions=(None,), clock_s=120.0):
    """NDTiff 3 data set with one stack."""
    folder.mkdir(exist_ok=True)
    summary = json.dumps({"PixelSize_um": 0.125}).encode()
    header = struct.pack("<IIIII", 483729, 3, 2, 2355492, len(summary)) + summary
    keys = [(p, t, c) for p in range(len(positions)) for t in range(data.shape[0]) for c in range(data.shape[1])]
    tags = [[json_tag({"PixelSizeUm": 0.125, "ElapsedTime-ms": clock_s * 1000 * t})] for _, t, _ in keys]
    content, places = forge_tiff([data[t, c] + p for p, t, c in keys], page_tags=tags, header=header)
    index = bytearray()
    for (p, t, c), place in zip(keys, places, strict=True):
        axes = {"time": t, "channel": NAMES[c]} | ({} if positions[p] is None else {"position": positions[p]})
        meta = json.dumps({"ElapsedTime-ms": clock_s * 1000 * t}).encode()
        at = len(content)
        content += meta
        text = json.dumps(axes).encode()
        index += struct.pack("<I", len(text)) + text + struct.pack("<I", 17) + b"d_NDTiffStack.tif"
        kind = 0 if data.dtype == np.uint8 else 1
        index += struct.pack("<IiiiiIii", place, data.shape[3], data.shape[2], kind, 0, at, len(meta), 0)
    (folder / "d_NDTiffStack.tif").write_bytes(content)
    (folder / "NDTiff.index").write_bytes(bytes(index))
    return folder


# --- MetaMorph --------------------------------------------------------------------------------------------------------


def stk(path, planes, pixel_size_um=0.125, interval_s=120.0, z_um=0.0):
    """MetaMorph stack: one directory, UIC tags, planes one behind the other."""
    n = len(planes)
    times = [(int(1000 * z_um), 1000, 2459000, int(t * interval_s * 1000) + 1000, 0, 0) for t in range(n)]
    uic2 = b"".join(struct.pack("<6I", *row) for row in times)
    unit = b"um\0"
    unit = struct.pack("<I", len(unit)) + unit
    # UIC4: identifier and value, by plane or once; calibration is in UIC1: pairs of id and value or offset
    path.write_bytes(b"")
    head = 8
    blob = struct.pack("<II", round(pixel_size_um * 1_000_000), 1_000_000) + unit
    blob += b"\0" * (-len(blob) % 2)
    pairs = [(4, head), (5, head), (6, head + 8)]
    uic1 = b"".join(struct.pack("<II", *pair) for pair in pairs)
    tags = [(33628, 4, len(pairs), uic1), (33629, 5, n, uic2)]
    content, _ = forge_tiff(list(planes), extra_tags=tags, header=blob, declared=n)
    path.write_bytes(content)
    return path


def metamorph(folder, data, planned=None):
    """.nd file and one TIFF with MetaSeries XML per plane, numbers unpadded."""
    n_t, n_c = data.shape[:2]
    waves = "\n".join(f'"WaveName{c + 1}", "{NAMES[c]}"' for c in range(n_c))
    (folder / "exp.nd").write_text(
        f'"NDInfoFile", Version 1.0\n"DoTimelapse", TRUE\n"NTimePoints", {planned or n_t}\n"DoWave", TRUE\n'
        f'"NWavelengths", {n_c}\n{waves}\n"WaveInFileName", TRUE\n"EndFile"\n',
        encoding="ascii",
    )
    for t, c, plane in tcyx(data):
        xml = (
            "<MetaData><PlaneInfo>"
            '<prop id="spatial-calibration-state" type="bool" value="on"/>'
            '<prop id="spatial-calibration-x" type="float" value="0.125"/>'
            '<prop id="spatial-calibration-y" type="float" value="0.125"/>'
            '<prop id="spatial-calibration-units" type="string" value="um"/>'
            f'<prop id="acquisition-time-local" type="time" value="20240101 10:{2 * t:02d}:00.000"/>'
            "</PlaneInfo></MetaData>"
        )
        pages(folder / f"exp_w{c + 1}{NAMES[c]}_t{t + 1}.TIF", [plane], xml, software="MetaSeries")
    return folder


# --- others -----------------------------------------------------------------------------------------------------------


def ome_zarr(folder, data, version, path="movie.ome.zarr", axes="tcyx", dtype=None, **kwargs):
    """OME-Zarr of version 0.4 or 0.5 with one resolution."""
    import zarr

    root = folder / path
    group = zarr.open_group(root, mode="w", zarr_format=2 if version == "0.4" else 3)
    kwargs = {"chunks": (1,) * (data.ndim - 2) + (4, 4), "config": {"write_empty_chunks": True}} | kwargs
    array = group.create_array("0", shape=data.shape, dtype=dtype or data.dtype, **kwargs)
    array[...] = data
    group.attrs.update(zarr_attributes(version, axes))
    return root


def zarr_attributes(version, axes="tcyx", unit="micrometer"):
    kinds = {"t": {"type": "time", "unit": "second"}, "c": {"type": "channel"}}
    scale = {"t": 120.0, "y": 0.125, "x": 0.125}
    transform = [{"type": "scale", "scale": [scale.get(axis, 1.0) for axis in axes]}]
    content = {
        "multiscales": [
            {
                "axes": [{"name": axis, **kinds.get(axis, {"type": "space", "unit": unit})} for axis in axes],
                "datasets": [{"path": "0", "coordinateTransformations": transform}],
            }
        ],
        "omero": {"channels": [{"label": name} for name in NAMES]},
    }
    return content if version == "0.4" else {"ome": {"version": "0.5", **content}}


def czi(path, data):
    from pylibCZIrw import czi as library

    with library.create_czi(str(path), exist_ok=True) as document:
        for t, c, plane in tcyx(data):
            document.write(plane[..., np.newaxis], plane={"T": t, "C": c, "Z": 0})
        document.write_metadata("movie", channel_names=dict(enumerate(NAMES)), scale_x=0.125e-6, scale_y=0.125e-6)
    return path


def lif(path, data):
    """Leica file with one image in one memory block."""
    n_t, n_c, height, width = data.shape
    size = data.dtype.itemsize
    plane = height * width * size
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{8 * size}" LUTName="{NAMES[c]}" '
        f'BytesInc="{c * plane}" BitInc="0" Min="0" Max="65535" Unit="" NameOfMeasuredQuantity="" IsLUTInverted="0"/>'
        for c in range(n_c)
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{number}" NumberOfElements="{n}" Origin="0" Length="{length!r}" Unit="{unit}" '
        f'BitInc="0" BytesInc="{step}"/>'
        for number, n, length, unit, step in (
            (1, width, 0.125e-6 * (width - 1), "m", size),
            (2, height, 0.125e-6 * (height - 1), "m", size * width),
            (4, n_t, 120.0 * (n_t - 1), "s", plane * n_c),
        )
    )
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="root" Visibility="1"><Data/>'
        '<Memory Size="0" MemoryBlockID="MemBlock_0"/><Children>'
        '<Element Name="movie" Visibility="1"><Data><Image><ImageDescription>'
        f"<Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{data.nbytes}" MemoryBlockID="MemBlock_1"/></Element></Children></Element>'
        "</LMSDataContainerHeader>"
    ).encode("utf-16-le")
    out = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml
    for name, block in (("MemBlock_0", b""), ("MemBlock_1", data.tobytes())):
        text = name.encode("utf-16-le")
        out += struct.pack("<IIBQBI", 0x70, len(text) + 14, 0x2A, len(block), 0x2A, len(name)) + text + block
    path.write_bytes(out)
    return path


def written(kind):
    def make(folder, data):
        name = {"ome-tiff": "movie.ome.tif", "imagej": "movie.tif", "sequence": "movie"}[kind]
        write_movie(folder / name, data, "TCYX", CALIBRATION, NAMES, kind)
        return folder / name

    return make


def imagej_above_4_gb(folder, data):
    """One directory, planes one behind the other, as ImageJ writes what 32 bit can't address."""
    planes = data.astype(data.dtype.newbyteorder(">"))
    metadata = {"axes": "TCYX", "unit": "um", "finterval": 120.0, "Labels": list(NAMES) * len(data)}
    tifffile.imwrite(
        folder / "movie.tif", planes, byteorder=">", imagej=True, resolution=(8, 8), metadata=metadata, truncate=True
    )
    return folder / "movie.tif"


#: Name -> function of (folder, data) that writes the container and returns what to open.
CONTAINERS = {
    "ome-tiff": written("ome-tiff"),
    "imagej": written("imagej"),
    "sequence": written("sequence"),
    "imagej above 4 GB": imagej_above_4_gb,
    "ome big-endian": lambda folder, data: ome_variant(folder, data, byteorder=">"),
    "ome BigTIFF": lambda folder, data: ome_variant(folder, data, bigtiff=True),
    "ome tiled": lambda folder, data: ome_variant(folder, data, tile=(16, 16)),
    "ome big-endian tiled zlib": lambda folder, data: ome_variant(
        folder, data, byteorder=">", tile=(16, 16), compression="zlib", predictor=True
    ),
    "ome LZW": lambda folder, data: ome_variant(folder, data, compression="lzw"),
    "ome zstd BigTIFF": lambda folder, data: ome_variant(folder, data, compression="zstd", bigtiff=True),
    "ome strips": lambda folder, data: ome_variant(folder, data, rowsperstrip=2, compression="packbits"),
    "ome of many files": ome_of_many_files,
    "companion XML": companion_xml,
    "Micro-Manager": micromanager,
    "NDTiff": lambda folder, data: ndtiff(folder / "movie", data),
    "MetaMorph": metamorph,
}
