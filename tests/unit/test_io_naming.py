from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migradetect.errors import ReadError
from migradetect.io.naming import guess_role, natural_key, parse_name, safe_name, stem_of, unique_names


def test_natural_order_puts_t2_before_t10():
    names = ["t10", "t2", "t1"]
    assert sorted(names) != ["t1", "t2", "t10"], "test invalid: plain sorting already does it"
    assert sorted(names, key=natural_key) == ["t1", "t2", "t10"]


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=20), st.sampled_from(["t", "img_T", "a.b-"]))
def test_natural_order_is_the_order_of_the_numbers(numbers, prefix):
    names = [f"{prefix}{number}" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{prefix}{number}" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=12), max_size=12))
def test_natural_order_is_total_whatever_the_names(names):
    # superscripts and other digits that int() refuses must not break a search
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


@pytest.mark.parametrize(
    ("stem", "group", "t", "c", "z", "channel_name"),
    [
        ("cell_t001", "cell_*", 1, None, None, None),
        ("cell_T1_c2", "cell_*_*", 1, "2", None, None),
        ("x_t-12", "x_*", 12, None, None, None),
        ("x_time001", "x_*", 1, None, None, None),
        ("x_time_001", "x_*", 1, None, None, None),
        ("name t001.z02", "name *.*", 1, None, 2, None),
        ("m_ch00_z03", "m_*_*", None, "00", 3, None),
        ("exp_w1TSPAN4-GFP_s1_t12", "exp_*_s1_*", 12, "1", None, "TSPAN4-GFP"),
        ("exp_w1GFP_s1_t12", "exp_*_s1_*", 12, "1", None, "GFP"),
        ("a_xy01c1t001", "a_xy01**", 1, "1", None, None),
        ("B03_pos2_t7", "B03_pos2_*", 7, None, None, None),
        ("img_channel001_position002_time000000003_z000", "img_*_position002_*_*", 3, "001", 0, None),
        ("img_000000003_GFP_002", "img_*_*_*", 3, "GFP", 2, "GFP"),
        ("r01c02f01p03-ch1sk2fk1fl1", "r01c02_f01", 2, "1", 3, None),
        ("plate_1_C03_T0001F002L01A01Z04C02", "plate_1_C03_F002", 1, "02", 4, None),
        ("C03_s1_t2", "C03_s1_*", 2, None, None, None),
        ("C1-cell", "*-cell", None, "1", None, None),
        ("D7_01_3_1_RFP_001", "D7_01", 1, "RFP", None, "RFP"),
        ("movie_tspan4", "movie_*", None, "tspan4", None, "tspan4"),
        ("movie_WGA", "movie_*", None, "WGA", None, "WGA"),
        ("cell_0001", "cell_0001", None, None, None, None),
        ("control", "control", None, None, None, None),
        ("water1_plate2", "water1_plate2", None, None, None, None),
    ],
)
def test_tokens(stem, group, t, c, z, channel_name):
    parts = parse_name(stem)
    assert (parts.group, parts.t, parts.c, parts.z, parts.channel_name) == (group, t, c, z, channel_name)


@given(
    st.from_regex(r"[BDEG-L][0-9]{0,2}|C0[1-9]", fullmatch=True),
    st.integers(0, 10**5),
    st.integers(0, 99),
    st.integers(0, 999),
    st.sampled_from(["_", "-", " "]),
    st.integers(1, 6),
)
def test_tokens_come_back_with_any_padding_and_separator(name, t, c, z, sep, digits):
    parts = parse_name(sep.join([name, f"c{c}", f"t{t:0{digits}d}", f"z{z}"]))
    assert (parts.t, int(parts.c), parts.z) == (t, c, z)
    assert parts.group == sep.join([name, "*", "*", "*"])


def test_pattern_replaces_the_built_in_tokens():
    parts = parse_name("plate7 A 003", r"(?P<pos>\w+) (?P<c>[A-Z]) (?P<t>\d+)")
    assert (parts.group, parts.t, parts.c) == ("plate7", 3, "A")
    assert parse_name("cell_t001", r"frame(?P<t>\d+)").t is None


@pytest.mark.parametrize("pattern", ["(", r"(?P<pos>.*)", r"(?P<t>[a-z]+)"])
def test_bad_pattern_is_refused(pattern):
    with pytest.raises(ReadError, match="--pattern"):
        parse_name("abc", pattern)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("TSPAN4-GFP", "tspan4"),
        ("tetraspanin 4", "tspan4"),
        ("WGA-AF647", "wga"),
        ("Wheat germ agglutinin", "wga"),
        ("DAPI", None),
        ("TSPAN4+WGA", None),
    ],
)
def test_roles_are_guessed_from_names(name, role):
    assert guess_role(name) == role


@given(st.text(max_size=300))
def test_safe_names_are_safe(text):
    name = safe_name(text)
    assert 0 < len(name) <= 100
    assert not set(name) & set('/\\:*?"<>| \0')
    assert name[0] not in ".-"
    assert name == safe_name(name)


def test_reserved_and_long_names():
    assert safe_name("con") == "_con"
    assert safe_name("x" * 300) != safe_name("x" * 301)
    assert safe_name("迁移体 1") == "迁移体_1"


@given(st.lists(st.sampled_from(["a", "A", "a_2", "b"]), max_size=8))
def test_names_become_unique_also_without_case(names):
    unique = unique_names(names)
    assert len({name.casefold() for name in unique}) == len(names)


def test_stem_without_suffixes():
    assert [stem_of(Path(name)) for name in ("a.ome.tif", "a.TIFF", "a.b.tif")] == ["a", "a", "a.b"]
