import numpy as np
import pytest
import tifffile
from test_io_movies import CALIBRATION, NAMES, planes, ramp

from migradetect.errors import AxesError, CalibrationError, NoMoviesError, ReadError
from migradetect.io import InputOptions, find_movies, input_hash, open_movie, scan, write_movie

TOLD = InputOptions(pixel_size_um=0.1, frame_interval_s=60.0)


def plane(path, value, shape=(4, 5)):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full(shape, value % 65536, dtype=np.uint16), metadata=None, photometric="minisblack")


def ids(entries):
    return [entry.movie_id for entry in entries]


def test_search(tmp_path):
    data = ramp((2, 2, 4, 5))
    for name in ("m10.ome.tif", "m2.ome.tif", "sub/m2.ome.tif"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        write_movie(tmp_path / name, data, "TCYX", CALIBRATION, NAMES)
    write_movie(tmp_path / "M2.tif", data, "TCYX", CALIBRATION, NAMES, "imagej")
    for skipped in ("out/m/cells.tif", "truth/a.tif", "labels/b.tif", ".hidden/c.tif", "._m2.tif", "done/d.tif"):
        plane(tmp_path / skipped, 1)
    (tmp_path / "out" / "run.json").write_text("{}")
    (tmp_path / "done" / "manifest.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("not a movie")
    entries = find_movies([tmp_path])
    assert ids(entries) == ["M2", "m2_2", "m10", "sub__m2"]
    assert [entry.kind for entry in entries] == ["imagej", "ome-tiff", "ome-tiff", "ome-tiff"]
    assert ids(find_movies([tmp_path, tmp_path / "sub", tmp_path / "m2.ome.tif"])) == ids(entries), "each file once"
    assert scan(entries)["problem"].isna().all()


def test_nothing_found(tmp_path):
    with pytest.raises(NoMoviesError, match="expected TIFF movies"):
        find_movies([tmp_path])
    with pytest.raises(NoMoviesError, match="check the path"):
        find_movies([tmp_path / "absent"])
    (tmp_path / "a.oib").write_bytes(b"")
    with pytest.raises(NoMoviesError, match=r"1 \.oib file.*OME-TIFF"):
        find_movies([tmp_path])


@pytest.mark.parametrize(
    "name",
    [
        "cell_t{t}_c{c}.tif",
        "cell_T{t:03d}_ch{c:02d}.tif",
        "cell_w{c}TSPAN4_s1_t{t}.TIF",
        "xy01c{c}t{t:04d}.tif",
        "img_channel{c:03d}_position000_time{t:09d}_z000.tif",
    ],
)
def test_file_per_frame_and_channel(tmp_path, name):
    for t in range(9, 12):  # unpadded: t10 would come before t9
        for c in (1, 2):
            plane(tmp_path / name.format(t=t, c=c), 100 * t + c)
    entries = find_movies(
        [tmp_path], InputOptions(channels=("tspan4", "wga"), pixel_size_um=0.1, frame_interval_s=60.0)
    )
    assert len(entries) == 1
    assert entries[0].kind == "sequence"
    assert len(entries[0].files) == 6
    movie = open_movie(entries[0])
    assert planes(movie)[:, :, 0, 0].tolist() == [[901, 902], [1001, 1002], [1101, 1102]]


def test_positions_and_wells_are_movies_of_their_own(tmp_path):
    for well in ("A01", "C03"):
        for site in (1, 2):
            for t in (1, 2):
                plane(tmp_path / f"{well}_s{site}_t{t}.tif", t)
    for t in (0, 1):
        plane(tmp_path / "Pos0" / f"img_{t:09d}_WGA_000.tif", t)
    assert ids(find_movies([tmp_path])) == ["A01_s1", "A01_s2", "C03_s1", "C03_s2", "Pos0__img"]


def test_channel_per_file_with_frames_inside(tmp_path):
    data = ramp((3, 2, 4, 5))
    for index, name in enumerate(("tspan4", "wga")):
        write_movie(tmp_path / f"dish_{name}.tif", data[:, index], "TYX", CALIBRATION, kind="imagej")
    (entry,) = find_movies([tmp_path])
    assert entry.movie_id == "dish"
    movie = open_movie(entry)
    assert movie.roles == ("tspan4", "wga")
    assert movie.calibration.frame_interval_s == 120.0
    np.testing.assert_array_equal(planes(movie), data)


@pytest.mark.parametrize("axes", ["TYX", "TCYX", "CTYX"])
def test_channel_per_plain_file(tmp_path, axes):
    data = ramp((3, 2, 4, 5))
    for index, name in enumerate(("tspan4", "wga")):
        tifffile.imwrite(tmp_path / f"{name}.tif", data[:, index], metadata=None, photometric="minisblack")
    (entry,) = find_movies([tmp_path])
    assert "--axes" in scan([entry])["problem"][0]
    movie = open_movie(entry, InputOptions(axes=axes, pixel_size_um=0.1, frame_interval_s=60.0))
    np.testing.assert_array_equal(planes(movie), data)


def test_time_lapses_called_t1_and_t2_stay_apart(tmp_path):
    for name in ("drug_t1", "drug_t2"):
        write_movie(tmp_path / f"{name}.ome.tif", ramp((2, 2, 4, 5)), "TCYX", CALIBRATION, NAMES)
    assert ids(find_movies([tmp_path])) == ["drug_t1", "drug_t2"]


def test_gaps_are_reported(tmp_path):
    for t in (1, 2, 5, 6):
        plane(tmp_path / f"wga_t{t}.tif", t)
    (entry,) = find_movies([tmp_path], TOLD)
    with pytest.raises(ReadError, match=r"frames 1 to 6, got 4 of them; missing 2: frame 3, 4; restore"):
        open_movie(entry)
    allowed = InputOptions(pixel_size_um=0.1, frame_interval_s=60.0, allow_gaps=True)
    movie = open_movie(entry, allowed)
    assert movie.n_frames == 6
    assert movie.provenance["missing_frames"] == [2, 3]
    assert any("missing frames: 3, 4" in line for line in movie.provenance["warnings"])
    assert np.isnan(movie.frame(2, "wga")).all()
    assert [movie.frame(t, "wga").max() for t in (0, 1, 4, 5)] == [1, 2, 5, 6]
    assert "missing 2" in scan([entry])["problem"][0]


def test_every_nth_frame_kept(tmp_path):
    for t in (0, 5, 10):
        plane(tmp_path / f"wga_t{t}.tif", t)
    (entry,) = find_movies([tmp_path], TOLD)
    with pytest.raises(ReadError, match="--allow-gaps"):
        open_movie(entry)
    movie = open_movie(entry, InputOptions(pixel_size_um=0.1, frame_interval_s=60.0, allow_gaps=True))
    assert planes(movie)[:, 0, 0, 0].tolist() == [0, 5, 10]


def test_date_as_frame_number_does_not_list_a_million_gaps(tmp_path):
    for t in (1, 20240101):
        plane(tmp_path / f"wga_t{t}.tif", t)
    with pytest.raises(ReadError, match=r"missing 20240099: frame 2, .* \.\.\.;") as error:
        open_movie(find_movies([tmp_path], TOLD)[0])
    assert len(str(error.value)) < 500


def test_missing_twice_and_unlike_files(tmp_path):
    for t, c in ((1, 1), (1, 2), (2, 1)):
        plane(tmp_path / f"a_c{c}_t{t}.tif", t)
    with pytest.raises(ReadError, match=r"expected 4 files .* got 3; missing is frame 2, channel 2"):
        open_movie(find_movies([tmp_path], TOLD)[0])
    plane(tmp_path / "a_c2_t2.tif", 2, (4, 6))
    with pytest.raises(ReadError, match=r"a_c2_t2.tif: expected 4 x 5 uint16 .* got 4 x 6"):
        open_movie(find_movies([tmp_path], TOLD)[0])
    plane(tmp_path / "a_c2_t02.tif", 2)
    with pytest.raises(
        ReadError, match=r"one file per frame.*a_c2_t2.tif and a_c2_t02.tif|a_c2_t02.tif and a_c2_t2.tif"
    ):
        open_movie(find_movies([tmp_path], TOLD)[0])


def test_slices_in_files_are_projected(tmp_path):
    for t in (1, 2):
        for z in (1, 2, 3):
            plane(tmp_path / f"wga_t{t}_z{z}.tif", 10 * t + z)
    (entry,) = find_movies([tmp_path], TOLD)
    with pytest.raises(AxesError, match="--projection"):
        open_movie(entry)
    movie = open_movie(entry, InputOptions(pixel_size_um=0.1, frame_interval_s=60.0, projection="max"))
    assert planes(movie)[:, 0, 0, 0].tolist() == [13, 23]


def test_pattern(tmp_path):
    for t in (3, 4):
        for channel in ("A", "B"):
            plane(tmp_path / f"plate7 {channel} {t}.tif", t)
    options = InputOptions(
        pattern=r"(?P<plate>\w+) (?P<c>\w) (?P<t>\d+)", channels=("wga=B",), pixel_size_um=0.1, frame_interval_s=60.0
    )
    (entry,) = find_movies([tmp_path], options)
    assert entry.movie_id == "plate7"
    assert open_movie(entry).roles == ("a", "wga")


def test_calibrations_that_disagree(tmp_path):
    for t, size in ((1, 0.1), (2, 0.2)):
        tifffile.imwrite(
            tmp_path / f"wga_t{t}.tif",
            ramp((4, 5)),
            imagej=True,
            resolution=(1 / size, 1 / size),
            metadata={"unit": "um"},
        )
    (entry,) = find_movies([tmp_path], InputOptions(frame_interval_s=60.0))
    with pytest.raises(CalibrationError, match=r"0\.1 to 0\.2 um"):
        open_movie(entry)
    assert open_movie(entry, TOLD).calibration.pixel_size_um == 0.1


def test_hash_follows_content_not_names(tmp_path):
    plane(tmp_path / "a.tif", 1)
    plane(tmp_path / "b.tif", 1)
    plane(tmp_path / "c.tif", 2)
    first, second, third = (input_hash(entry) for entry in find_movies([tmp_path]))
    assert first == second
    assert first != third
    with pytest.raises(ReadError, match="check its rights"):
        input_hash(find_movies([tmp_path, tmp_path / "d.tif"])[-1])


def test_folder_of_several_movies_is_not_opened_as_one(tmp_path):
    plane(tmp_path / "a.tif", 1)
    plane(tmp_path / "b.tif", 1)
    with pytest.raises(ReadError, match=r"got 2 \(a, b\)"):
        open_movie(tmp_path)
