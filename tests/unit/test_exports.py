"""Exports, each read back by a reader that is not ours."""

import csv
import json
import zipfile
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import migradetect as md
from migradetect.cli import main
from migradetect.errors import CancelledError, NoMoviesError, OutputError, ParamsError
from migradetect.io import EXPORT_FORMATS, export_results, write_movie, write_results
from migradetect.io.exports import _job, _xlsx
from migradetect.io.exports._geff import graph_edges
from migradetect.io.exports._job import FALLBACK_DIAMETER_UM, drawn_diameters_um
from migradetect.io.exports._outlines import outlines
from migradetect.io.exports._target import Target
from migradetect.io.exports._zarr_images import _half_mean, _shapes
from migradetect.results import LabelStack, Results
from migradetect.review import ReviewSession, edits
from migradetect.tables import conform_table, empty_table

PIXEL_UM, INTERVAL_S = 0.2, 90.0
N_FRAMES, SHAPE = 6, (40, 50)
#: y, x in pixels and size of the boxes that stand for cells: cell -> (frames, mother, top, left, height, width)
CELLS = {1: (range(3), None, 4, 6, 9, 12), 2: (range(3, 6), 1, 4, 4, 8, 7), 3: (range(3, 6), 1, 20, 30, 6, 9)}
CELLS[4] = (range(2, 6), 77, 30, 5, 6, 6)
FALSE_TEXT = "=1+1"


def _cells():
    planes = np.zeros((N_FRAMES, *SHAPE), dtype=np.uint32)
    rows = []
    for cell_id, (frames, mother, top, left, height, width) in CELLS.items():
        for frame in frames:
            planes[frame, top : top + height, left : left + width] = cell_id
            rows.append(
                {
                    "frame": frame,
                    "time_min": frame * INTERVAL_S / 60,
                    "cell_id": cell_id,
                    "y_um": (top + (height - 1) / 2) * PIXEL_UM,
                    "x_um": (left + (width - 1) / 2) * PIXEL_UM,
                    "area_um2": height * width * PIXEL_UM**2,
                    "mother_id": mother,
                    "touches_border": False,
                }
            )
    return planes, pd.DataFrame(rows).assign(mother_id=lambda table: table["mother_id"].astype("Int64"))


