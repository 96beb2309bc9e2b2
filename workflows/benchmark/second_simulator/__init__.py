"""A second simulator of migrasome movies, made apart from the library's own, to test what carries over.

It shares no code and no model with :mod:`migradetect.synthetic`: only the tables that both write.
"""

from .movies import simulate
from .settings import KINDS, Settings, draw_settings

__all__ = ["KINDS", "Settings", "draw_settings", "simulate"]
