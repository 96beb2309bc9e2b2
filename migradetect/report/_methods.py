"""A paragraph for the methods section, the parameters, the versions, and how to cite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from migradetect._version import __version__
from migradetect.params import Params

__all__ = ["CITATION", "bibtex", "changed_parameters", "methods_paragraph", "parameter_rows"]

#: As in CITATION.cff.
TITLE: Final = (
    "migradetect: detection, tracking and counting of migrasomes and retraction fibers in fluorescence time-lapses"
)
CITATION: Final = f"The migradetect developers. {TITLE}. Version {__version__}."


def bibtex(year: str) -> str:
    """Entry for BibTeX."""
    return (
        f"@software{{migradetect,\n  author  = {{{{The migradetect developers}}}},\n  title   = {{{TITLE}}},\n"
        f"  version = {{{__version__}}},\n  year    = {{{year}}}\n}}"
    )


def parameter_rows(parameters: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Every parameter: name, value, default, and whether they differ."""
    defaults = Params().model_dump(mode="json")
    rows = []
    for section, values in parameters.items():
        for name, value in (values or {}).items() if isinstance(values, Mapping) else ():
            default = (defaults.get(section) or {}).get(name)
            rows.append((f"{section}.{name}", _text(value), _text(default), value != default))
    return rows


def changed_parameters(parameters: Mapping[str, Any]) -> str:
    """What differs from the defaults, but for the input, in words."""
    changed = [(n, v) for n, v, _, differs in parameter_rows(parameters) if differs and not n.startswith("input.")]
    if not changed:
        return "with default parameters"
    return "with default parameters but for " + ", ".join(f"{name} = {value}" for name, value in changed)


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def methods_paragraph(movies: pd.DataFrame, run: Mapping[str, Any], psf_um: list[float], statistics: str = "") -> str:
    """Paragraph that says what was done, ready to paste.

    Parameters
    ----------
    movies : pandas.DataFrame
        Rows of the movies that are done.
    run : mapping
        Content of ``run.json``.
    psf_um : list of float
        Width of the PSF that was used for each movie.
    statistics : str
        Sentences on what was compared and how.
    """
    parameters = run.get("parameters") or Params().model_dump(mode="json")
    versions = run.get("versions") or {}
    spots, judge, fibers = (parameters.get(name) or {} for name in ("spots", "judge", "fibers"))
    growth = "d(t) = d_inf (1 - exp(-(t - t0) / tau))"
    libraries = ", ".join(
        f"{name} {versions[name]}" for name in ("numpy", "scipy", "trackpy", "skan") if name in versions
    )
    timed = bool((movies["n_frames"].fillna(1) > 1).any())
    sentences = [
        f"{len(movies)} {'time-lapse movies' if timed else 'images'} ({_span(movies['n_frames'], 'frames')}, "
        f"{_span(movies['pixel_size_um'], 'µm per pixel')}"
        + (f", {_span(movies['frame_interval_s'], 's between frames')}" if timed else "")
        + f"; channels {', '.join(sorted(movies['channels'].dropna().unique()))}) were analysed with migradetect "
        f"{run.get('migradetect', __version__)} (Python {versions.get('python', 'unknown')}"
        f"{', ' + libraries if libraries else ''}), {changed_parameters(parameters)}.",
        "Stage drift was corrected by registration of the frames; all thresholds are in units of the measured noise.",
        f"Cell bodies were segmented at the half height of their edges, and retraction fibers as ridges above a "
        f"signal-to-noise ratio of {_text(fibers.get('low_snr'))} with a core above {_text(fibers.get('high_snr'))}.",
        f"Spots of {_text(spots.get('min_diameter_um'))} to {_text(spots.get('max_diameter_um'))} µm with a "
        f"signal-to-noise ratio of at least {_text(spots.get('min_snr'))} were linked over time in drift-corrected "
        "coordinates (trackpy)" + (
            ", and each linked record was judged by a trained network and trees"
            if judge.get("method", "learned") == "learned" else ", and each linked record was judged by rules"
        ) + f"; records with a score of at least {_text(judge.get('min_score'))}"
        + (f" that last at least {_text(judge.get('min_duration_min'))} min" if timed else "")
        + " count as migrasomes.",
        f"Diameters are corrected for the point spread function ({_range(psf_um)} full width at half maximum).",
    ]  # fmt: skip
    if timed:
        sentences += [
            f"Birth, growth and end were read from photometry at the site of each migrasome in every frame; growth was "
            f"fitted with {growth}.",
            "Migrasomes that were there in the first frame were left out of growth and lifetimes; lifetimes are "
            "Kaplan-Meier estimates with migrasomes that outlast the movie or leave the field censored.",
        ]
    sentences.append(
        "The parent cell of a migrasome follows from the history of the cells at its place and from fibers."
    )
    return " ".join([*sentences, *([statistics] if statistics else [])])


def _span(values: pd.Series[Any], unit: str) -> str:
    known = values.dropna().astype(float)
    if known.empty:
        return f"unknown {unit}"
    low, high = known.min(), known.max()
    return f"{low:g} {unit}" if low == high else f"{low:g} to {high:g} {unit}"


def _range(values: list[float]) -> str:
    if not values:
        return "unknown"
    low, high = min(values), max(values)
    return f"{low:.2f} µm" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f} µm"