def _migrasomes():
    planes = np.zeros((N_FRAMES, *SHAPE), dtype=np.uint32)
    rows = []
    for number, (first, y, x, diameter) in {
        1: (0, 12.25, 22.5, 1.2),
        2: (2, 30.0, 40.0, 0.8),
        70000: (5, 8, 44, None),
    }.items():
        for frame in range(first, N_FRAMES):
            planes[frame, round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = number
            rows.append(
                {
                    "frame": frame,
                    "time_min": frame * INTERVAL_S / 60,
                    "migrasome_id": number,
                    "cell_id": 1 if number == 1 else None,
                    "fiber_id": 1 if number == 1 else None,
                    "y_um": y * PIXEL_UM,
                    "x_um": x * PIXEL_UM,
                    # the first measurement of the second is missing
                    "diameter_um": None if (number, frame) == (2, 2) else diameter,
                    "snr": 9.5,
                    "location": "tip" if number == 1 else None,
                    "is_on_fiber": True,
                    "is_attached": False,
                    "is_measured": True,
                    "is_covered": False,
                    "score": 0.75,
                }
            )
    return planes, pd.DataFrame(rows)


def _tracks(migrasomes):
    ids = sorted(migrasomes["migrasome_id"].unique())
    return pd.DataFrame(
        {
            "migrasome_id": ids,
            "is_left_censored": [number == 1 for number in ids],
            "is_right_censored": True,
            "plateau_diameter_um": [1.2, 0.8, np.nan],
            "n_frames": [int((migrasomes["migrasome_id"] == number).sum()) for number in ids],
            "score": 0.75,
            "kind": "migrasome",
            "fate": "persist",
        }
    )


def hand_made(movie_id="dish", recording=None):
    """Results with a division, a migrasome of one frame, one without size, ids above 16 bit, and a name to run."""
    fibers = np.zeros((N_FRAMES, *SHAPE), dtype=np.uint32)
    fibers[:, 12, 20:36] = 1
    fibers[1:, 12:24, 28] = 1  # a branch
    cell_planes, cells = _cells()
    migrasome_planes, migrasomes = _migrasomes()
    labels = {}
    for name, planes in (("cells", cell_planes), ("fibers", fibers), ("migrasomes", migrasome_planes)):
        labels[name] = LabelStack(SHAPE)
        for plane in planes:
            labels[name].append(plane)
    fiber_rows = pd.DataFrame({"frame": range(N_FRAMES), "fiber_id": 1, "length_um": 3.0, "is_attached": False})
    summary = pd.DataFrame(
        {"cell_id": list(CELLS), "n_frames": 3, "n_migrasomes": [1, 0, 0, 0], "touches_border": False}
    )
    parts = {
        "cells": cells,
        "fibers": fiber_rows.assign(n_branches=1, n_tips=2, time_min=0.0),
        "migrasomes": migrasomes,
        "tracks": _tracks(migrasomes),
        "cell_summary": summary,
        "frames": pd.DataFrame({"frame": range(N_FRAMES), "time_min": np.arange(N_FRAMES) * INTERVAL_S / 60}),
    }
    tables = {name: conform_table(name, table.assign(movie_id=movie_id)) for name, table in parts.items()}
    tables = {
        name: table.assign(condition=pd.Series([FALSE_TEXT] * len(table), dtype="string"))
        for name, table in tables.items()
    }
    provenance = {
        "calibration": {"pixel_size_um": PIXEL_UM, "frame_interval_s": INTERVAL_S},
        "n_frames": N_FRAMES,
        "shape_yx": list(SHAPE),
        "channels": ["tspan4", "wga"],
        "absolute_path": str(recording) if recording else "/nowhere/dish.ome.tif",
    }
    return Results(movie_id, tables, labels, provenance)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "dish.ome.tif"
    data = np.random.default_rng(1).integers(90, 900, (N_FRAMES, 2, *SHAPE)).astype(np.uint16)
    write_movie(path, data, "TCYX", md.Calibration(PIXEL_UM, INTERVAL_S), ["TSPAN4", "WGA"])
    return path, data


@pytest.fixture(scope="module")
def stored(tmp_path_factory, recording):
    out = tmp_path_factory.mktemp("stored")
    write_results(hand_made("dish", recording[0]), out / "dish")
    return out


@pytest.fixture
def results(stored):
    return md.load(stored)


def test_the_hand_made_results_have_what_is_asked_about(results):
    one = results.movie("dish")
    assert one.migrasomes["diameter_um"].isna().sum() == 2
    assert set(one.cells["mother_id"].dropna()) == {1, 77}
    assert one.labels["migrasomes"][5].max() == 70000


# --- GEFF ---------------------------------------------------------------------------------------------------------


def test_geff_is_valid_and_read_by_its_library(results, tmp_path):
    geff = pytest.importorskip("geff")
    from geff.core_io import read_to_memory
    from geff.validate.data import ValidationConfig
    from geff.validate.segmentation import (
        axes_match_seg_dims,
        graph_is_in_seg_bounds,
        has_seg_ids_at_coords,
        has_seg_ids_at_time_points,
        has_valid_seg_id,
    )

    (path,) = export_results(results, "geff", tmp_path).paths
    everything = ValidationConfig(graph=True, sphere=True, tracklet=True)
    for kind, column in (("migrasomes", "migrasome_id"), ("cells", "cell_id")):
        place = path / f"{kind}.geff"
        geff.validate_structure(str(place))
        found = read_to_memory(str(place), data_validation=everything)
        about, props = found["metadata"], found["node_props"]
        table = results.movie("dish").tables[kind]
        assert [(axis.name, axis.type, axis.unit) for axis in about.axes] == [
            ("t", "time", "frame"),
            ("y", "space", "micrometer"),
            ("x", "space", "micrometer"),
        ]
        assert (about.axes[0].scale, about.axes[0].scaled_unit) == (INTERVAL_S, "second")
        assert (about.sphere, about.track_node_props) == ("radius_um", {"tracklet": column})
        assert about.node_props_metadata["radius_um"].unit == "um"
        np.testing.assert_allclose(props["y"]["values"], table["y_um"])
        np.testing.assert_array_equal(props[column]["values"], table[column])
        # the label image that the graph names, read by zarr, has the ids where the nodes are
        (related,) = about.related_objects
        assert (related.type, related.label_prop) == ("labels", column)
        zarr = pytest.importorskip("zarr")
        labels = zarr.open_group(str((place / related.path).resolve()), mode="r")["0"][:]
        assert labels.shape == (N_FRAMES, *SHAPE)
        scale, per_pixel = [1, PIXEL_UM, PIXEL_UM], [1, 1 / PIXEL_UM, 1 / PIXEL_UM]
        times, ids = list(props["t"]["values"]), list(props[column]["values"])
        coords = list(zip(times, props["y"]["values"], props["x"]["values"], strict=True))
        for valid, errors in (
            has_valid_seg_id(found, column),
            axes_match_seg_dims(found, labels),
            graph_is_in_seg_bounds(found, labels, scale),
            has_seg_ids_at_time_points(labels, times, ids),
            has_seg_ids_at_coords(labels, coords, ids, per_pixel),
        ):
            assert valid, errors
        wrong, _ = has_seg_ids_at_coords(labels, coords, ids[::-1], per_pixel)
        assert not wrong, "the check of label values can't fail: test invalid"
    graph, _ = geff.read(str(path / "cells.geff"), backend="networkx")
    by_id = {(data["cell_id"], data["t"]): node for node, data in graph.nodes(data=True)}
    daughters = {graph.nodes[node]["cell_id"] for node in graph.successors(by_id[1, 2])}
    assert daughters == {2, 3}
    assert "mother_id" not in graph.nodes[by_id[1, 0]] or graph.nodes[by_id[1, 0]]["mother_id"] is None


def test_a_mother_with_one_daughter_in_view_has_no_edge_to_her():
    rows = [(1, 0, None), (1, 1, None), (2, 2, 1), (2, 3, 1)]
    table = pd.DataFrame(rows, columns=["cell_id", "frame", "mother_id"]).astype({"mother_id": "Int64"})
    assert graph_edges(table, "cell_id").tolist() == [[0, 1], [2, 3]]
    both = pd.concat([table, pd.DataFrame({"cell_id": [3], "frame": [2], "mother_id": pd.array([1], "Int64")})])
    assert sorted(graph_edges(both, "cell_id").tolist()) == [[0, 1], [1, 2], [1, 4], [2, 3]]
    assert graph_edges(table.iloc[:0], "cell_id").shape == (0, 2)


# --- OME-Zarr -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read_by_ome_zarr_py(results, recording, tmp_path, version):
    pytest.importorskip("ome_zarr")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Multiscales, Reader

    (path,) = export_results(results, "ome-zarr", tmp_path, ome_zarr_version=version).paths
    location = parse_url(str(path), mode="r")
    assert location.fmt.version == version
    nodes = list(Reader(location)())
    image = next(node for node in nodes if node.first(Multiscales) and not node.first(Label))
    np.testing.assert_array_equal(np.asarray(image.data[0]), recording[1])
    assert [axis["name"] for axis in image.metadata["axes"]] == ["t", "c", "y", "x"]
    scale = image.metadata["coordinateTransformations"][0][0]["scale"]
    assert scale == [INTERVAL_S, 1.0, PIXEL_UM, PIXEL_UM]
    assert image.metadata["channel_names"] == ["tspan4", "wga"]
    labels = {node.zarr.basename(): np.asarray(node.data[0]) for node in nodes if node.first(Label)}
    one = results.movie("dish")
    assert set(labels) == {"cells", "fibers", "migrasomes"}
    for name, planes in labels.items():
        np.testing.assert_array_equal(planes, np.stack(list(one.labels[name])))
    assert labels["migrasomes"].dtype == np.uint32
    assert labels["cells"].dtype == np.uint16


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_follows_the_specification(results, tmp_path, version):
    models = pytest.importorskip(f"ome_zarr_models.v{version.replace('.', '')}")
    zarr = pytest.importorskip("zarr")
    (path,) = export_results(results, "ome-zarr", tmp_path, ome_zarr_version=version).paths
    kinds = {".": models.image.ImageAttrs, "labels": models.labels.LabelsAttrs}
    kinds["labels/cells"] = models.image_label.ImageLabelAttrs
    for place, model in kinds.items():
        group = zarr.open_group(str(path / place), mode="r")
        attributes = dict(group.attrs)
        model.model_validate(attributes if version == "0.4" else attributes["ome"])
        assert group.metadata.zarr_format == (2 if version == "0.4" else 3)
    with pytest.raises(ValueError, match="validation error"):
        model.model_validate({"multiscales": [{"axes": []}]})


def test_ome_zarr_without_the_recording_has_labels_only(tmp_path):
    pytest.importorskip("zarr")
    write_results(hand_made(), tmp_path / "out" / "dish")
    report = export_results(md.load(tmp_path / "out"), "ome-zarr", tmp_path / "x")
    assert "exported without the recording" in report.notes[0]
    attributes = json.loads((report.paths[0] / ".zattrs").read_text())
    assert "multiscales" not in attributes
    assert (report.paths[0] / "labels" / "cells" / "0" / "5" / "0" / "0").is_file()


def test_smaller_levels():
    assert _shapes((40, 50)) == [(40, 50)]
    assert _shapes((2048, 1025)) == [(2048, 1025), (1024, 513), (512, 257)]
    plane = np.array([[1, 3, 9], [5, 7, 9]], dtype=np.uint16)
    assert _half_mean(plane).tolist() == [[4, 9]]
    assert _half_mean(plane).dtype == np.uint16


# --- ImageJ -------------------------------------------------------------------------------------------------------


def test_imagej_rois_are_read_by_roifile(results, tmp_path):
    roifile = pytest.importorskip("roifile")
    paths = export_results(results, "imagej", tmp_path).paths
    assert [path.name for path in paths] == [f"dish.{kind}.zip" for kind in ("migrasomes", "cells", "fibers")]
    migrasomes, cells, fibers = (roifile.roiread(path) for path in paths)
    table = results.movie("dish").migrasomes
    assert len(migrasomes) == len(table)
    drawn = drawn_diameters_um(results.movie("dish")) / PIXEL_UM
    for roi, (_, row), diameter in zip(migrasomes, table.iterrows(), drawn, strict=True):
        assert roi.roitype == roifile.ROI_TYPE.OVAL
        assert (roi.t_position, roi.c_position, roi.z_position, roi.position) == (row["frame"] + 1, 0, 0, 0)
        assert roi.subpixelrect
        assert roi.widthd == pytest.approx(diameter, rel=1e-5)
        # ImageJ counts from the corner of the first pixel
        assert roi.yd + roi.heightd / 2 == pytest.approx(row["y_um"] / PIXEL_UM + 0.5, abs=1e-3)
        assert roi.xd + roi.widthd / 2 == pytest.approx(row["x_um"] / PIXEL_UM + 0.5, abs=1e-3)
        assert roi.name == f"migrasome-{row['migrasome_id']:04d}-t{row['frame'] + 1:04d}"
        assert roi.group == 1
    assert {roi.roitype for roi in cells} == {roifile.ROI_TYPE.POLYGON}
    assert sum(roi.t_position == 4 for roi in cells) == 3
    first = next(roi for roi in cells if roi.name == "cell-0001-t0001")
    _, _, top, left, height, width = CELLS[1]
    points = first.coordinates()
    # half heights of a mask: the outline of a box goes along the corners of its pixels, corners cut
    np.testing.assert_allclose(points.min(axis=0), [left, top], atol=0.51)
    np.testing.assert_allclose(points.max(axis=0), [left + width, top + height], atol=0.51)
    assert {roi.roitype for roi in fibers} == {roifile.ROI_TYPE.POLYLINE}
    assert sum(roi.t_position == 1 for roi in fibers) == 1
    assert sum(roi.t_position == 2 for roi in fibers) == 3, "a line with a branch has three arms"
    line = next(roi for roi in fibers if roi.t_position == 1).coordinates()
    np.testing.assert_allclose(np.sort(line[:, 0])[[0, -1]], [20.5, 35.5])
    np.testing.assert_allclose(line[:, 1], 12.5)


def test_imagej_fields_at_the_places_that_imagej_reads(results, tmp_path):
    """Bytes as ImageJ's decoder reads them: magic, version, type, header 2 with the frame, big-endian."""
    pytest.importorskip("roifile")
    path = export_results(results, "imagej", tmp_path).paths[0]
    with zipfile.ZipFile(path) as archive:
        data = archive.read("migrasome-0002-t0004.roi")
    assert data[:4] == b"Iout"
    assert int.from_bytes(data[4:6], "big") >= 223  # sub-pixel ovals
    assert data[6] == 2  # oval
    assert int.from_bytes(data[50:52], "big") & 128  # sub-pixel
    header2 = int.from_bytes(data[60:64], "big")
    assert int.from_bytes(data[header2 + 12 : header2 + 16], "big") == 4  # T position
    assert np.frombuffer(data[18:26], ">f4").tolist() == pytest.approx([40.5 - 2, 30.5 - 2], abs=1e-3)


def test_outlines_take_the_largest_part_and_no_holes():
    plane = np.zeros((30, 30), dtype=int)
    plane[5:20, 5:20] = 3
    plane[10:12, 10:12] = 0
    plane[25:28, 25:28] = 3
    ((label, line),) = outlines(plane)
    assert label == 3
    assert (line.min(), line.max()) == (4.5, 19.5)


# --- TrackMate ----------------------------------------------------------------------------------------------------


def test_trackmate_is_read_by_pytrackmate(results, tmp_path):
    reader = pytest.importorskip("pytrackmate")
    paths = export_results(results, "trackmate", tmp_path).paths
    assert [path.name for path in paths] == ["dish.migrasomes.xml", "dish.cells.xml"]
    table = results.movie("dish").migrasomes
    found = reader.trackmate_peak_import(paths[0], get_tracks=True)
    assert len(found) == len(table)
    np.testing.assert_array_equal(found["t_stamp"], table["frame"].sort_values())
    by_place = found.sort_values(["t_stamp", "x"])
    truth = table.sort_values(["frame", "x_um"])
    np.testing.assert_allclose(by_place["x"], truth["x_um"])
    np.testing.assert_allclose(by_place["y"], truth["y_um"])
    np.testing.assert_allclose(by_place["t"], truth["frame"] * INTERVAL_S)
    # one label per migrasome, the same in every frame
    pairs = set(zip(by_place["label"], truth["migrasome_id"], strict=True))
    assert len(pairs) == 3


@pytest.mark.filterwarnings("ignore")
def test_trackmate_is_converted_by_geff(results, tmp_path):
    pytest.importorskip("geff")
    from geff import read
    from geff.convert import from_trackmate_xml_to_geff

    paths = export_results(results, "trackmate", tmp_path).paths
    for path, kind in zip(paths, ("migrasomes", "cells"), strict=True):
        from_trackmate_xml_to_geff(path, tmp_path / f"{kind}.geff")
        graph, about = read(str(tmp_path / f"{kind}.geff"), backend="networkx")
        table = results.movie("dish").tables[kind]
        assert graph.number_of_nodes() == len(table)
        assert graph.number_of_edges() == len(graph_edges(table, "migrasome_id" if kind == "migrasomes" else "cell_id"))
        frames = sorted(data["FRAME"] for _, data in graph.nodes(data=True))
        assert frames == sorted(table["frame"])
        assert {axis.name: axis.unit for axis in about.axes}["POSITION_T"] in ("sec", "second")


def test_trackmate_has_every_element_that_its_reader_asks_for(results, recording, tmp_path):
    """What TmXmlReader of TrackMate 7 looks up without a fall-back, and types as it converts them."""
    paths = export_results(results, "trackmate", tmp_path).paths
    for path in paths:
        root = ElementTree.parse(path).getroot()
        assert root.tag == "TrackMate"
        assert 7 <= int(root.get("version").split(".")[0]) < 9
        model, settings = root.find("Model"), root.find("Settings")
        assert (model.get("spatialunits"), model.get("timeunits")) == ("µm", "sec")
        declared = {feature.get("feature") for feature in model.find("FeatureDeclarations/SpotFeatures")}
        spots = model.findall("AllSpots/SpotsInFrame/Spot")
        assert int(model.find("AllSpots").get("nspots")) == len(spots)
        ids = [int(spot.get("ID")) for spot in spots]
        assert len(set(ids)) == len(ids)
        for spot in spots:
            assert set(spot.keys()) - {"ID", "name", "ROI_N_POINTS"} == declared
            assert float(spot.get("RADIUS")) > 0
            assert float(spot.get("POSITION_T")) == int(spot.get("FRAME")) * INTERVAL_S
        tracks = model.findall("AllTracks/Track")
        assert {track.get("TRACK_ID") for track in tracks} == {
            kept.get("TRACK_ID") for kept in model.findall("FilteredTracks/TrackID")
        }
        frame_of = {int(spot.get("ID")): int(spot.get("FRAME")) for spot in spots}
        for edge in model.iter("Edge"):
            assert frame_of[int(edge.get("SPOT_SOURCE_ID"))] < frame_of[int(edge.get("SPOT_TARGET_ID"))]
        image = settings.find("ImageData")
        assert (image.get("filename"), image.get("nframes")) == (recording[0].name, str(N_FRAMES))
        assert float(image.get("pixelwidth")) == PIXEL_UM
        assert settings.find("DetectorSettings").get("DETECTOR_NAME") == "MANUAL_DETECTOR"
        assert settings.find("TrackerSettings").get("TRACKER_NAME") == "MANUAL_TRACKER"
        for tag in ("InitialSpotFilter", "SpotFilterCollection", "TrackFilterCollection", "AnalyzerCollection"):
            assert settings.find(tag) is not None
    cell = next(spot for spot in spots if spot.get("name") == "cell 1")
    points = np.array(cell.text.split(), dtype=float).reshape(-1, 2)
    assert len(points) == int(cell.get("ROI_N_POINTS"))
    _, _, _, _, height, width = CELLS[1]
    # relative to the centre, x before y
    np.testing.assert_allclose(np.abs(points).max(axis=0), [width / 2 * PIXEL_UM, height / 2 * PIXEL_UM], atol=0.11)
    families = {track.get("TRACK_ID"): int(track.get("NUMBER_SPOTS")) for track in tracks}
    assert families == {"1": 9, "4": 4}, "a mother and her daughters are one track"


# --- tables -------------------------------------------------------------------------------------------------------


def test_csv_in_a_decimal_comma_dialect(results, tmp_path):
    paths = export_results(results, "csv", tmp_path).paths
    path = next(path for path in paths if path.name == "migrasomes.csv")
    text = path.read_text(encoding="utf-8-sig")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert csv.Sniffer().sniff(text[:4000], delimiters=",;\t").delimiter == ";"
    found = pd.read_csv(path, sep=";", decimal=",", encoding="utf-8-sig")
    table = results.migrasomes
    np.testing.assert_allclose(found["x_um"], table["x_um"])
    assert found["diameter_um"].isna().sum() == 2
    assert found["condition"].tolist() == ["'" + FALSE_TEXT] * len(table)
    assert "2,45" in text
    rows = list(csv.reader(text.splitlines(), delimiter=";"))
    assert {len(row) for row in rows} == {len(table.columns)}


def test_workbook_is_read_by_pandas(results, tmp_path):
    pytest.importorskip("openpyxl")
    (path,) = export_results(results, "xlsx", tmp_path).paths
    sheets = pd.read_excel(path, sheet_name=None)
    assert set(sheets) == {"about", "columns", "movies", *results.movie("dish").tables}
    np.testing.assert_allclose(sheets["migrasomes"]["x_um"], results.migrasomes["x_um"])
    assert sheets["migrasomes"]["diameter_um"].isna().sum() == 2
    assert sheets["candidates"].empty
    # text that looks like a formula stays text
    assert sheets["migrasomes"]["condition"].tolist() == [FALSE_TEXT] * len(results.migrasomes)
    columns = sheets["columns"].set_index(["table", "column"])
    assert columns.loc[("migrasomes", "diameter_um"), "unit"] == "um"
    assert "PSF" in columns.loc[("migrasomes", "diameter_um"), "meaning"]
    assert sheets["movies"]["n_migrasomes"].tolist() == [3]


def test_long_tables_go_on_in_another_sheet(results, tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    monkeypatch.setattr(_xlsx, "MAX_ROWS", 5)
    (path,) = export_results(results, "xlsx", tmp_path).paths
    sheets = pd.read_excel(path, sheet_name=["migrasomes", "migrasomes_2", "migrasomes_3"])
    whole = pd.concat(sheets.values(), ignore_index=True)
    assert whole["migrasome_id"].tolist() == results.migrasomes["migrasome_id"].tolist()


# --- napari -------------------------------------------------------------------------------------------------------


def test_napari_files(results, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    (path,) = export_results(results, "napari", tmp_path).paths
    points = pd.read_csv(path / "migrasomes_points.csv")
    # the header by which napari's reader knows points
    assert list(points.columns[:4]) == ["index", "axis-0", "axis-1", "axis-2"]
    np.testing.assert_allclose(points["axis-1"] * PIXEL_UM, results.migrasomes["y_um"])
    tracks = pd.read_csv(path / "cells_tracks.csv")
    assert tracks.equals(tracks.sort_values(["track_id", "t"], ignore_index=True))
    labels = tifffile.imread(path / "cells.tif")
    np.testing.assert_array_equal(
        labels.reshape(N_FRAMES, *SHAPE), np.stack(list(results.movie("dish").labels["cells"]))
    )


@pytest.mark.filterwarnings("ignore")
def test_napari_reads_them(results, tmp_path, monkeypatch):
    napari = pytest.importorskip("napari")
    builtins = pytest.importorskip("napari_builtins.io")
    import runpy

    from napari.components import ViewerModel

    (path,) = export_results(results, "napari", tmp_path).paths
    name = str(path / "migrasomes_points.csv")
    data, _, kind = builtins.napari_get_reader(name)(name)[0]
    assert (kind, data.shape) == ("points", (len(results.migrasomes), 3))
    monkeypatch.setattr(napari, "Viewer", ViewerModel)
    monkeypatch.setattr(napari, "run", lambda: None)
    monkeypatch.setattr("sys.argv", ["open_in_napari.py"])
    viewer = runpy.run_path(str(path / "open_in_napari.py"))["viewer"]
    assert {type(layer).__name__ for layer in viewer.layers} == {"Labels", "Points", "Tracks"}
    assert all(tuple(layer.scale) == (INTERVAL_S / 60, PIXEL_UM, PIXEL_UM) for layer in viewer.layers)


# --- all ----------------------------------------------------------------------------------------------------------

ALL = pytest.mark.parametrize("to", list(EXPORT_FORMATS))
_NEEDS = {"geff": "geff", "ome-zarr": "zarr", "imagej": "roifile", "xlsx": "openpyxl"}


@pytest.fixture
def installed(to):
    if to in _NEEDS:
        pytest.importorskip(_NEEDS[to])


@ALL
def test_empty_results_are_exported_too(to, installed, tmp_path):
    bare = hand_made()
    for name in bare.tables:
        if name != "frames":
            bare.tables[name] = empty_table(name)
    for name in bare.labels:
        bare.labels[name] = LabelStack(SHAPE)
        for _ in range(N_FRAMES):
            bare.labels[name].append(np.zeros(SHAPE, dtype=np.uint8))
    write_results(bare, tmp_path / "out" / "dish")
    report = export_results(md.load(tmp_path / "out"), to, tmp_path / "x")
    assert all(path.exists() for path in report.paths)
    assert report.paths or "no migrasomes" in report.notes[0]


@ALL
def test_again_and_foreign_files(to, installed, results, tmp_path):
    first = export_results(results, to, tmp_path / "x").paths
    assert export_results(results, to, tmp_path / "x").paths == first
    assert not [path for path in (tmp_path / "x").iterdir() if path.name.startswith(".")]
    foreign = tmp_path / "y" / first[0].name
    foreign.parent.mkdir()
    foreign.write_text("mine")
    with pytest.raises(OutputError, match="something else"):
        export_results(results, to, tmp_path / "y")
    assert foreign.read_text() == "mine"


@ALL
def test_cancel_leaves_nothing_half_written(to, installed, results, tmp_path):
    asked = iter([False] * 3)
    with pytest.raises(CancelledError):
        export_results(results, to, tmp_path / "x", cancel=lambda: next(asked, True))
    left = [path.name for path in (tmp_path / "x").iterdir()] if (tmp_path / "x").exists() else []
    assert not [name for name in left if name.startswith(".") or name.endswith((".zarr", ".napari"))]


@ALL
def test_inputs_stay_as_they_are(to, installed, stored, tmp_path):
    def state():
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(stored.rglob("*"))}

    before = state()
    export_results(md.load(stored), to, tmp_path / "x")
    assert state() == before


def test_a_library_that_is_not_there_is_one_line(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(_job, "import_quietly", absent)
    expected = r'--to imagej: expected the library roifile, got none.*pip install "migradetect\[export\]"'
    with pytest.raises(OutputError, match=expected):
        _job.library("roifile", "imagej")


def test_wrong_names(results, tmp_path):
    with pytest.raises(ParamsError, match="did you mean 'trackmate'"):
        export_results(results, "trackmat", tmp_path)
    with pytest.raises(ParamsError, match=r"expected 0.4 or 0.5, got '0.3'"):
        export_results(results, "geff", tmp_path, ome_zarr_version="0.3")
    with pytest.raises(NoMoviesError, match="did you mean 'dish'"):
        export_results(results, "csv", tmp_path, movies=["dich"])
    (tmp_path / "export.json").write_text("{")
    with pytest.raises(OutputError, match="list of an earlier export"):
        Target(tmp_path)


def test_unknown_sizes_are_drawn(results):
    one = results.movie("dish")
    drawn = pd.Series(drawn_diameters_um(one), index=one.migrasomes["migrasome_id"])
    assert drawn[2].iloc[0] == pytest.approx(0.8), "the median of the migrasome"
    assert drawn[70000] == FALLBACK_DIAMETER_UM
    assert one.migrasomes["diameter_um"].isna().sum() == 2, "the table keeps what is unknown"


def test_reviewed_state_is_exported_and_said(stored, tmp_path, capsys, monkeypatch):
    import shutil

    out = tmp_path / "out"
    shutil.copytree(stored, out)
    session = ReviewSession.open(out / "dish", reviewer="anna")
    session.do(edits.Reject(migrasome_id=2, reason="debris_static"))
    report = export_results(md.load(out), "csv", tmp_path / "x")
    assert report.reviewed_movies == ["dish"]
    found = pd.read_csv(tmp_path / "x" / "tracks.csv", sep=";", decimal=",", encoding="utf-8-sig")
    assert found["migrasome_id"].tolist() == [1, 70000]
    movies = pd.read_csv(tmp_path / "x" / "movies.csv", sep=";", encoding="utf-8-sig")
    assert movies["n_migrasomes"].tolist() == [2]
    state = json.loads((tmp_path / "x" / "export.json").read_text())["files"]["tracks.csv"]["movies"]["dish"]
    assert (state["reviewed"], state["reviewer"], state["n_edits"]) == (True, "anna", 1)
    monkeypatch.setattr("sys.argv", ["migradetect", "export", str(out), "--to", "trackmate", "--movie", "dish"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = capsys.readouterr()
    assert "with the corrections of the review: dish" in " ".join(shown.err.split())
    assert (out / "exports" / "trackmate" / "dish.migrasomes.xml").is_file()
    assert "reviewed, 1 corrections" in (out / "exports" / "trackmate" / "dish.migrasomes.xml").read_text()
    # the folder of exports is no movie
    assert md.load(out).movie_ids == ("dish",)
    monkeypatch.setattr(
        "sys.argv", ["migradetect", "export", str(out), "--to", "csv", "--automatic", "--out", str(tmp_path / "z")]
    )
    with pytest.raises(SystemExit):
        main()
    found = pd.read_csv(tmp_path / "z" / "tracks.csv", sep=";", decimal=",", encoding="utf-8-sig")
    assert found["migrasome_id"].tolist() == [1, 2, 70000]


def test_unknown_format_on_the_command_line(stored, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["migradetect", "export", str(stored), "--to", "pdf"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
