"""Statistics of a batch: conditions with replicates, lifetimes with censoring, screens.

Cells of one dish are not independent, so conditions are compared by the means of replicates unless it is asked
otherwise (Lord et al. 2020, doi:10.1083/jcb.202001064). scipy and, for mixed models, statsmodels compute the tests.
Every result says how many replicates and cells it rests on.
"""

from __future__ import annotations

from migradetect.stats._bootstrap import bootstrap_groups
from migradetect.stats._compare import TESTS, Comparison, compare, compare_readouts
from migradetect.stats._groups import (
    READOUTS,
    Groups,
    group_order,
    group_values,
    is_control_name,
    n_text,
    replicate_column,
    select_cells,
)
from migradetect.stats._lifetimes import LifetimeComparison, SurvivalCurve, compare_lifetimes, survival
from migradetect.stats._mixed import ModelResult, fit_model
from migradetect.stats._null import permuted_p_values
from migradetect.stats._screen import SCREEN_READOUTS, Screen, analyse_screen, well_table

__all__ = [
    "READOUTS",
    "SCREEN_READOUTS",
    "TESTS",
    "Comparison",
    "Groups",
    "LifetimeComparison",
    "ModelResult",
    "Screen",
    "SurvivalCurve",
    "analyse_screen",
    "bootstrap_groups",
    "compare",
    "compare_lifetimes",
    "compare_readouts",
    "fit_model",
    "group_order",
    "group_values",
    "is_control_name",
    "n_text",
    "permuted_p_values",
    "replicate_column",
    "select_cells",
    "survival",
    "well_table",
]
