import shutil

import pytest
from npe2 import PluginManifest

from migradetect.errors import MigradetectError, NoMoviesError
from migradetect_napari import _reader as reader
from migradetect_napari._convert import role_of
from migradetect_napari._movies import MovieList
from migradetect_napari._open import find_results

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:napari")


def roles(layers):
    return [options["metadata"]["migradetect"]["role"] for _, options, _ in layers]


def test_a_movie_opens(movie_file):
    read = reader.get_reader(str(movie_file))
    layers = read(str(movie_file))
    assert roles(layers) == ["tspan4", "wga"]
    assert layers[0][1]["metadata"]["migradetect"]["movie"].n_frames == 10
    assert roles(reader.get_reader(str(movie_file.parent))(str(movie_file.parent))) == ["tspan4", "wga"]


@pytest.mark.parametrize("part", ["", "run.json", "dish", "dish/movie.json"])
def test_results_open_in_their_reviewed_state(out, part):
    from migradetect.review import ReviewSession, edits

    session = ReviewSession.open(out, "dish")
    number = int(session.tables["tracks"]["migrasome_id"].iloc[0])
    session.do(edits.Reject(migrasome_id=number))
    path = str(out / part)
    layers = reader.get_reader(path)(path)
    assert roles(layers)[-1] == "migrasomes"
    assert len(layers) == 8
    assert number not in set(layers[-1][1]["features"]["migrasome_id"])


def test_what_is_neither_is_left_to_others(tmp_path):
    assert reader.get_reader(str(tmp_path)) is None
    assert reader.get_reader("picture.png") is None
    assert find_results(tmp_path) is None


def test_a_bad_movie_is_one_line(tmp_path):
    path = tmp_path / "bad.tif"
    path.write_bytes(b"II*\0nothing")
    with pytest.raises(MigradetectError) as caught:
        reader.get_reader(str(path))(str(path))
    assert "\n" not in str(caught.value)
    assert "bad.tif" in str(caught.value)


def test_the_manifest_is_valid_and_leads_somewhere():
    from importlib import import_module

    manifest = PluginManifest.from_distribution("migradetect")
    manifest.validate_imports()
    commands = {one.id: one.python_name for one in manifest.contributions.commands}
    assert len(commands) == 7
    for name in commands.values():
        module, _, attribute = str(name).partition(":")
        assert hasattr(import_module(module), attribute)


def test_movies_of_a_folder(out):
    shutil.copytree(out / "dish", out / "dish2")
    assert MovieList.of(out).movie_ids == ("dish", "dish2")
    assert MovieList.of(out, "dish2").name == "dish2"
    assert MovieList.of(out / "dish2").name == "dish2"
    with pytest.raises(NoMoviesError, match="did you mean 'dish"):
        MovieList.of(out, "dsh")
    with pytest.raises(NoMoviesError, match="run it first"):
        MovieList.of(out / "labels")


def test_blind(out):
    for k in range(2, 7):
        shutil.copytree(out / "dish", out / f"treated{k}")
    plain, blind = MovieList.of(out), MovieList.of(out, blind=True)
    assert sorted(blind.movie_ids) == sorted(plain.movie_ids)
    assert blind.names == tuple(f"movie {k}" for k in range(1, 7))
    assert MovieList.of(out, blind=True).movie_ids == blind.movie_ids
    assert blind.movie_ids != plain.movie_ids
    assert len({MovieList.of(out, blind=True, reviewer=name).movie_ids for name in ("anna", "ben", "cleo")}) > 1


def test_blind_layers_have_no_names(out):
    from napari.components import ViewerModel

    from migradetect_napari._scene import Scene

    movies = MovieList.of(out, blind=True)
    scene = Scene(ViewerModel(), movies.open(None), movies.name)
    assert scene.name == "movie 1"
    assert not [layer.name for layer in scene.viewer.layers if "dish" in layer.name]
    assert role_of(scene.viewer.layers[0]) == "tspan4"


def test_launch_says_what_is_wrong_before_a_window_opens(tmp_path):
    import migradetect_napari

    with pytest.raises(NoMoviesError):
        migradetect_napari.launch(tmp_path)
