import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migradetect.errors import ParamsError
from migradetect.params import Params, load_params, parse_assignment, preset_names, to_toml


def load(**options):
    return load_params(**{"environ": {}, **options})


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "my.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_defaults():
    assert load() == Params()
    assert load(preset="default") == Params()


@pytest.mark.parametrize("name", preset_names())
def test_presets_load_and_differ(name):
    params = load(preset=name)
    assert (params == Params()) == (name == "default")


def test_presets_named():
    assert preset_names()[0] == "default"
    assert {"sensitive", "strict", "fixed"} < set(preset_names())


def test_precedence(toml):
    # each source sets one key less than the one below it, so every step of the order shows
    config = toml("[spots]\nmin_snr = 11\n[judge]\nmin_score = 0.11\n[photometry]\nmin_snr = 11\n")
    environ = {"MIGRADETECT_SPOTS__MIN_SNR": "12", "MIGRADETECT_JUDGE__MIN_SCORE": "0.12"}
    params = load_params("strict", config, environ=environ, overrides={"spots.min_snr": "13"})
    assert params.spots.min_snr == 13
    assert params.judge.min_score == 0.12
    assert params.photometry.min_snr == 11
    assert params.judge.min_duration_min == load(preset="strict").judge.min_duration_min != 8
    assert params.growth == Params().growth


def test_preset_by_file_and_environment(toml):
    config = toml('preset = "strict"\n')
    assert load(config=config) == load(preset="strict")
    assert load(config=config, environ={"MIGRADETECT_PRESET": "sensitive"}) == load(preset="sensitive")
    assert load(config=config, preset="fixed") == load(preset="fixed")


def test_foreign_environment_is_ignored():
    assert load(environ={"PATH": "/bin", "MIGRA": "x"}) == Params()


@pytest.mark.parametrize("preset", preset_names())
def test_round_trip(toml, preset):
    params = load(preset=preset, overrides={"input.channels": "tspan4,wga", "input.pixel_size_um": 0.1})
    text = to_toml(params)
    assert load(config=toml(text)) == params
    tomllib.loads(text)


@given(st.floats(0.01, 1e6), st.integers(0, 10), st.booleans())
def test_round_trip_of_any_value(snr, frames, enabled):
    params = load(
        overrides={"spots.min_snr": snr, "preprocess.average_frames": frames, "registration.enabled": enabled}
    )
    document = tomllib.loads(to_toml(params))
    assert document["spots"]["min_snr"] == params.spots.min_snr
    assert Params.model_validate(document | {"input": {}}) == params


def test_toml_carries_the_help_texts():
    text = " ".join(to_toml(Params()).replace("# ", "").split())
    for field in type(Params().spots).model_fields.values():
        assert field.description in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", ("spots.min_snr", "5")),
        (" 5 ", ("spots.min_snr", "5")),
        ("a=b", ("spots.min_snr", "a=b")),
    ],
)
def test_assignment(text, expected):
    assert parse_assignment(f"spots.min_snr={text}") == expected


@pytest.mark.parametrize("text", ["spots.min_snr", "=5", ""])
def test_assignment_without_parts(text):
    with pytest.raises(ParamsError, match=r"section\.key=value"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("input.channels", "tspan4, wga", ("tspan4", "wga")),
        ("input.axes", "none", None),
        ("optics.psf_fwhm_um", "auto", None),
        ("optics.psf_fwhm_um", "0.3", 0.3),
        ("registration.enabled", "false", False),
        ("preprocess.average_frames", "3", 3),
    ],
)
def test_texts_are_read_as_the_type_of_the_parameter(key, text, value):
    section, name = key.split(".")
    assert getattr(getattr(load(overrides={key: text}), section), name) == value


def one_line(**options):
    with pytest.raises(ParamsError) as caught:
        load(**options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("spots.minsnr", "'spots.min_snr'"),
        ("spotz.min_snr", "'spots.min_snr'"),
        ("spots.min_score", "'judge.min_score'"),
        ("min_score", "'judge.min_score'"),
    ],
)
def test_unknown_keys_name_the_nearest(key, near):
    message = one_line(overrides={key: "1"})
    assert key in message
    assert near in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[spots]\nmin_snrr = 3", ["spots.min_snrr", "spots.min_snr"]),
        ("[spotz]\nmin_snr = 3", ["[spotz]", "spots"]),
        ("spots = 3", ["section [spots]"]),
        ("[spots\n", ["TOML", "line 1"]),
        ("preset = 'stric'", ["strict"]),
        ("[spots]\nmin_snr = -3", ["spots.min_snr", "greater than 0", "-3", "default"]),
        ("[spots]\nmin_snr = 'x'", ["a number", "'x'"]),
        ("[spots]\nmin_snr = true", ["a number", "true"]),
        ("[spots]\nmin_snr = nan", ["a number", "nan"]),
        ("[spots]\nmin_snr = [1]", ["a number", "[1]"]),
        ("[preprocess]\naverage_frames = 2.5", ["an integer", "2.5", "at most 10"]),
        ("[input]\nprojection = 'mean'", ["one of max, sum", "'mean'"]),
    ],
)
def test_bad_files(toml, text, words):
    path = toml(text)
    message = one_line(config=path)
    for word in words:
        assert word in message
    if "preset" not in text:
        assert str(path) in message


def test_unreadable_files(tmp_path):
    assert "migradetect init" in one_line(config=tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe4\n")
    assert "UTF-8" in one_line(config=tmp_path / "latin.toml")


def test_a_byte_order_mark_is_no_error(tmp_path):
    (tmp_path / "windows.toml").write_bytes(b"\xef\xbb\xbf[spots]\r\nmin_snr = 7\r\n")
    assert load(config=tmp_path / "windows.toml").spots.min_snr == 7


def test_bad_environment():
    assert "MIGRADETECT_SPOTS__MIN_SNR" in one_line(environ={"MIGRADETECT_SPOTS_MIN_SNR": "5"})
    message = one_line(environ={"MIGRADETECT_SPOTS__MIN_SNR": "five"})
    assert "MIGRADETECT_SPOTS__MIN_SNR" in message
    assert "'five'" in message


def test_unknown_preset():
    assert "'strict'" in one_line(preset="strickt")


def test_inputs_are_left_as_they_were():
    overrides, environ = {"spots.min_snr": "5"}, {"MIGRADETECT_SPOTS__MIN_SNR": "6"}
    load_params(environ=environ, overrides=overrides)
    assert overrides == {"spots.min_snr": "5"}
    assert environ == {"MIGRADETECT_SPOTS__MIN_SNR": "6"}
