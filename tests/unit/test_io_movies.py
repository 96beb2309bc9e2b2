import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from migradetect.calibration import Calibration
from migradetect.errors import AxesError, CalibrationError, MigradetectError, ReadError
from migradetect.io import InputOptions, find_movies, open_movie, scan, write_movie

CALIBRATION = Calibration(0.108, 120.0)
NAMES = ("TSPAN4-GFP", "WGA")
REAL = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not part of the project")
TOLD = InputOptions(pixel_size_um=0.1, frame_interval_s=60.0, channels=("tspan4", "wga"))


def ramp(shape, dtype="uint16"):
    """Every pixel of its own value, as far as the type goes."""
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % 251).astype(dtype)


def planes(movie):
    return np.stack([[movie.source.read(t, c) for c in range(len(movie.channels))] for t in range(movie.n_frames)])


@pytest.fixture
def data():
    return ramp((3, 2, 5, 4))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kind", ["ome-tiff", "imagej", "sequence"])
def test_what_is_written_is_read(tmp_path, kind, dtype):
    data = ramp((3, 2, 5, 4), dtype)
    before = data.copy()
    path = tmp_path / ("movie" if kind == "sequence" else "movie.ome.tif" if kind == "ome-tiff" else "movie.tif")
    write_movie(path, data, "TCYX", CALIBRATION, NAMES, kind)
    np.testing.assert_array_equal(data, before)
    movie = pickle.loads(pickle.dumps(open_movie(path)))
    np.testing.assert_array_equal(planes(movie), data)
    assert movie.dtype == dtype
    assert planes(movie).dtype == dtype
    assert movie.roles == ("tspan4", "wga")
    assert movie.movie_id == "movie"
    assert movie.calibration.pixel_size_um == pytest.approx(0.108, rel=1e-6)
    assert movie.calibration.frame_interval_s == 120.0
    assert movie.calibration.pixel_size_source == ("OME-XML" if kind == "ome-tiff" else "ImageJ")


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(2, 5)),
    st.permutations("TCZ"),
    st.sampled_from(["uint8", "uint16", "float32"]),
)
def test_same_pixels_in_any_container(tmp_path_factory, sizes, order, dtype):
    folder = tmp_path_factory.mktemp("any")
    full = ramp(sizes, dtype)  # T, C, Z, Y, X
    stored = np.ascontiguousarray(full.transpose([*("TCZ".index(axis) for axis in order), 3, 4]))
    names = ("tspan4", "wga", "actin")[: sizes[1]]
    options = InputOptions(projection="max")
    for kind in ("ome-tiff", "imagej", "sequence"):
        path = folder / {"ome-tiff": "a.ome.tif", "imagej": "a.tif", "sequence": "a"}[kind]
        write_movie(path, stored, "".join(order) + "YX", CALIBRATION, names, kind)
        movie = open_movie(path, options)
        np.testing.assert_array_equal(planes(movie), full.max(axis=2), err_msg=kind)


def test_bytes_are_the_same_every_time(tmp_path, data):
    for kind in ("ome-tiff", "imagej"):
        write_movie(tmp_path / "a.tif", data, "TCYX", CALIBRATION, NAMES, kind)
        write_movie(tmp_path / "b.tif", data, "TCYX", CALIBRATION, NAMES, kind)
        assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_projections(tmp_path):
    data = np.full((2, 1, 3, 2, 2), 60000, dtype=np.uint16)
    data[0, 0, 1] = 60001
    write_movie(tmp_path / "a.ome.tif", data, "TCZYX", CALIBRATION, ["wga"])
    with pytest.raises(AxesError, match="--projection"):
        open_movie(tmp_path / "a.ome.tif")
    largest = open_movie(tmp_path / "a.ome.tif", InputOptions(projection="max"))
    assert largest.dtype == "uint16"
    assert largest.frame(0, "wga")[0, 0] == 60001
    total = open_movie(tmp_path / "a.ome.tif", InputOptions(projection="sum"))
    assert total.dtype == "float32"
    assert total.frame(0, "wga")[0, 0] == 180001  # no wrap at 65535


