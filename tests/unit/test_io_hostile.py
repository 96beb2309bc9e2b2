"""Files that lie or attack: refused in one line, in little time and memory, without touching anything else."""

import json
import os
import struct
import tracemalloc

import containers
import numpy as np
import pytest
import tifffile
from containers import CONTAINERS, companion_xml, micromanager, ndtiff, ome_of_many_files, ome_xml, pages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_io_containers import has, needs_zarr
from test_io_damage import check_message
from test_io_movies import planes

from migradetect.errors import AxesError, CalibrationError, MigradetectError, ReadError
from migradetect.io import InputOptions, find_movies, open_movie, scan
from migradetect.io.metamorph import find_plan
from migradetect.io.naming import parse_name
from migradetect.io.ome import parse_ome, reference_of
from migradetect.io.tiff import read_tiff_facts

DATA = (np.arange(5 * 2 * 9 * 11).reshape(5, 2, 9, 11) * 37 % 60000 + 1).astype(np.uint16)


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [20_000, 2**31 - 1])
def test_page_that_declares_an_absurd_size_takes_no_memory(tmp_path, side):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DATA[:, 0], compression="zlib", metadata=None, photometric="minisblack")
    content = bytearray(path.read_bytes())
    n_changed = 0
    for code in (256, 257, 278):
        at = -1
        while (at := content.find(struct.pack("<H", code) + b"\x04\x00\x01\x00\x00\x00", at + 1)) >= 0:
            struct.pack_into("<I", content, at + 8, side)
            n_changed += 1
        while (at := content.find(struct.pack("<H", code) + b"\x03\x00\x01\x00\x00\x00", at + 1)) >= 0:
            struct.pack_into("<HI", content, at + 2, 4, 1)
            struct.pack_into("<I", content, at + 8, side)
            n_changed += 1
    assert n_changed >= 3 * len(DATA), "test invalid: the sizes were not found"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ReadError, match=r"expected a plane of 1 to \d+ pixels"):
        open_movie(path, InputOptions("TYX", ("wga",), pixel_size_um=0.1, frame_interval_s=60.0))
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


@pytest.mark.parametrize("axis", "TCZYX")
@pytest.mark.parametrize("size", [10**6, 10**9, 10**12])
def test_ome_xml_that_declares_absurd_sizes_takes_no_memory(tmp_path, axis, size):
    path = tmp_path / "a.ome.tif"
    xml = ome_xml(DATA, ["<TiffData/>"])
    old = {"T": 'SizeT="5"', "C": 'SizeC="2"', "Z": 'SizeZ="1"', "Y": 'SizeY="9"', "X": 'SizeX="11"'}[axis]
    pages(path, [plane for _, _, plane in containers.tcyx(DATA)], xml.replace(old, f'Size{axis}="{size}"'))
    tracemalloc.start()
    with pytest.raises(ReadError, match=r"expected (sizes of a movie|planes of|a whole number)"):
        open_movie(path)
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


@needs_zarr
@pytest.mark.parametrize("shape", [[10**9, 2, 9, 11], [5, 2, 10**6, 10**6], [5, 2, -9, 11], [5, 2, 9, "x"], "x", []])
def test_zarr_that_declares_absurd_sizes_is_refused(tmp_path, shape):
    root = containers.ome_zarr(tmp_path, DATA, "0.4")
    meta = json.loads((root / "0" / ".zarray").read_text())
    (root / "0" / ".zarray").write_text(json.dumps(meta | {"shape": shape}))
    with pytest.raises(ReadError, match="expected sizes of a movie"):
        open_movie(root)
    (root / "0" / ".zarray").write_text(json.dumps(meta | {"chunks": [1, 1, 10**6, 10**6]}))
    with pytest.raises(ReadError, match="chunks of a usual size"):
        open_movie(root)


# --- code and paths ---------------------------------------------------------------------------------------------------


