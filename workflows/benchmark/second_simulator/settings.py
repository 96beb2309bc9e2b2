"""What a movie is made of: every physical number, drawn wide and afresh for each seed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from zlib import crc32

import numpy as np

__all__ = ["KINDS", "Settings", "draw_settings"]

#: Sorts of movies. ``mixed`` draws the widest ranges of everything, so that no kind's habits are learned.
KINDS = ("typical", "dim", "crowded", "decoys", "fixed", "drift", "coarse", "fine", "empty", "mixed")


@dataclass(frozen=True)
class Settings:
    """All numbers of one movie; lengths in um, times in min, light in electrons per pixel."""

    # recording
    pixel_um: float
    size_px: int
    n_frames: int
    interval_min: float
    roles: tuple[str, ...]
    warmup_min: float
    # cells
    n_cells: float
    area_um2: float
    style: str
    aspect: float
    roughness: float
    lobes: int
    speed: float
    persistence_min: float
    pause: float
    crossing: float
    roundups_per_h: float
    divisions_per_h: float
    # look of the bodies
    body_e: tuple[float, float]
    background_e: tuple[float, float]
    membrane: float
    nucleus: float
    grain: float
    edge_um: float
    ruffle: float
    cell_spread: float
    endosomes: float
    endosome_growth_per_h: float
    filopodia_per_h: float
    # fibers
    anchors_per_um: float
    anchor_spread: float
    fork: float
    pin_um: float
    straighten_min: float
    breaks_per_h: float
    fiber_fade_h: float
    fiber_fraction: tuple[float, float]
    fiber_spread: float
    # migrasomes
    at_tip: float
    at_branch: float
    per_100um: float
    delay_min: float
    plateau_um: float
    plateau_spread: float
    tau_min: float
    late: float
    late_min: float
    hollow: float
    contrast: tuple[float, float]
    contrast_spread: float
    ruptures_per_h: float
    fades_per_h: float
    engulf: float
    # decoys
    debris: float
    debris_on_fiber: float
    floating: float
    puncta_per_100um: float
    transients_per_100um: float
    # optics and camera
    psf_px: tuple[float, float]
    pedestal: float
    haze: float
    haze_um: float
    vignette: float
    unevenness: float
    flicker: float
    bleach: tuple[float, float]
    shift_px: float
    drift_um: float
    walk_um: float
    jumps: float
    jump_um: float
    focus: float
    camera: str
    bits: int
    exposure: float
    read_e: float
    hot: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the provenance of the truth."""
        return asdict(self)


class _Dice:
    """Draws from uniform and log-uniform ranges."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def flat(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def log(self, low: float, high: float) -> float:
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)


def draw_settings(kind: str, seed: int, **overrides: Any) -> Settings:
    """Numbers of one movie.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    seed : int
        Any seed; the kind is mixed in, so that one seed gives unlike movies of two kinds.
    **overrides
        Fields of :class:`Settings` to set.

    Returns
    -------
    Settings

    Raises
    ------
    ValueError
        If the kind or a field is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind out of {', '.join(KINDS)}, got '{kind}'")
    unknown = set(overrides) - {field.name for field in fields(Settings)}
    if unknown:
        raise ValueError(f"expected fields of Settings, got {', '.join(sorted(unknown))}")
    dice = _Dice(np.random.default_rng([seed, crc32(kind.encode())]))
    drawn = _common(dice)
    drawn |= _of_kind(kind, dice, drawn)
    drawn["size_px"] = drawn.get("size_px") or int(np.clip(np.ceil(82 / drawn["pixel_um"] / 16) * 16, 512, 864))
    return replace(Settings(**drawn), **overrides)


