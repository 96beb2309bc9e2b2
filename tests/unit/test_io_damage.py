"""Damaged and hostile files: one line that says what is wrong, never fewer or black frames."""

import re

import numpy as np
import pytest
import tifffile
from test_io_movies import CALIBRATION, NAMES, TOLD, planes, ramp

from migradetect.errors import MigradetectError, ReadError
from migradetect.io import InputOptions, find_movies, open_movie, scan, write_movie

DATA = ramp((4, 2, 6, 7))


def make(kind, folder):
    """A file of that kind and what must be said to open it."""
    path = folder / ("a.ome.tif" if "ome" in kind else "a.tif")
    if kind in ("ome-tiff", "imagej"):
        write_movie(path, DATA, "TCYX", CALIBRATION, NAMES, kind)
        return path, InputOptions()
    if kind == "ome of tifffile":
        metadata = {"axes": "TCYX", "PhysicalSizeX": 0.1, "TimeIncrement": 60.0, "Channel": {"Name": list(NAMES)}}
        tifffile.imwrite(path, DATA, photometric="minisblack", compression="lzw", tile=(16, 16), metadata=metadata)
        return path, InputOptions()
    metadata = None if kind == "plain" else {"axes": "TCYX"}
    tifffile.imwrite(
        path, DATA.reshape(8, 6, 7) if kind == "plain" else DATA, photometric="minisblack", metadata=metadata
    )
    return path, InputOptions("TCYX", TOLD.channels, pixel_size_um=0.1, frame_interval_s=60.0)


def check_message(path, error):
    assert str(path) in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 600


KINDS = ["ome-tiff", "imagej", "ome of tifffile", "plain", "shaped"]


@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere_is_an_error_or_harmless(tmp_path, kind):
    path, options = make(kind, tmp_path)
    whole = path.read_bytes()
    np.testing.assert_array_equal(planes(open_movie(path, options)), DATA)
    n_harmless = 0
    for size in {0, 1, 4, 8, 9, *range(10, len(whole), 23), *range(len(whole) - 30, len(whole))}:
        path.write_bytes(whole[:size])
        try:
            movie = open_movie(path, options)
        except MigradetectError as error:
            check_message(path, error)
        else:
            # the last bytes may hold nothing but the name of the software
            np.testing.assert_array_equal(planes(movie), DATA)
            assert size > len(whole) - 24
            n_harmless += 1
    assert n_harmless < 24


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bytes_never_crash(tmp_path, kind):
    path, options = make(kind, tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    n_refused = 0
    for place in rng.integers(len(whole), size=120):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            planes(open_movie(path, options))
        except MigradetectError as error:
            check_message(path, error)
            n_refused += 1
    assert n_refused > 10


def edited(path, old, new):
    """Change text in a file without moving anything behind it."""
    content = path.read_bytes()
    assert len(old) == len(new)
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'SizeT="4"', b'SizeT="9"', "got 8"),
        (b'SizeT="4"', b'SizeT="2"', "outside"),
        (b'SizeC="2"', b'SizeC="x"', "whole number"),
        (b'SizeX="7"', b'SizeX="8"', "planes of 6 x 8"),
        (b'SizeZ="1"', b'SizeZ="0"', "sizes"),
        (b'"XYZCT"', b'"XYZCC"', "DimensionOrder"),
        (b"</Pixels>", b"</Pixel>>", "intact OME-XML"),
        (b'PlaneCount="8"', b'PlaneCount="7"', "T 3, C 1, Z 0"),
        (b'encoding="UTF-8"', b'encoding="UTF-K"', "intact OME-XML"),
    ],
)
def test_wrong_ome_xml(tmp_path, old, new, message):
    path, options = make("ome-tiff", tmp_path)
    edited(path, old, new)
    with pytest.raises(ReadError, match=message):
        open_movie(path, options)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"images=8", b"images=9", "expected 9"),
        (b"frames=4", b"frames=5", "frames 5"),
        (b"frames=4", b"frames=x", "frames"),
    ],
)
def test_wrong_imagej_tag(tmp_path, old, new, message):
    path, options = make("imagej", tmp_path)
    edited(path, old, new)
    with pytest.raises(ReadError, match=message):
        open_movie(path, options)


XML = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{attributes}>{before}<Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="7" SizeY="6" SizeZ="1" SizeC="1" SizeT="{n_t}" '
    'PhysicalSizeX="0.1" PhysicalSizeY="0.1" TimeIncrement="60"><Channel ID="C:0" Name="wga"/>{blocks}'
    "</Pixels></Image></OME>"
)


def with_xml(path, blocks, n_pages=2, n_t=2, attributes="", before="", data=DATA):
    xml = XML.format(blocks=blocks, n_t=n_t, attributes=attributes, before=before)
    tifffile.imwrite(path, data[:n_pages, 0], photometric="minisblack", metadata=None, description=xml)