@needs_zarr
@pytest.mark.parametrize(
    "change",
    [
        {"compressor": {"id": "pickle", "protocol": 5}},
        {"filters": [{"id": "pickle"}]},
        {"filters": [{"id": "json2"}]},
        {"compressor": {"id": "nonsense"}},
        {"compressor": "pickle"},
    ],
)
def test_codecs_that_run_code_are_refused(tmp_path, change):
    root = containers.ome_zarr(tmp_path, DATA, "0.4")
    meta = json.loads((root / "0" / ".zarray").read_text())
    (root / "0" / ".zarray").write_text(json.dumps(meta | change))
    with pytest.raises(ReadError, match="expected one of the codecs"):
        open_movie(root)


@needs_zarr
@pytest.mark.parametrize("codec", ["numcodecs.pickle", "vlen-utf8"])
def test_codecs_of_version_3_that_run_code_are_refused(tmp_path, codec):
    root = containers.ome_zarr(tmp_path, DATA, "0.5")
    path = root / "0" / "zarr.json"
    meta = json.loads(path.read_text())
    inner = [{"name": codec}]
    sharding = {"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 1, 4, 4], "codecs": inner}}
    for codecs in (inner, [sharding]):
        path.write_text(json.dumps(meta | {"codecs": codecs}))
        with pytest.raises(ReadError, match="expected one of the codecs"):
            open_movie(root)


@needs_zarr
@pytest.mark.parametrize("place", ["../outside.zarr/0", "/etc", "0/../../outside.zarr/0", "C:0", "", 3, None])
def test_arrays_outside_the_container_are_refused(tmp_path, place):
    containers.ome_zarr(tmp_path, DATA, "0.4", path="outside.zarr")
    root = containers.ome_zarr(tmp_path, DATA, "0.4")
    attributes = json.loads((root / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"][0]["path"] = place
    (root / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(ReadError, match="paths inside the container"):
        open_movie(root)


@needs_zarr
def test_link_out_of_the_container_is_refused(tmp_path):
    outside = containers.ome_zarr(tmp_path, DATA, "0.4", path="outside.zarr")
    root = containers.ome_zarr(tmp_path, DATA, "0.4")
    (root / "0").rename(tmp_path / "away")
    (root / "0").symlink_to(outside / "0")
    with pytest.raises(ReadError, match="paths inside the container"):
        open_movie(root)


def test_companions_that_are_links_out_of_the_folder_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    ome_of_many_files(tmp_path / "out", DATA)
    for file in sorted((tmp_path / "out").iterdir()):
        (tmp_path / "in" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "in" / "movie_2.ome.tif").unlink()
    (tmp_path / "in" / "movie_2.ome.tif").symlink_to(tmp_path / "out" / "movie_2.ome.tif")
    with pytest.raises(ReadError, match=r"same folder, got 'movie_2\.ome\.tif'"):
        open_movie(tmp_path / "in" / "movie_0.ome.tif")
    # a folder of links to one place is how labs share data
    for file in sorted((tmp_path / "in").iterdir()):
        file.unlink()
        file.symlink_to(tmp_path / "out" / file.name)
    np.testing.assert_array_equal(planes(open_movie(tmp_path / "in" / "movie_0.ome.tif")), DATA)


@pytest.mark.parametrize("name", ["../x.companion.ome", "/dev/zero", "a/b.ome.tif", ""])
def test_references_out_of_the_folder_are_refused(tmp_path, name):
    xml = f'<OME xmlns="x"><BinaryOnly MetadataFile="{name}" UUID="u"/></OME>'
    pages(tmp_path / "a.ome.tif", [DATA[0, 0]], xml)
    with pytest.raises(ReadError, match="same folder"):
        open_movie(tmp_path / "a.ome.tif")


def test_references_in_a_circle_are_refused(tmp_path):
    for one, other in ("ab", "ba"):
        pages(tmp_path / f"{one}.ome.tif", [DATA[0, 0]], f'<OME><BinaryOnly MetadataFile="{other}.ome.tif"/></OME>')
    with pytest.raises(ReadError, match="to which it refers"):
        open_movie(tmp_path / "a.ome.tif")


def test_companion_xml_without_its_files(tmp_path):
    path = companion_xml(tmp_path, DATA)
    (tmp_path / "m_3.ome.tif").unlink()
    with pytest.raises(ReadError, match=r"companion file m_3\.ome\.tif beside it, got none"):
        open_movie(path)
    path.unlink()
    with pytest.raises(ReadError, match=r"expected movie\.companion\.ome"):
        open_movie(tmp_path / "m_0.ome.tif")


@pytest.mark.parametrize("name", [b"../outside.tif\0\0\0", b"/etc/passwd\0\0\0\0\0\0"])
def test_ndtiff_index_that_points_outside_is_refused(tmp_path, name):
    folder = ndtiff(tmp_path / "d", DATA)
    index = (folder / "NDTiff.index").read_bytes()
    assert len(name) == 17
    (folder / "NDTiff.index").write_bytes(index.replace(b"d_NDTiffStack.tif", name))
    with pytest.raises(ReadError, match="files in the same folder"):
        open_movie(folder)


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-7"])
def test_entities_are_never_expanded(tmp_path, encoding):
    xml = ome_xml(DATA, ["<TiffData/>"]).replace('Name="a"', 'Name="&b;&e;"')
    xml = xml.replace('<?xml version="1.0"?>', f'<?xml version="1.0" encoding="{encoding}"?>{ENTITIES}')
    path = tmp_path / "a.ome.tif"
    if encoding == "utf-7":  # hides the words from a search
        xml = xml.replace("<!DOCTYPE", "+ADw-!DOCTYPE").replace("<!ENTITY", "+ADw-!ENTITY")
    pages(path, [plane for _, _, plane in containers.tcyx(DATA)], xml)
    with pytest.raises(ReadError, match=r"a\.ome\.tif: expected (plain|intact) OME-XML"):
        open_movie(path)
    (tmp_path / "x.companion.ome").write_text(xml, encoding="utf-8")
    with pytest.raises(ReadError, match=r"expected (plain|intact) OME-XML"):
        open_movie(tmp_path / "x.companion.ome")


def test_entities_in_metaseries_xml_are_refused(tmp_path):
    xml = f"<MetaData>{ENTITIES}</MetaData>"
    pages(tmp_path / "wga.tif", [DATA[0, 0]], xml, software="MetaSeries")
    with pytest.raises(ReadError, match="plain MetaSeries XML"):
        open_movie(tmp_path / "wga.tif")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_devices_do_not_block_a_search(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    CONTAINERS["ome-tiff"](tmp_path, DATA)
    assert [entry.movie_id for entry in find_movies([tmp_path])] == ["movie"]
    with pytest.raises(ReadError, match="folder or device"):
        open_movie(tmp_path / "pipe.tif")
    (tmp_path / "zero.tif").symlink_to("/dev/zero")
    assert len(find_movies([tmp_path])) == 1


def test_pages_in_a_circle_end(tmp_path):
    path = tmp_path / "a.tif"
    content, _ = containers.forge_tiff([DATA[0, 0], DATA[1, 0], DATA[2, 0]])
    content = bytearray(content)
    first = struct.unpack_from("<I", content, 4)[0]
    content[-4:] = struct.pack("<I", first)
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"a\.tif: expected"):
        open_movie(path, InputOptions("TYX", ("wga",), pixel_size_um=0.1, frame_interval_s=60.0))


# --- damage and fuzz --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["NDTiff", "Micro-Manager", "MetaMorph", "companion XML", "ome tiled"])
def test_flipped_bytes_never_crash(tmp_path, name):
    path = CONTAINERS[name](tmp_path, DATA)
    files = sorted(item for item in tmp_path.rglob("*") if item.is_file())
    rng = np.random.default_rng(2)
    n_refused = 0
    for _ in range(60):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        for place in rng.integers(min(len(whole), 2000), size=3):
            damaged[place] ^= int(rng.integers(1, 256))
        file.write_bytes(damaged)
        try:
            planes(open_movie(path))
        except MigradetectError as error:
            check_message(tmp_path, error)
            n_refused += 1
        file.write_bytes(whole)
    assert n_refused > 5
    np.testing.assert_array_equal(planes(open_movie(path)), DATA)


@pytest.mark.parametrize("suffix", ["nd2", "czi", "lif"])
def test_foreign_files_of_any_bytes_are_refused(tmp_path, suffix):
    if not has(f"bioio_{suffix}"):
        pytest.skip("the extra is not installed")
    path = tmp_path / f"a.{suffix}"
    rng = np.random.default_rng(3)
    starts = (b"", b"p\0\0\0", b"\xda\xce\xbe\x0a", b"ZISRAWFILE\0\0\0\0\0\0")
    for content in [b"", b"\0" * 4096, *(start + rng.bytes(3000) for start in starts)]:
        path.write_bytes(content)
        with pytest.raises(ReadError, match=rf"a\.{suffix}: expected"):
            open_movie(path)
    assert scan(find_movies([tmp_path]))["problem"].notna().all()


@pytest.mark.skipif(not has("bioio_lif"), reason="the extra lif is not installed")
def test_cut_lif_is_never_read_as_data(tmp_path):
    path = containers.lif(tmp_path / "a.lif", DATA)
    whole = path.read_bytes()
    for size in (20, len(whole) // 3, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(MigradetectError, match=r"a\.lif: expected"):
            planes(open_movie(path))


@pytest.mark.skipif(not has("bioio_czi") or not has("pylibCZIrw"), reason="the extra czi is not installed")
def test_cut_or_zeroed_czi_is_never_read_as_data(tmp_path):
    path = containers.czi(tmp_path / "a.czi", DATA)
    whole = path.read_bytes()
    options = InputOptions(frame_interval_s=60.0)
    n_refused = 0
    for size in np.linspace(0, len(whole) - 1, 14).astype(int):
        for content in (whole[:size], whole[:size] + b"\0" * (len(whole) - size)):
            path.write_bytes(content)
            try:
                found = planes(open_movie(path, options))
            except MigradetectError as error:
                check_message(path, error)
                n_refused += 1
            else:
                np.testing.assert_array_equal(found, DATA)
    assert n_refused > 20


XML_WORDS = [
    "OME",
    "Image",
    "Pixels",
    "<TiffData",
    'IFD="',
    "SizeT",
    'PlaneCount="9999999"',
    "UUID",
    "FileName",
    "XYZCT",
]
XML_MARKS = [*"<>/=\"'&; \ud7ff\x00", "]]>", "<!--", "-->", "&#0;", "1", "-1", "1e9", "BinaryOnly", "<![CDATA["]
XML_PIECES = st.lists(st.sampled_from([*XML_WORDS, *XML_MARKS]), max_size=12).map("".join)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(XML_PIECES, st.integers(0, 10**6), st.integers(0, 40))
def test_ome_xml_of_any_text_is_read_or_refused(tmp_path, piece, where, cut):
    path = tmp_path / "a.ome.tif"
    whole = ome_xml(DATA, ['<TiffData IFD="0" PlaneCount="10"/>'])
    where %= len(whole)
    xml = whole[:where] + piece + whole[where + cut :]
    try:
        reference_of(path, xml)
        for image in parse_ome(path, xml, 5000):
            assert len(image.planes) <= 5000
    except MigradetectError as error:
        check_message(path, error)


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=60), st.one_of(st.none(), st.sampled_from([r"(?P<t>\d+).*", r"(?P<c>.)(?P<z>\d*)", r"(?P<t>.*)"]))
)
def test_names_of_any_text_are_parsed_or_refused(name, pattern):
    try:
        parts = parse_name(name, pattern)
    except MigradetectError as error:
        assert "--pattern" in str(error)  # noqa: PT017 (both ends are right)
    else:
        assert all(number is None or number >= 0 for number in (parts.t, parts.z))
        assert parse_name(name, pattern) == parts


TOKENS = st.sampled_from(
    [
        "t",
        "T",
        "_",
        "-",
        "w",
        "c",
        "z",
        "s",
        "1",
        "10",
        "0007",
        "GFP",
        "A01",
        "C03",
        "ch",
        "time",
        " ",
        "\u00b2",
        "\u0663",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TOKENS, max_size=10).map("".join))
def test_names_of_tokens_are_parsed(name):
    parts = parse_name(name)
    numbers = [parts.t, parts.z]
    assert all(number is None or str(number) in name for number in numbers)


def test_numbers_of_absurd_length_in_names(tmp_path):
    long = "9" * 200
    tifffile.imwrite(tmp_path / f"a_t{long}.tif", DATA[0, 0])
    tifffile.imwrite(tmp_path / "a_t1.tif", DATA[0, 0])
    table = scan(find_movies([tmp_path]))
    assert table["problem"].notna().all()
    assert all(len(problem) < 1000 for problem in table["problem"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_nd_files_of_any_bytes_are_read(tmp_path, content):
    (tmp_path / "e.nd").write_bytes(b'"NTimePoints", ' + content)
    plan = find_plan(tmp_path, "e_w1_t1.tif")
    assert plan is not None
    assert plan.n_frames is None or plan.n_frames < 10**7


ZARR_KEYS = ["axes", "datasets", "path", "name", "unit", "scale", "coordinateTransformations", "multiscales"]
ANY_JSON = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers()
for _ in range(3):
    ANY_JSON = (
        ANY_JSON | st.lists(ANY_JSON, max_size=2) | st.dictionaries(st.sampled_from(ZARR_KEYS), ANY_JSON, max_size=4)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANY_JSON)
def test_zarr_attributes_of_any_json_are_read_or_refused(tmp_path, value):
    root = tmp_path / "a.zarr"
    root.mkdir(exist_ok=True)
    (root / ".zattrs").write_text(json.dumps({"multiscales": value}))
    with pytest.raises(MigradetectError, match=r"a\.zarr"):
        open_movie(root)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([270, 282, 283, 296, 305, 51123, 33628, 33629]),
    st.integers(1, 5),
    st.binary(min_size=1, max_size=60),
)
def test_tags_of_any_bytes_are_read_or_refused(tmp_path, code, kind, content):
    size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}[kind]
    count = max(1, len(content) // size)
    data, _ = containers.forge_tiff(
        [DATA[0, 0]], extra_tags=[(code, kind, count, content.ljust(count * size, b"\0").ljust(5, b"\0"))]
    )
    path = tmp_path / f"a{len(list(tmp_path.iterdir()))}.tif"
    path.write_bytes(data)
    try:
        read_tiff_facts(path)
        open_movie(path, InputOptions("YX", ("wga",), pixel_size_um=0.1))
    except MigradetectError as error:
        check_message(path, error)


# --- calibration ------------------------------------------------------------------------------------------------------


def imagej(path, size_um, resolutionunit=None, **metadata):
    tifffile.imwrite(
        path,
        DATA[:, 0],
        imagej=True,
        resolution=(1 / size_um, 1 / size_um),
        resolutionunit=resolutionunit,
        metadata={"axes": "TYX", "unit": "um", "finterval": 60.0, **metadata},
    )
    return path


@pytest.mark.parametrize(
    ("size_um", "flags"),
    [
        (0.1, []),
        (1.0, ["pixel_size_is_1"]),
        (0.015, ["pixel_size_unusual"]),
        (2.0, []),
        (2.5, ["pixel_size_unusual"]),
        (0.02, []),
    ],
)
def test_doubtful_pixel_sizes_are_flagged(tmp_path, size_um, flags):
    options = InputOptions(channels=("wga",))
    for path, told in (
        (imagej(tmp_path / "a.tif", size_um), options),
        (imagej(tmp_path / "b.tif", size_um), InputOptions(channels=("wga",), pixel_size_um=size_um)),
    ):
        movie = open_movie(path, told)
        assert movie.provenance["qc_flags"] == flags
        table = scan(find_movies([path], told))
        assert (table["qc_flags"][0] if flags else None) == (flags[0] if flags else None)
        assert len(movie.provenance["warnings"]) == len(flags)


@pytest.mark.parametrize("size_um", [12.5, 1000.0, 0.005])
def test_impossible_pixel_sizes_are_refused(tmp_path, size_um):
    with pytest.raises(CalibrationError, match="--pixel-size-um"):
        open_movie(imagej(tmp_path / "a.tif", size_um), InputOptions(channels=("wga",)))


def test_config_wins_over_the_file_and_both_are_kept(tmp_path):
    path = CONTAINERS["ome-tiff"](tmp_path, DATA)
    told = InputOptions(pixel_size_um=0.2, pixel_size_source="config", frame_interval_s=60.0)
    movie = open_movie(path, told)
    assert (movie.calibration.pixel_size_um, movie.calibration.pixel_size_source) == (0.2, "config")
    assert movie.provenance["calibration_found"]["pixel_size_um"] == [
        {"value": 0.2, "source": "config"},
        {"value": 0.125, "source": "OME-XML"},
    ]
    assert movie.provenance["qc_flags"] == ["calibration_conflict"]
    first, second = movie.provenance["warnings"]
    assert "pixel size: 0.2 um (config) is used, not 0.125 um (OME-XML)" in first
    assert "frame interval: 60 s (command line) is used, not 120 s (OME-XML)" in second
    agrees = open_movie(path, InputOptions(pixel_size_um=0.125, frame_interval_s=120.0))
    assert agrees.provenance["warnings"] == []


def test_tags_that_disagree_within_a_file(tmp_path):
    content, _ = containers.forge_tiff(
        [DATA[0, 0]],
        extra_tags=[
            (270, 2, 40, b"ImageJ=1.53t\nimages=1\nunit=um\n".ljust(40, b"\0")),
            (282, 5, 1, struct.pack("<II", 50000, 1)),
            (283, 5, 1, struct.pack("<II", 50000, 1)),
            (296, 3, 1, 3),
        ],
    )
    (tmp_path / "wga.tif").write_bytes(content)
    with pytest.raises(CalibrationError):
        # 50,000 pixels per um by the description, per cm by the tag: 0.00002 um or 0.2 um
        open_movie(tmp_path / "wga.tif")
    movie = open_movie(tmp_path / "wga.tif", InputOptions(pixel_size_um=0.2))
    assert movie.provenance["qc_flags"] == ["calibration_conflict"]
    assert "(ImageJ)" in movie.provenance["warnings"][0]


def test_plan_and_clock_that_disagree(tmp_path):
    micromanager(tmp_path, DATA, summary={"Interval_ms": 60000.0})
    movie = open_movie(tmp_path / "movie_MMStack.tif")
    assert movie.calibration.frame_interval_s == 60.0
    assert "60 s (Micro-Manager) is used, not 120 s (Micro-Manager clock)" in movie.provenance["warnings"][0]


def test_axes_that_ndtiff_may_have_but_a_movie_not(tmp_path):
    folder = ndtiff(tmp_path / "d", DATA)
    index = (folder / "NDTiff.index").read_bytes()
    (folder / "NDTiff.index").write_bytes(index.replace(b'"time"', b'"tile"'))
    with pytest.raises(AxesError, match="got tile"):
        open_movie(folder)
