import numpy as np
import pandas as pd
import pytest

from migradetect.calibration import Calibration
from migradetect.movie import Movie
from migradetect.tables import conform_table
from migradetect_napari import _convert as convert
from migradetect_napari._colours import COLOUR_BY, LEGEND, colours_of

CAL = Calibration(0.2, 120.0)
MARK = {"movie_id": "m"}


def migrasomes():
    rows = [
        (0, 1, 2.0, 4.0, 1.0, "tip", 0.9),
        (1, 1, 2.0, 4.2, 1.2, "tip", 0.9),
        (1, 2, 8.0, 6.0, np.nan, None, 0.6),
    ]
    columns = ["frame", "migrasome_id", "y_um", "x_um", "diameter_um", "location", "score"]
    table = pd.DataFrame(rows, columns=columns).assign(
        movie_id="m",
        cell_id=pd.array([5, 5, None], "Int64"),
        is_on_fiber=True,
        is_attached=True,
        is_measured=True,
        is_covered=False,
    )
    return conform_table("migrasomes", table)


def test_every_layer_has_scale_units_and_axes(scene):
    for layer in scene.viewer.layers:
        assert np.allclose(layer.scale, (2.0, 0.2, 0.2)), layer
        assert [str(unit) for unit in layer.units] == ["minute", "micrometer", "micrometer"]
        assert layer.axis_labels == ("t", "y", "x")


def test_points_lie_in_pixels_and_are_as_wide_as_migrasomes():
    data, options, kind = convert.migrasome_points(migrasomes(), {1: "accepted"}, CAL, MARK, fates={1: "fade"})
    assert kind == "points"
    np.testing.assert_allclose(data, [[0, 10, 20], [1, 10, 21], [1, 40, 30]])
    np.testing.assert_allclose(options["size"][:2], [5.0, 6.0])
    assert options["size"][2] > 0  # not sized: drawn small rather than not at all
    features = options["features"]
    assert features["status"].tolist() == ["accepted", "accepted", "auto"]
    assert features["fate"].tolist() == ["fade", "fade", "unknown"]
    assert features["location"].tolist() == ["tip", "tip", "unknown"]
    assert np.isnan(features["cell_id"].iloc[2])


@pytest.mark.parametrize("by", COLOUR_BY)
def test_colours_tell_things_apart(by):
    options = convert.migrasome_points(migrasomes(), {1: "accepted"}, CAL, MARK, by, {1: "fade"})[1]
    colours = options["border_color"]
    assert colours.shape == (3, 4)
    assert (colours[0] == colours[1]).all()
    assert (colours[0] != colours[2]).any()


def test_colours_of_names_are_all_different():
    for names in LEGEND.values():
        assert len(set(names.values())) == len(names)
    assert colours_of(pd.DataFrame({"fate": ["no such"]}), "fate").tolist()[0][0] == pytest.approx(0x9A / 255)


def test_candidates_follow_the_stage_and_last_from_first_to_last():
    candidates = pd.DataFrame(
        {
            "candidate_id": [3],
            "frame_first": [1],
            "frame_last": [3],
            "y_um": [4.0],
            "x_um": [6.0],
            "diameter_um": [0.8],
            "score": [0.2],
            "kind": ["noise"],
            "reason": [None],
        }
    )
    frames = pd.DataFrame({"frame": range(4), "drift_y_um": [0.0, 1.0, 2.0, 3.0], "drift_x_um": 0.0})
    data, options, _ = convert.candidate_points(candidates, frames, CAL, MARK)
    np.testing.assert_allclose(data, [[1, 20, 30], [2, 25, 30], [3, 30, 30]])
    assert options["features"]["candidate_id"].tolist() == [3, 3, 3]
    assert options["visible"] is False
    empty = convert.candidate_points(candidates.iloc[:0], frames, CAL, MARK)
    assert empty[0].shape == (0, 3)


def test_tracks_are_sorted_and_daughters_joined_to_mothers():
    cells = pd.DataFrame(
        {
            "frame": [2, 0, 1, 2],
            "cell_id": [8, 1, 1, 7],
            "y_um": 1.0,
            "x_um": 2.0,
            "mother_id": pd.array([1, None, None, 1], "Int64"),
        }
    )
    data, options, kind = convert.cell_tracks(cells, CAL, MARK)
    assert kind == "tracks"
    assert data[:, :2].tolist() == [[1, 0], [1, 1], [7, 2], [8, 2]]
    assert options["graph"] == {8: [1], 7: [1]}
    # napari refuses a layer without tracks
    assert convert.cell_tracks(cells.iloc[:0], CAL, MARK) is None
    assert convert.migrasome_tracks(migrasomes().iloc[:0], CAL, MARK) is None


def test_images_are_additive_magenta_and_green_and_lazy():
    class Source:
        reads = 0

        def read(self, frame, channel):
            Source.reads += 1
            return np.full((8, 8), 100 * (channel + 1) + frame, np.uint16)

    movie = Movie.from_array(np.zeros((500, 2, 8, 8), np.uint16), CAL, ["tspan4", "wga"])
    movie = Movie(**{name: getattr(movie, name) for name in movie.__slots__ if name != "source"}, source=Source())
    layers = convert.image_layers(movie, MARK)
    assert Source.reads <= 2  # one plane of each channel, for the contrast
    assert [options["colormap"] for _, options, _ in layers] == ["magenta", "green"]
    assert {options["blending"] for _, options, _ in layers} == {"additive"}
    assert layers[1][0][7][0, 0] == 207
    assert layers[0][0].shape == (500, 8, 8)


def test_a_single_frame_has_no_time():
    movie = Movie.from_array(np.ones((1, 1, 8, 8), np.uint16), Calibration(0.2), ["wga"])
    options = convert.image_layers(movie, MARK)[0][1]
    assert options["scale"] == (1.0, 0.2, 0.2)
    assert options["units"][0] == "pixel"