@pytest.mark.parametrize(
    "name", ["../outside.ome.tif", "/dev/zero", "sub/b.ome.tif", "..", "C:b.tif", "\\\\host\\b.tif"]
)
def test_companions_outside_the_folder_are_refused(tmp_path, name):
    (tmp_path / "in").mkdir()
    with_xml(tmp_path / "outside.ome.tif", "<TiffData/>")
    path = tmp_path / "in" / "a.ome.tif"
    with_xml(
        path, f'<TiffData FirstT="0" IFD="0"/><TiffData FirstT="1" IFD="0"><UUID FileName="{name}">x</UUID></TiffData>'
    )
    with pytest.raises(ReadError, match=f"same folder, got '{re.escape(name)}'"):
        open_movie(path)
    assert scan(find_movies([path]))["problem"].notna().all()


def test_companions(tmp_path):
    for number, name in enumerate("ab"):
        blocks = "".join(
            f'<TiffData FirstT="{t}" IFD="0"><UUID FileName="{file}.ome.tif">{file}</UUID></TiffData>'
            for t, file in enumerate("ab")
        )
        with_xml(tmp_path / f"{name}.ome.tif", blocks, 1, attributes=f' UUID="{name}"', data=DATA[number:])
    entries = find_movies([tmp_path])
    assert [[file.name for file in entry.files] for entry in entries] == [["a.ome.tif", "b.ome.tif"]]
    np.testing.assert_array_equal(planes(open_movie(entries[0]))[:, 0], DATA[:2, 0])
    (tmp_path / "b.ome.tif").rename(tmp_path / "away")
    with pytest.raises(ReadError, match=r"companion file b.ome.tif"):
        open_movie(tmp_path / "a.ome.tif")
    (tmp_path / "away").rename(tmp_path / "b.ome.tif")
    (tmp_path / "a.ome.tif").rename(tmp_path / "renamed.ome.tif")  # it still knows itself by its UUID
    np.testing.assert_array_equal(planes(open_movie(tmp_path / "renamed.ome.tif"))[:, 0], DATA[:2, 0])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"blocks": "<TiffData/>", "n_t": 999999999999}, "sizes of a movie"),
        ({"blocks": '<TiffData IFD="9"/><TiffData FirstT="1" IFD="1"/>'}, "expected 10 planes"),
        ({"blocks": '<TiffData IFD="0"/><TiffData IFD="1"/>'}, "twice"),
        ({"blocks": '<TiffData FirstT="7" IFD="0"/>'}, "outside"),
        ({"blocks": "", "n_pages": 2}, "does not place"),
        ({"blocks": "<TiffData/>", "before": '<Image ID="Image:1"/>'}, "each position"),
        ({"blocks": "<TiffData/>", "before": "<BinaryOnly/>"}, "reference"),
        ({"blocks": '<TiffData/><!-- <!DOCTYPE x [<!ENTITY a "b">]> -->'}, "document type"),
    ],
)
def test_hostile_ome_xml(tmp_path, kwargs, message):
    with_xml(tmp_path / "a.ome.tif", **kwargs)
    with pytest.raises(ReadError, match=message):
        open_movie(tmp_path / "a.ome.tif")


def test_absurd_size_is_refused_before_memory_is_taken(tmp_path):
    path, options = make("plain", tmp_path)
    content = bytearray(path.read_bytes())
    for code in (256, 257):
        at = content.index(code.to_bytes(2, "little") + b"\x04\x00\x01\x00\x00\x00")
        content[at : at + 12] = code.to_bytes(2, "little") + b"\x04\x00\x01\x00\x00\x00" + (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"a\.tif: expected"):
        open_movie(path, options)


def test_pages_of_several_sizes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for width in (7, 7, 8):
            tif.write(ramp((6, width)), metadata=None, contiguous=False)
    with pytest.raises(ReadError, match="6 x 8 uint16 in page 2"):
        open_movie(tmp_path / "a.tif", TOLD)


def test_single_directory_stack_as_imagej_writes_above_4_gb(tmp_path):
    path = tmp_path / "a_wga.tif"
    metadata = {"axes": "TYX", "unit": "um", "finterval": 60.0}
    tifffile.imwrite(path, DATA[:, 0], imagej=True, resolution=(10, 10), metadata=metadata, truncate=True)
    with tifffile.TiffFile(path) as tif:
        assert tif.pages.next_page_offset is not None
    np.testing.assert_array_equal(planes(open_movie(path))[:, 0], DATA[:, 0])
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ReadError, match="cut off"):
        open_movie(path)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"not a tiff at all", b"II*\0\x08\0\0\0\0\0\0\0\0\0"])
def test_not_a_tiff(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(MigradetectError, match=r"a\.tif: expected"):
        open_movie(tmp_path / "a.tif")


def test_missing_file_and_bad_movie_beside_good_ones(tmp_path):
    path, _ = make("ome-tiff", tmp_path)
    (tmp_path / "bad.tif").write_bytes(b"II*\0broken")
    entries = find_movies([tmp_path, tmp_path / "absent.tif"])
    table = scan(entries).set_index("movie_id")
    assert list(table.index) == ["a", "absent", "bad"]
    assert table["problem"].isna().to_dict() == {"a": True, "absent": False, "bad": False}
    assert "expected a file, got none" in table.loc["absent", "problem"]
    assert path.exists()
