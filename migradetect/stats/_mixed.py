"""Mixed models and GEE, by statsmodels: an option for those who want the cells in the model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
import pandas as pd

from migradetect.errors import ParamsError, TableError, nearest_name
from migradetect.stats._groups import Groups, group_values

__all__ = ["ModelResult", "fit_model", "load_statsmodels"]

ModelKind = Literal["mixed", "gee"]
#: Below this many clusters the normal approximation of both models gives p values that are too small.
_FEW_CLUSTERS = 40


@dataclass(frozen=True)
class ModelResult:
    """A fitted model.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per group but the reference: ``group, reference, effect, effect_ci_low, effect_ci_high, p, n``. The
        effect is a difference for ``"mixed"`` and a ratio for ``"gee"``.
    method : str
        The model in words.
    notes : tuple of str
        Warnings of the fit, as they came, and limits of the method.
    """

    table: pd.DataFrame
    method: str
    notes: tuple[str, ...]


def load_statsmodels() -> Any:
    """statsmodels, or one line that says how to install it."""
    try:
        for name in ("api", "formula.api", "stats.multitest"):
            import_module(f"statsmodels.{name}")
    except ImportError as error:
        raise ParamsError(
            'expected the library statsmodels for this, got none; pip install "migradetect[stats]"'
        ) from error
    return import_module("statsmodels")


def fit_model(
    table: pd.DataFrame,
    value: str,
    by: str = "condition",
    *,
    kind: ModelKind = "mixed",
    replicate: str | None = None,
    control: str | None = None,
    unit: str = "cells",
) -> ModelResult:
    """Model of single cells that knows which replicate they come from.

    Parameters
    ----------
    table, value, by, replicate, unit
        As for :func:`migradetect.stats.compare`.
    kind : {"mixed", "gee"}
        ``"mixed"``: linear, a random intercept per replicate, by REML; for readouts that are about normal. ``"gee"``:
        Poisson with a log link, exchangeable within a replicate, with the bias-reduced covariance of Mancl and DeRouen
        (doi:10.1111/j.0006-341X.2001.00126.x); for counts.
    control : str, optional
        Reference group; the first by name where not given.

    Returns
    -------
    ModelResult
        Its notes hold every warning of the fit: read them before the p values.

    Raises
    ------
    ParamsError
        If statsmodels is not installed, or the kind is unknown.
    TableError
        If a column or group is missing, or the counts of a GEE are negative.
    """
    if kind not in ("mixed", "gee"):
        raise ParamsError(f"kind: expected mixed or gee, got '{kind}'{nearest_name(kind, ('mixed', 'gee'))}")
    statsmodels = load_statsmodels()
    groups = group_values(table, value, by, replicate, unit)
    reference = groups.names[0] if control is None else control
    if reference not in groups.names or len(groups.names) < 2:
        raise TableError(f"expected a control out of two or more groups ({', '.join(groups.names)}), got '{reference}'")
    data = _frame(groups)
    if kind == "gee" and (data["y"] < 0).any():
        raise TableError(f"{value}: expected counts of 0 or more for a GEE, got negative values")
    others = [name for name in groups.names if name != reference]
    for index, name in enumerate(others):
        # names of conditions are free text, which a formula would read as its own
        data[f"x{index}"] = (data["group"] == name).astype(float)
    formula = "y ~ " + " + ".join(f"x{index}" for index in range(len(others)))
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = _fit(statsmodels, kind, formula, data)
        except (ValueError, np.linalg.LinAlgError) as error:
            raise TableError(
                f"{value}: expected data that a {kind} model fits, got '{error}'; use compare()"
            ) from error
        limits = fit.conf_int()
    told += [f"statsmodels: {' '.join(str(item.message).split())}" for item in caught]
    rows = []
    for index, name in enumerate(others):
        low, high = (float(number) for number in limits.loc[f"x{index}"])
        effect = float(fit.params[f"x{index}"])
        if kind == "gee":
            effect, low, high = (float(np.exp(number)) for number in (effect, low, high))
        rows.append(
            {
                "value": value,
                "group": name,
                "reference": reference,
                "effect": effect,
                "effect_ci_low": low,
                "effect_ci_high": high,
                "p": float(fit.pvalues[f"x{index}"]),
                "n": groups.n_text(reference, name),
            }
        )
    n_clusters = int(data["cluster"].nunique())
    if n_clusters < _FEW_CLUSTERS:
        told.append(f"{n_clusters} replicates in all: p of such a model is too small with fewer than {_FEW_CLUSTERS}")
    method = {
        "mixed": "linear mixed model, random intercept per replicate, REML; effect is a difference",
        "gee": "Poisson GEE, exchangeable within replicates, bias-reduced covariance; effect is a ratio",
    }[kind]
    return ModelResult(pd.DataFrame(rows), method, (*groups.notes, *dict.fromkeys(told)))


def _frame(groups: Groups) -> pd.DataFrame:
    rows = [
        {"y": float(y), "group": group, "cluster": f"{group}\n{replicate}"}
        for group, parts in groups.values.items()
        for replicate, values in parts.items()
        for y in values
    ]
    return pd.DataFrame(rows).astype({"group": object, "cluster": object})


def _fit(statsmodels: Any, kind: str, formula: str, data: pd.DataFrame) -> Any:
    api, formulas = statsmodels.api, statsmodels.formula.api
    if kind == "mixed":
        return formulas.mixedlm(formula, data, groups=data["cluster"]).fit(reml=True)
    model = formulas.gee(
        formula, "cluster", data, family=api.families.Poisson(), cov_struct=api.cov_struct.Exchangeable()
    )
    return model.fit(cov_type="bias_reduced")
