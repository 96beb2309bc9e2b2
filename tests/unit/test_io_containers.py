"""Metamorphic: the same pixels in any container, byte order or axis order are the same movie."""

import importlib.util
import json
import pickle
import struct
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import containers
import numpy as np
import pandas as pd
import pytest
import tifffile
from containers import CONTAINERS, NAMES, ome_zarr, positions_in_one_file
from test_io_damage import check_message
from test_io_movies import REAL, needs_real, planes

from migradetect.errors import AxesError, MigradetectError, ReadError
from migradetect.io import InputOptions, find_movies, input_hash, open_movie, scan
from migradetect.params import load_params
from migradetect.pipeline import analyze


def has(module):
    return importlib.util.find_spec(module) is not None


needs_zarr = pytest.mark.skipif(not has("zarr"), reason="the extra zarr is not installed")


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return rng.integers(1, 60000, (5, 2, 9, 11)).astype(np.uint16)


@pytest.mark.parametrize("name", CONTAINERS)
def test_same_movie_from_any_container(tmp_path, data, name):
    path = CONTAINERS[name](tmp_path, data)
    movie = pickle.loads(pickle.dumps(open_movie(path)))
    np.testing.assert_array_equal(planes(movie), data)
    assert movie.roles == ("tspan4", "wga")
    assert [channel.name for channel in movie.channels] == list(NAMES)
    assert (movie.calibration.pixel_size_um, movie.calibration.frame_interval_s) == (0.125, 120.0)
    assert movie.provenance["warnings"] == []
    assert movie.provenance["qc_flags"] == []
    (entry,) = find_movies([tmp_path])
    assert scan([entry])["problem"].isna().all()
    found = open_movie(entry)
    np.testing.assert_array_equal(planes(found), data)
    # every file that holds pixels counts for the hash, so a changed one is noticed
    before = input_hash(entry)
    last = max(entry.files, key=lambda file: file.stat().st_size)
    last.write_bytes(last.read_bytes() + b"\0")
    assert input_hash(entry) != before


@needs_zarr
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float32"])
def test_same_movie_from_ome_zarr(tmp_path, data, version, dtype):
    data = data.astype(np.dtype(dtype).newbyteorder("="))
    if version == "0.5" and dtype == ">u2":
        dtype = "uint16"  # version 3 keeps the byte order in a codec
    ome_zarr(tmp_path, data, version, dtype=dtype)
    (entry,) = find_movies([tmp_path])
    movie = pickle.loads(pickle.dumps(open_movie(entry)))
    np.testing.assert_array_equal(planes(movie), data)
    assert (entry.movie_id, entry.kind, movie.roles) == ("movie", "ome-zarr", ("tspan4", "wga"))
    assert (movie.calibration.pixel_size_um, movie.calibration.frame_interval_s) == (0.125, 120.0)
    assert movie.calibration.pixel_size_source == "OME-Zarr"