def test_z_stack_alone_is_one_frame_only_if_told(tmp_path):
    write_movie(tmp_path / "a.tif", ramp((6, 4, 4)), "ZYX", CALIBRATION, ["wga"], "imagej")
    with pytest.raises(AxesError, match=r"6 slices .*--axes TYX.*--projection max"):
        open_movie(tmp_path / "a.tif")
    movie = open_movie(tmp_path / "a.tif", InputOptions(projection="max"))
    assert (movie.n_frames, movie.calibration.frame_interval_s) == (1, None)
    movie = open_movie(tmp_path / "a.tif", InputOptions(axes="TYX", channels=("wga",)))
    assert (movie.n_frames, movie.calibration.frame_interval_s) == (6, 120.0)
    np.testing.assert_array_equal(planes(movie)[:, 0], ramp((6, 4, 4)))


def test_one_frame_alone(tmp_path):
    write_movie(tmp_path / "fixed_wga.tif", ramp((4, 5)), "YX", Calibration(0.1), kind="imagej")
    movie = open_movie(tmp_path / "fixed_wga.tif")
    assert (movie.n_frames, movie.roles, movie.calibration.frame_interval_s) == (1, ("wga",), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (InputOptions(), "--axes TYX"),
        (InputOptions(axes="TCYX"), "--channels tspan4,wga"),
        (InputOptions(axes="TCYX", channels=("tspan4", "wga", "actin")), "can't be divided by 3"),
        (InputOptions(axes="TZYX", channels=("wga",)), "size of Z"),
        (InputOptions(axes="XYT"), "ending in YX"),
        (InputOptions(axes="TTYX"), "each once"),
        (InputOptions(axes="YX"), "as many axes"),
        (InputOptions(axes="TYX"), "--channels"),
        (InputOptions(axes="TYX", channels=("wga",)), "--pixel-size-um"),
        (InputOptions(axes="TYX", channels=("wga",), pixel_size_um=0.1), "--frame-interval-s"),
        (InputOptions(axes="TYX", channels=("wga",), pixel_size_um=50.0, frame_interval_s=1.0), "got 50 um"),
        (InputOptions(axes="TYX", channels=("wga",), pixel_size_um=0.1, frame_interval_s=-1.0), "got -1 s"),
        (InputOptions(axes="TYX", channels=("wga",), pixel_size_um=float("nan"), frame_interval_s=1.0), "nan"),
    ],
)
def test_plain_tiff_says_what_it_needs(tmp_path, options, message):
    tifffile.imwrite(tmp_path / "a.tif", ramp((8, 5, 4)), metadata=None, photometric="minisblack")
    with pytest.raises(MigradetectError, match=message) as error:
        open_movie(tmp_path / "a.tif", options)
    assert str(tmp_path / "a.tif") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("axes", "shape"), [("TCYX", (4, 2, 5, 4)), ("CTYX", (2, 4, 5, 4))])
def test_plain_tiff_with_axes(tmp_path, axes, shape):
    data = ramp(shape)
    tifffile.imwrite(tmp_path / "a.tif", data.reshape(8, 5, 4), metadata=None, photometric="minisblack")
    movie = open_movie(
        tmp_path / "a.tif", InputOptions(axes, ("tspan4", "wga"), pixel_size_um=0.1, frame_interval_s=60.0)
    )
    np.testing.assert_array_equal(planes(movie), data if axes == "TCYX" else data.transpose(1, 0, 2, 3))
    assert movie.calibration.pixel_size_source == "command line"


def test_printer_resolution_is_no_calibration(tmp_path):
    for unit, resolution in ((2, (72, 72)), (1, (9.26, 9.26))):
        tifffile.imwrite(tmp_path / "wga.tif", ramp((5, 4)), metadata=None, resolution=resolution, resolutionunit=unit)
        with pytest.raises(CalibrationError, match="--pixel-size-um"):
            open_movie(tmp_path / "wga.tif")


