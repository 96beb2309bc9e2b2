import pytest

from migradetect import errors
from migradetect.errors import MigradetectError, nearest_name, printable


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ReadError", OSError),
        ("AxesError", ValueError),
        ("CalibrationError", ValueError),
        ("ParamsError", ValueError),
        ("TableError", ValueError),
        ("NoMoviesError", FileNotFoundError),
        ("OutputError", OSError),
        ("CancelledError", RuntimeError),
    ],
)
def test_each_error_is_also_the_builtin_that_a_caller_expects(name, builtin):
    kind = getattr(errors, name)
    assert issubclass(kind, MigradetectError)
    assert issubclass(kind, builtin)
    assert str(kind("one line")) == "one line"


def test_nearest_name():
    assert nearest_name("spotz", ["spots", "cells"]) == " (did you mean 'spots'?)"
    assert nearest_name("xyz", ["spots", "cells"]) == ""
    assert nearest_name("x", []) == ""


def test_printable_is_one_line_without_commands():
    assert printable("plain  µm ümläut 細胞") == "plain  µm ümläut 細胞"
    assert printable("a\n  b\r\nc") == "a b c"
    assert printable("\x1b[2J\x07\x85\u202e\u200b\udcff") == "\\x1b[2J\\x07\\x85\\u202e\\u200b\\udcff"