@needs_zarr
def test_axis_order_of_ome_zarr_does_not_matter(tmp_path, data):
    full = np.stack([data, data // 2], axis=2)  # T, C, Z
    for order in permutations((0, 1, 2)):
        axes = "".join("tcz"[i] for i in order) + "yx"
        ome_zarr(tmp_path, full.transpose(*order, 3, 4), "0.5", path=f"{axes}.zarr", axes=axes)
        movie = open_movie(tmp_path / f"{axes}.zarr", InputOptions(projection="max"))
        np.testing.assert_array_equal(planes(movie), data, err_msg=axes)


@pytest.mark.skipif(not has("bioio_czi") or not has("pylibCZIrw"), reason="the extra czi is not installed")
def test_czi(tmp_path, data):
    path = containers.czi(tmp_path / "movie.czi", data)
    assert "--frame-interval-s" in scan(find_movies([path]))["problem"][0], "the forged file has no time stamps"
    movie = pickle.loads(pickle.dumps(open_movie(path, InputOptions(frame_interval_s=120.0))))
    np.testing.assert_array_equal(planes(movie), data)
    assert (movie.roles, movie.calibration.pixel_size_source) == (("tspan4", "wga"), "CZI")
    assert movie.calibration.pixel_size_um == pytest.approx(0.125)


@pytest.mark.skipif(not has("bioio_czi") or not has("pylibCZIrw"), reason="the extra czi is not installed")
def test_plane_that_is_missing_in_a_czi_is_not_read_as_black(tmp_path, data):
    from pylibCZIrw import czi as library

    with library.create_czi(str(tmp_path / "a.czi")) as document:
        for t, c, plane in containers.tcyx(data):
            if (t, c) != (2, 1):
                document.write(plane[..., np.newaxis], plane={"T": t, "C": c, "Z": 0})
        document.write_metadata("a", channel_names=dict(enumerate(NAMES)), scale_x=1e-7, scale_y=1e-7)
    with pytest.raises(ReadError, match=r"a\.czi: expected"):
        planes(open_movie(tmp_path / "a.czi", InputOptions(frame_interval_s=120.0)))


@pytest.mark.skipif(not has("bioio_lif"), reason="the extra lif is not installed")
def test_lif(tmp_path, data):
    path = containers.lif(tmp_path / "movie.lif", data)
    movie = pickle.loads(pickle.dumps(open_movie(path)))
    np.testing.assert_array_equal(planes(movie), data)
    assert (movie.roles, movie.calibration.frame_interval_s) == (("tspan4", "wga"), 120.0)
    assert movie.calibration.pixel_size_um == pytest.approx(0.125)


@needs_real
@pytest.mark.skipif(not has("bioio_nd2"), reason="the extra nd2 is not installed")
def test_real_nd2():
    import nd2

    path = REAL / "nd2" / "example-timelapse.nd2"
    movie = open_movie(path, InputOptions(channels=("wga",)))
    with nd2.ND2File(path) as file:
        np.testing.assert_array_equal(planes(movie)[:, 0], file.asarray())
    assert (movie.n_frames, movie.calibration.pixel_size_um, movie.calibration.pixel_size_source) == (53, 0.325, "ND2")
    assert movie.calibration.frame_interval_s == pytest.approx(0.50016, abs=1e-5)
    assert movie.calibration.frame_interval_source == "ND2 clock"


@needs_real
def test_real_ndtiff():
    folder = REAL / "micromanager"
    movie = open_movie(folder, InputOptions(channels=("wga",), frame_interval_s=60.0))
    np.testing.assert_array_equal(planes(movie)[:, 0], tifffile.imread(next(folder.glob("*.tif"))))
    assert movie.calibration.pixel_size_source == "Micro-Manager"
    assert movie.provenance["qc_flags"] == ["pixel_size_is_1"]
    assert find_movies([next(folder.glob("*.tif"))])[0].kind == "ndtiff", "a stack is read by the index beside it"


@pytest.mark.parametrize("suffix", ["nd2", "czi", "lif", "zarr"])
def test_absent_reader_names_the_command(tmp_path, monkeypatch, suffix):
    def refuse(name):
        raise ImportError(name)

    # a namespace of its own: the tests need the real one
    monkeypatch.setattr("migradetect.io.extras.importlib", SimpleNamespace(import_module=refuse))
    path = tmp_path / f"a.{suffix}"
    if suffix == "zarr":
        (path / "0").mkdir(parents=True)
        (path / ".zattrs").write_text(json.dumps(containers.zarr_attributes("0.4")))
        (path / "0" / ".zarray").write_text('{"shape": [2, 1, 4, 4], "chunks": [1, 1, 4, 4], "dtype": "<u2"}')
    else:
        path.write_bytes(b"x")
    assert f'pip install "migradetect[{suffix}]"' in scan(find_movies([tmp_path]))["problem"][0]
    with pytest.raises(ReadError, match=r"pip install"):
        open_movie(path)


# --- positions --------------------------------------------------------------------------------------------------------


def test_positions_of_an_ome_tiff_are_movies_of_their_own(tmp_path, data):
    path = positions_in_one_file(tmp_path / "plate.ome.tif", [data, data + 1])
    entries = find_movies([tmp_path])
    assert [entry.movie_id for entry in entries] == ["plate_A", "plate_B"]
    for number, entry in enumerate(entries):
        np.testing.assert_array_equal(planes(open_movie(entry)), data + number)
    assert len({input_hash(entry) for entry in entries}) == 2
    with pytest.raises(ReadError, match=r"expected one movie, got 2 \(plate_A, plate_B\)"):
        open_movie(path)
    positions_in_one_file(path, [data, data], names=("x", "X"))
    assert [entry.movie_id for entry in find_movies([path])] == ["plate_pos1", "plate_pos2"], "names that do not differ"


def test_positions_of_an_ndtiff_are_movies_of_their_own(tmp_path, data):
    containers.ndtiff(tmp_path / "exp", data, positions=("B03", "B04"))
    entries = find_movies([tmp_path])
    assert [entry.movie_id for entry in entries] == ["exp_B03", "exp_B04"]
    np.testing.assert_array_equal(planes(open_movie(entries[1])), data + 1)


def test_positions_in_files_of_their_own_keep_the_names_of_the_files(tmp_path, data):
    blocks = [
        f'<TiffData IFD="0" PlaneCount="10"><UUID FileName="x_MMStack_Pos{p}.ome.tif">u{p}</UUID></TiffData>'
        for p in range(2)
    ]
    for p in range(2):  # Micro-Manager repeats the whole XML in each
        xml = containers.ome_xml(data, blocks, f' UUID="u{p}"', image_names=("Pos0", "Pos1"))
        pages = [plane + np.uint16(p) for _, _, plane in containers.tcyx(data)]
        containers.pages(tmp_path / f"x_MMStack_Pos{p}.ome.tif", pages, xml)
    entries = find_movies([tmp_path])
    assert [entry.movie_id for entry in entries] == ["x_MMStack_Pos0", "x_MMStack_Pos1"]
    np.testing.assert_array_equal(planes(open_movie(entries[1])), data + 1)


def test_planes_of_micromanager_in_files_of_their_own(tmp_path, data):
    for t, c, plane in containers.tcyx(data):
        tags = {"FrameIndex": t, "ChannelIndex": c, "Channel": NAMES[c], "PixelSizeUm": 0.125, "Frames": 99}
        tags["Summary"] = {"Interval_ms": 120000.0}
        content, _ = containers.forge_tiff([plane], page_tags=[[containers.json_tag(tags)]])
        (tmp_path / f"img_{t:09d}_{NAMES[c]}_000.tif").write_bytes(content)
    movie = open_movie(tmp_path)
    np.testing.assert_array_equal(planes(movie), data)
    assert (movie.calibration.pixel_size_um, movie.calibration.frame_interval_s) == (0.125, 120.0)


@needs_zarr
def test_wells_of_an_ome_zarr_plate_are_movies_of_their_own(tmp_path, data):
    import zarr

    root = zarr.open_group(tmp_path / "p.zarr", mode="w")
    root.attrs["ome"] = {"plate": {"wells": [{"path": "B/3"}, {"path": "B/4"}]}}
    for number, well in enumerate(("B/3", "B/4")):
        root.create_group(well).attrs["ome"] = {"well": {"images": [{"path": "0"}]}}
        ome_zarr(tmp_path, data + number, "0.5", path=f"p.zarr/{well}/0")
    entries = find_movies([tmp_path])
    assert [entry.movie_id for entry in entries] == ["p_B03_f0", "p_B04_f0"]
    np.testing.assert_array_equal(planes(open_movie(entries[1])), data + 1)


# --- what a container may not hold ------------------------------------------------------------------------------------


def test_stk_of_metamorph(tmp_path, data):
    movie = open_movie(containers.stk(tmp_path / "x_wga.stk", data[:, 0]))
    np.testing.assert_array_equal(planes(movie)[:, 0], data[:, 0])
    assert (movie.calibration.frame_interval_s, movie.calibration.pixel_size_source) == (120.0, "MetaMorph")
    containers.stk(tmp_path / "x_wga.stk", data[:, 0], z_um=0.5)
    with pytest.raises(AxesError, match=r"5 slices .*--axes TYX.*--projection max"):
        open_movie(tmp_path / "x_wga.stk")
    content = (tmp_path / "x_wga.stk").read_bytes()
    (tmp_path / "x_wga.stk").write_bytes(content.replace(b"\x5d\x83\x05\0\x05", b"\x5d\x83\x05\0\x09"))
    with pytest.raises(ReadError, match="expected"):
        open_movie(tmp_path / "x_wga.stk")


def test_stk_per_frame_and_channel(tmp_path, data):
    for t, c, plane in containers.tcyx(data):
        containers.stk(tmp_path / f"e_w{c + 1}{NAMES[c]}_s1_t{t + 8}.stk", [plane, plane // 2], z_um=0.5)
    (entry,) = find_movies([tmp_path])
    movie = open_movie(entry, InputOptions(projection="max", frame_interval_s=60.0))
    np.testing.assert_array_equal(planes(movie), data)
    assert (entry.movie_id, movie.roles) == ("e_s1", ("tspan4", "wga"))
    assert movie.calibration.pixel_size_source == "MetaMorph"


def test_wells_of_positions_are_found_in_the_plate(tmp_path, data):
    positions_in_one_file(tmp_path / "plate.ome.tif", [data, data], names=("B03", "B04"))
    (tmp_path / "plate.csv").write_text("well,condition\nB3,x\nB4,y\n")
    assert [dict(entry.annotations)["condition"] for entry in find_movies([tmp_path])] == ["x", "y"]


def test_imagej_stack_above_4_gb(tmp_path):
    n, side = 600, 2048  # 5 GB, of which the disk holds only what is written
    path = tmp_path / "x_wga.tif"
    text = f"ImageJ=1.53t\nimages={n}\nframes={n}\nunit=um\nfinterval=60.0\ntunit=s\n".encode() + b"\0"
    tags = [(270, 2, len(text), text), (282, 5, 1, struct.pack("<II", 8, 1)), (283, 5, 1, struct.pack("<II", 8, 1))]
    head, _ = containers.forge_tiff([np.ones((1, 1), np.uint16)], extra_tags=[*tags, (296, 3, 1, 1)])
    start = 4096  # behind the directory, as ImageJ writes it
    head = bytearray(head)
    for code, value in ((256, side), (257, side), (278, side), (273, start), (279, side * side * 2)):
        at = head.rindex(struct.pack("<HHI", code, 4, 1))
        struct.pack_into("<I", head, at + 8, value)
    path.write_bytes(bytes(head))
    with path.open("r+b") as file:
        file.truncate(start + n * side * side * 2)
        file.seek(start + (n - 1) * side * side * 2)
        file.write(np.full(8, 4321, "<u2").tobytes())
    movie = open_movie(path)
    assert movie.n_frames == n
    assert path.stat().st_size > 2**32
    assert movie.frame(n - 1, "wga")[0, :9].tolist() == [4321.0] * 8 + [0.0]
    with path.open("r+b") as file:
        file.truncate(start + n * side * side * 2 - 1)
    with pytest.raises(ReadError, match="cut off"):
        open_movie(path)


def test_stacks_of_micromanager_that_are_incomplete(tmp_path, data):
    containers.micromanager(tmp_path, data, n_files=3)
    (tmp_path / "movie_MMStack_1.tif").unlink()
    with pytest.raises(ReadError, match=r"missing is frame 2"):
        open_movie(tmp_path / "movie_MMStack.tif")
    containers.micromanager(tmp_path, data, n_files=1, summary={"Frames": 9})
    (tmp_path / "movie_MMStack_2.tif").unlink()
    movie = open_movie(tmp_path / "movie_MMStack.tif")
    assert movie.provenance["qc_flags"] == ["fewer_frames_than_planned"]
    assert "5 frames, 9 were planned" in movie.provenance["warnings"][0]


def test_metamorph_that_was_stopped_says_so(tmp_path, data):
    containers.metamorph(tmp_path, data, planned=8)
    movie = open_movie(tmp_path)
    assert movie.provenance["qc_flags"] == ["fewer_frames_than_planned"]
    assert "8 were planned (exp.nd)" in movie.provenance["warnings"][0]
    assert movie.calibration.frame_interval_source == "MetaMorph clock"


@pytest.mark.parametrize("name", ["NDTiff", "Micro-Manager", "MetaMorph", "companion XML", "ome of many files"])
def test_cut_files_are_never_read_as_data(tmp_path, data, name):
    path = CONTAINERS[name](tmp_path, data)
    for file in sorted(item for item in tmp_path.rglob("*") if item.suffix.lower() in (".tif", ".index", ".ome")):
        whole = file.read_bytes()
        for size in (0, 7, len(whole) // 3, len(whole) // 2, len(whole) - 40):
            file.write_bytes(whole[:size])
            try:
                found = planes(open_movie(path))
            except MigradetectError as error:
                check_message(tmp_path, error)
            else:
                np.testing.assert_array_equal(found, data)
        file.write_bytes(whole)
    np.testing.assert_array_equal(planes(open_movie(path)), data)


@needs_zarr
def test_chunks_that_are_missing_or_damaged(tmp_path, data):
    root = ome_zarr(tmp_path, data, "0.4")
    chunks = sorted(file for file in (root / "0").rglob("*") if file.is_file() and not file.name.startswith("."))
    whole = chunks[7].read_bytes()
    chunks[7].unlink()
    with pytest.raises(ReadError, match=r"expected \d+ chunks, got \d+ \(missing ones read as zeros\)"):
        open_movie(root)
    chunks[7].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match="expected intact Zarr data"):
        planes(open_movie(root))
    chunks[7].write_bytes(whole)
    np.testing.assert_array_equal(planes(open_movie(root)), data)


def test_tables_do_not_depend_on_the_container(tmp_path):
    """End to end, once: a movie as OME-TIFF, big-endian ImageJ stack, sequence and NDTiff gives the same tables."""
    sample = open_movie(Path(__file__).parents[2] / "sample_data" / "movies" / "movie_b.tif")
    data = np.stack([[sample.source.read(t, c) for c in range(2)] for t in range(6)])
    # the forged files have smaller pixels than the sample
    params = load_params(overrides={"cells.min_area_um2": 40.0})
    expected = None
    for name in ("ome-tiff", "ome big-endian tiled zlib", "NDTiff"):
        folder = tmp_path / name
        folder.mkdir()
        path = CONTAINERS[name](folder, data)
        results = analyze(open_movie(path, movie_id="movie"), params)
        if expected is None:
            expected = results
            assert len(expected.cells), "test invalid: nothing to compare"
        for table, frame in results.tables.items():
            assert list(frame.columns) == list(expected.tables[table].columns)
            pd.testing.assert_frame_equal(frame, expected.tables[table], obj=f"{table} of {name}")