def _common(d: _Dice) -> dict[str, Any]:
    style = d.pick("round", "spindle", "fan", "irregular", "irregular")
    body = d.log(45, 300)
    camera = d.pick("scmos", "scmos", "emccd", "ccd")
    interval = d.pick(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    return {
        "pixel_um": d.flat(0.125, 0.19),
        "n_frames": 40,
        "interval_min": interval,
        "roles": ("tspan4", "wga"),
        "warmup_min": d.flat(60, 200),
        "n_cells": d.flat(2, 5),
        "area_um2": d.log(280, 900),
        "style": style,
        "aspect": d.flat(2.0, 4.2) if style == "spindle" else d.flat(1.3, 2.3),
        "roughness": d.flat(0.08, 0.22) if style == "irregular" else d.flat(0.02, 0.09),
        "lobes": int(d.rng.integers(2, 5)) if style == "irregular" else 0,
        "speed": d.log(0.25, 0.95),
        "persistence_min": d.log(30, 180),
        "pause": d.flat(0.0, 0.3),
        "crossing": d.flat(0.0, 0.4),
        "roundups_per_h": d.flat(0.0, 0.06),
        "divisions_per_h": d.flat(0.0, 0.05),
        "body_e": (body * d.log(0.5, 1.6), body * d.log(0.7, 1.6)),
        "background_e": (d.log(4, 45), d.log(6, 55)),
        "membrane": d.flat(0.0, 1.0),
        "nucleus": d.flat(-0.1, 0.6),
        "grain": d.flat(0.1, 0.5),
        "edge_um": d.log(0.6, 4.0),
        "ruffle": d.flat(0.0, 0.9),
        "cell_spread": d.flat(0.1, 0.45),
        "endosomes": d.flat(3, 30),
        "endosome_growth_per_h": d.flat(0, 6),
        "filopodia_per_h": d.log(1.0, 12.0),
        "anchors_per_um": d.log(0.04, 0.13),
        "anchor_spread": d.flat(0.35, 0.9),
        "fork": d.flat(0.15, 0.55),
        "pin_um": d.log(5, 18),
        "straighten_min": d.log(8, 90),
        "breaks_per_h": d.log(0.08, 0.6),
        "fiber_fade_h": d.log(4, 30),
        "fiber_fraction": (d.log(0.05, 0.22), d.log(0.07, 0.25)),
        "fiber_spread": d.flat(0.15, 0.45),
        "at_tip": d.flat(0.2, 0.55),
        "at_branch": d.flat(0.2, 0.6),
        "per_100um": d.log(0.4, 3.0),
        "delay_min": d.log(4, 25),
        "plateau_um": d.flat(1.1, 1.9),
        "plateau_spread": d.flat(0.18, 0.35),
        "tau_min": d.log(5, 28),
        "late": d.flat(0, 0.6),
        "late_min": d.log(4, 25),
        "hollow": d.flat(0, 0.8),
        "contrast": (d.log(0.5, 2.2), d.log(0.3, 1.1)),
        "contrast_spread": d.flat(0.2, 0.55),
        "ruptures_per_h": d.log(0.02, 0.2),
        "fades_per_h": d.log(0.02, 0.15),
        "engulf": d.flat(0.1, 0.7),
        "debris": d.log(1, 9),
        "debris_on_fiber": d.flat(0, 2),
        "floating": d.flat(0, 2),
        "puncta_per_100um": d.log(0.5, 4),
        "transients_per_100um": d.log(0.2, 2),
        "psf_px": (d.flat(0.9, 1.6), d.flat(0.95, 1.8)),
        "pedestal": d.flat(0, 0.3),
        "haze": d.flat(0.0, 0.25),
        "haze_um": d.flat(3, 10),
        "vignette": d.flat(0, 0.35),
        "unevenness": d.flat(0, 0.35),
        "flicker": d.log(0.003, 0.03),
        "bleach": (d.flat(0, 0.008), d.flat(0, 0.006)),
        "shift_px": d.flat(0, 0.45),
        "drift_um": d.log(0.004, 0.06),
        "walk_um": d.log(0.01, 0.08),
        "jumps": d.flat(0, 0.03),
        "jump_um": d.flat(0.3, 2.0),
        "focus": d.flat(0, 0.25),
        "camera": camera,
        "bits": d.pick(16, 16, 12, 8) if camera != "emccd" else d.pick(16, 14),
        "exposure": d.flat(0.35, 1.05),
        "read_e": {"scmos": d.flat(1.0, 2.5), "emccd": d.flat(0.1, 0.6), "ccd": d.flat(4, 9)}[camera],
        "hot": d.log(1e-6, 1.5e-4),
    }


def _of_kind(kind: str, d: _Dice, base: dict[str, Any]) -> dict[str, Any]:
    if kind == "dim":
        body = d.log(22, 70)
        return {
            "body_e": (body * d.log(0.6, 1.5), body * d.log(0.7, 1.5)),
            "background_e": (d.log(2, 14), d.log(2, 14)),
            "fiber_fraction": (d.log(0.05, 0.16), d.log(0.06, 0.18)),
        }
    if kind == "crowded":
        return {
            "n_cells": d.flat(6, 10),
            "area_um2": d.log(220, 480),
            "anchors_per_um": d.log(0.06, 0.15),
            "crossing": d.flat(0.2, 0.9),
            "per_100um": d.log(1.2, 4),
        }
    if kind == "decoys":
        return {
            "debris": d.flat(12, 30),
            "debris_on_fiber": d.flat(2, 6),
            "floating": d.flat(2, 6),
            "puncta_per_100um": d.flat(3, 9),
            "transients_per_100um": d.flat(2, 6),
            "filopodia_per_h": d.flat(10, 30),
            "endosomes": d.flat(20, 45),
        }
    if kind == "fixed":
        return {
            "n_frames": 1,
            "warmup_min": d.flat(150, 360),
            "roles": d.pick(("wga",), ("tspan4", "wga")),
            "n_cells": d.flat(3, 8),
            "size_px": int(d.pick(640, 768, 896)),
        }
    if kind == "drift":
        return {
            "drift_um": d.flat(0.05, 0.25),
            "walk_um": d.flat(0.05, 0.3),
            "jumps": d.flat(0.04, 0.12),
            "jump_um": d.flat(1.5, 7),
            "focus": d.flat(0.2, 0.7),
        }
    if kind == "coarse":
        return {"pixel_um": d.flat(0.2, 0.25), "size_px": 448, "psf_px": (d.flat(0.8, 1.2), d.flat(0.85, 1.3))}
    if kind == "fine":
        return {
            "pixel_um": d.flat(0.065, 0.1),
            "psf_px": (d.flat(1.5, 2.6), d.flat(1.6, 2.9)),
            "n_frames": 24,
            "n_cells": d.flat(1.5, 4),
        }
    if kind == "empty":
        return {"at_tip": 0.0, "at_branch": 0.0, "per_100um": 0.0}
    if kind == "mixed":
        body = d.log(25, 1500)
        pixel = d.log(0.08, 0.25)
        sigma = d.flat(0.11, 0.22) / pixel
        return {
            "pixel_um": pixel,
            "psf_px": (max(0.8, sigma), max(0.8, sigma * d.flat(1.0, 1.2))),
            "body_e": (body * d.log(0.25, 2), body * d.log(0.5, 2)),
            "background_e": (body * d.log(0.03, 0.4), body * d.log(0.03, 0.4)),
            "interval_min": d.pick(1.0, 1.5, 2.0, 3.0, 5.0, 6.0, 8.0, 10.0),
            "n_cells": d.log(1.2, 11),
            "area_um2": d.log(200, 1300),
            "speed": d.log(0.15, 1.4),
            "anchors_per_um": d.log(0.03, 0.22),
            "plateau_um": d.flat(0.9, 2.4),
            "contrast": (d.log(0.25, 4), d.log(0.2, 1.6)),
            "fiber_fraction": (d.log(0.04, 0.28), d.log(0.05, 0.3)),
            "debris": d.log(0.5, 25),
            "haze": d.flat(0, 0.5),
            "crossing": d.flat(0, 0.9),
            "roles": base["roles"] if d.chance(0.75) else d.pick(("wga",), ("tspan4",)),
            "drift_um": d.log(0.002, 0.2),
            "jumps": d.flat(0, 0.08),
            "jump_um": d.flat(0.3, 5),
        }
    return {}