@pytest.mark.parametrize(
    ("unit", "per_unit", "um"),
    [
        ("micron", 10, 0.1),
        ("um", 5, 0.2),
        ("\\u00B5m", 5, 0.2),
        ("nm", 0.01, 0.1),
        ("inch", 254000, 0.1),
        ("cm", 1e5, 0.1),
    ],
)
def test_imagej_units(tmp_path, unit, per_unit, um):
    tifffile.imwrite(
        tmp_path / "a_wga.tif",
        ramp((3, 5, 4)),
        imagej=True,
        resolution=(per_unit, per_unit),
        metadata={"axes": "TYX", "unit": unit, "finterval": 2.0, "tunit": "min"},
    )
    calibration = open_movie(tmp_path / "a_wga.tif").calibration
    assert calibration.pixel_size_um == pytest.approx(um, rel=1e-4)
    assert calibration.frame_interval_s == 120.0


@pytest.mark.parametrize("unit", ["", "pixel", "inches per mile"])
def test_imagej_resolution_without_a_unit_is_no_calibration(tmp_path, unit):
    tifffile.imwrite(
        tmp_path / "a_wga.tif",
        ramp((5, 4)),
        imagej=True,
        resolution=(9.26, 9.26),
        metadata={"axes": "YX", "unit": unit},
    )
    with pytest.raises(CalibrationError, match="expected a pixel size, got none"):
        open_movie(tmp_path / "a_wga.tif")


def ome(path, data, **metadata):
    tifffile.imwrite(path, data, photometric="minisblack", ome=True, metadata={"axes": "TCYX"} | metadata)


def test_ome_units_and_plane_times(tmp_path, data):
    ome(
        tmp_path / "a.ome.tif",
        data,
        PhysicalSizeX=108.0,
        PhysicalSizeXUnit="nm",
        PhysicalSizeY=0.108,
        PhysicalSizeYUnit="µm",
        Channel={"Name": ["WGA", "tspan4"]},
        Plane={"DeltaT": [0.0, 0.1, 90.0, 90.1, 180.0, 180.1], "DeltaTUnit": ["s"] * 6},
    )
    movie = open_movie(tmp_path / "a.ome.tif")
    assert movie.calibration.pixel_size_um == pytest.approx(0.108)
    assert movie.calibration.frame_interval_s == 90.0
    assert movie.calibration.frame_interval_source == "OME-XML DeltaT"
    assert movie.roles == ("wga", "tspan4")


def test_pixels_that_are_not_square_are_refused(tmp_path, data):
    ome(tmp_path / "a.ome.tif", data, PhysicalSizeX=0.1, PhysicalSizeY=0.2, Channel={"Name": ["wga", "tspan4"]})
    with pytest.raises(CalibrationError, match="square"):
        open_movie(tmp_path / "a.ome.tif")
    assert open_movie(tmp_path / "a.ome.tif", TOLD).calibration.pixel_size_um == 0.1


def test_unnamed_channels_are_refused(tmp_path, data):
    write_movie(tmp_path / "two.ome.tif", data, "TCYX", CALIBRATION)
    write_movie(tmp_path / "one.ome.tif", data[:, 0], "TYX", CALIBRATION)
    for name in ("one", "two"):
        with pytest.raises(AxesError, match="--channels tspan4,wga"):
            open_movie(tmp_path / f"{name}.ome.tif")
    assert open_movie(tmp_path / "one.ome.tif", InputOptions(channels=("wga",))).roles == ("wga",)


@pytest.mark.parametrize(
    ("channels", "roles"),
    [
        (None, ("brightfield", "wga", "lamp_1")),
        (("tspan4", "-", "WGA"), ("tspan4", "wga")),
        (("tspan4=Brightfield",), ("tspan4", "wga", "lamp_1")),
        (("tspan4=2", "wga=0"), ("wga", "wga_af647", "tspan4")),
    ],
)
def test_roles_by_order_name_and_index(tmp_path, channels, roles):
    data = ramp((2, 3, 4, 4))
    write_movie(tmp_path / "a.ome.tif", data, "TCYX", CALIBRATION, ["Brightfield", "WGA-AF647", "Lamp 1"])
    movie = open_movie(tmp_path / "a.ome.tif", InputOptions(channels=channels))
    assert movie.roles == roles
    used = [0, 2] if len(roles) == 2 else [0, 1, 2]
    np.testing.assert_array_equal(planes(movie), data[:, used])


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (("wga",), "expected 2 roles"),
        (("wga", "wga"), "one channel per role"),
        (("wga=TSPAN",), "did you mean 'TSPAN4-GFP'"),
        (("wga=5",), "counted from 0"),
        (("wga=0", "tspan4=0"), "one role per channel"),
        (("wga=0", "tspan4"), "every item"),
        (("actin", "dna"), "named TSPAN4 or WGA"),
    ],
)
def test_roles_that_do_not_fit(tmp_path, data, channels, message):
    write_movie(tmp_path / "a.ome.tif", data, "TCYX", CALIBRATION, NAMES)
    with pytest.raises(AxesError, match=message):
        open_movie(tmp_path / "a.ome.tif", InputOptions(channels=channels))


def test_inputs_are_never_changed(tmp_path, data):
    path = tmp_path / "a.ome.tif"
    write_movie(path, data, "TCYX", CALIBRATION, NAMES)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    before = hashlib.sha256(path.read_bytes()).digest()
    scan(find_movies([tmp_path]))
    planes(open_movie(path))
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert path.stat().st_mtime == 1_000_000_000
    assert [item.name for item in tmp_path.iterdir()] == ["a.ome.tif"]


@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (5, 4, 3)])
def test_colour_images_are_refused(tmp_path, shape):
    tifffile.imwrite(tmp_path / "a.tif", ramp(shape, "uint8"), photometric="rgb")
    with pytest.raises(AxesError, match="colour"):
        open_movie(tmp_path / "a.tif", TOLD)


def test_other_pixel_types_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", ramp((3, 5, 4), "int32"), photometric="minisblack")
    with pytest.raises(AxesError, match=r"uint8, uint16, float32 pixels, got int32"):
        open_movie(tmp_path / "a.tif", TOLD)


def test_frame_that_is_damaged_later_says_so(tmp_path, data):
    path = tmp_path / "a.tif"
    write_movie(path, data, "TCYX", CALIBRATION, NAMES, "imagej")
    movie = open_movie(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ReadError, match="changed since"):
        movie.frame(2, "wga")


@needs_real
def test_real_imagej_time_lapse():
    path = REAL / "imagej" / "xyt_calibrated_16bit__golgi_bfa_sum_projection.tif"
    with pytest.raises(AxesError, match="--channels"):
        open_movie(path)
    movie = open_movie(path, InputOptions(channels=("wga",)))
    assert movie.n_frames == 30
    assert movie.calibration.frame_interval_s == 59.86
    assert movie.calibration.pixel_size_um == pytest.approx(0.35143, abs=1e-5)
    np.testing.assert_array_equal(planes(movie)[:, 0], tifffile.imread(path))


@needs_real
def test_real_imagej_z_stack_is_refused():
    path = REAL / "imagej" / "xyz_calibrated_16bit__golgi_bfa.tif"
    with pytest.raises(AxesError, match=r"25 slices .*--axes TYX.*--projection max"):
        open_movie(path, InputOptions(channels=("wga",)))
    np.testing.assert_array_equal(
        open_movie(path, InputOptions(channels=("wga",), projection="max")).frame(0, "wga"),
        tifffile.imread(path).max(0),
    )


@needs_real
@pytest.mark.parametrize("name", ["CZT_peaks", "TC_BF_cells", "TZ_nucleus"])
def test_real_ome_tiff(name):
    path = REAL / "ome_tiff" / f"{name}.ome.tif"
    movie = open_movie(path, InputOptions(channels=("wga",), projection="max"))
    np.testing.assert_array_equal(planes(movie)[:, 0], tifffile.imread(path).max(axis=1))
    assert movie.calibration.pixel_size_source == "OME-XML"
    again = open_movie(
        path, InputOptions(axes="TCYX", channels=("wga", *"abcdef"[: movie.source.offsets.shape[2] - 1]))
    )
    np.testing.assert_array_equal(planes(again), tifffile.imread(path))


@needs_real
def test_real_files_are_scanned_without_an_exception():
    table = scan(find_movies([REAL]))
    assert len(table) == 8
    assert table["problem"].notna().all()
    field = find_movies([REAL / "actin_field"], InputOptions(channels=("actin", "wga"), pixel_size_um=0.3))
    assert len(field) == 1
    assert open_movie(field[0]).shape_yx == (904, 1224)
