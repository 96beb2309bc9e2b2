"""Named conditions: each draws every physical parameter from a seeded generator."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from migradetect.errors import ParamsError, nearest_name
from migradetect.synthetic.draws import draw_biology, draw_microscope, draw_sampling, log_uniform, uniform
from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = ["CONDITIONS", "SimulationParams", "simulation_params"]


def _typical(rng: Rng, low_um: float = 0.128, high_um: float = 0.165) -> SimulationParams:
    return SimulationParams(**(draw_sampling(rng, low_um, high_um) | draw_biology(rng) | draw_microscope(rng)))


def _clean(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        cell_e_tspan4=log_uniform(rng, 500, 1000),
        cell_e_wga=log_uniform(rng, 700, 1400),
        gain_count_per_e=uniform(rng, 0.6, 1.2),
        bit_depth=16,
        camera="scmos",
        offset_count=100.0,
        read_noise_e=uniform(rng, 0.9, 1.4),
        haze_fraction=uniform(rng, 0.01, 0.05),
        background_texture=uniform(rng, 0.0, 0.06),
        contrast_tspan4=log_uniform(rng, 0.9, 1.6),
        contrast_wga=log_uniform(rng, 0.6, 1.0),
        n_debris_static=uniform(rng, 0, 3),
        n_debris_floating=0.0,
        subresolution_per_100um=uniform(rng, 0.3, 1.2),
        transients_per_100um=0.0,
        focus_range_um=0.1,
        drift_jump_probability=0.0,
    )


def _low_snr(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        cell_e_tspan4=log_uniform(rng, 22, 55),
        cell_e_wga=log_uniform(rng, 30, 75),
        background_e_tspan4=uniform(rng, 4, 10),
        background_e_wga=uniform(rng, 5, 12),
        haze_fraction=uniform(rng, 0.12, 0.3),
        bit_depth=16,
    )


def _crowded(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        cell_density_per_mm2=uniform(rng, 750, 1050),
        cell_area_um2=uniform(rng, 420, 650),
        migrasomes_per_100um=uniform(rng, 4, 8),
        engulf_probability=uniform(rng, 0.2, 0.6),
    )


def _drifting(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        drift_um_per_frame=uniform(rng, 0.04, 0.16),
        drift_walk_um=uniform(rng, 0.08, 0.2),
        drift_jump_probability=uniform(rng, 0.04, 0.1),
        drift_jump_um=uniform(rng, 1.5, 4.0),
        focus_walk_um=uniform(rng, 0.08, 0.16),
        focus_range_um=uniform(rng, 0.5, 0.9),
    )


def _many_decoys(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        endosomes_per_cell=uniform(rng, 20, 40),
        endosome_growth_per_h=uniform(rng, 6, 14),
        filopodia_per_cell=uniform(rng, 4, 9),
        n_debris_static=uniform(rng, 15, 40),
        n_debris_floating=uniform(rng, 3, 8),
        subresolution_per_100um=uniform(rng, 4, 9),
        transients_per_100um=uniform(rng, 1.5, 4),
        division_rate_per_h=uniform(rng, 0.05, 0.15),
        roundup_rate_per_h=uniform(rng, 0.05, 0.2),
    )


def _fine_pixels(rng: Rng) -> SimulationParams:
    return replace(_typical(rng, 0.062, 0.08), n_frames=40)


def _coarse_pixels(rng: Rng) -> SimulationParams:
    # an objective of lower aperture goes with such pixels
    return replace(
        _typical(rng, 0.2, 0.25),
        numerical_aperture=uniform(rng, 0.75, 0.95),
        psf_broadening=uniform(rng, 1.2, 1.5),
        cell_density_per_mm2=uniform(rng, 220, 420),
    )


def _fixed_frame(rng: Rng) -> SimulationParams:
    roles = ("wga",) if rng.random() < 0.5 else ("tspan4", "wga")
    return replace(
        _typical(rng),
        n_frames=1,
        warmup_min=uniform(rng, 150, 260),
        roles=roles,
        n_debris_floating=0.0,
        division_rate_per_h=0.0,
    )


def _no_migrasomes(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        migrasomes_per_100um=0.0,
        tip_probability=0.0,
        branch_point_probability=0.0,
    )


def _z_stack(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng), n_frames=24, n_planes=5, z_step_um=uniform(rng, 0.4, 0.8), section_um=uniform(rng, 0.8, 1.4)
    )


def _random(rng: Rng) -> SimulationParams:
    """Everything anew, over ranges that reach beyond every other condition."""
    params = _typical(rng, 0.07, 0.25)
    decoys = log_uniform(rng, 0.3, 4.0)
    light = log_uniform(rng, 0.2, 4.0)
    unrest = log_uniform(rng, 0.3, 5.0)
    return replace(
        params,
        frame_interval_s=float(rng.choice([60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 360.0])),
        cell_density_per_mm2=uniform(rng, 180, 950),
        cell_area_um2=uniform(rng, 420, 1300),
        numerical_aperture=uniform(rng, 0.8, 1.45),
        speed_um_per_min=uniform(rng, 0.2, 1.1),
        migrasomes_per_100um=uniform(rng, 0.5, 9),
        plateau_um=uniform(rng, 0.9, 2.2),
        contrast_tspan4=log_uniform(rng, 0.3, 2.2),
        contrast_wga=log_uniform(rng, 0.25, 1.3),
        fiber_fraction_tspan4=uniform(rng, 0.05, 0.25),
        fiber_fraction_wga=uniform(rng, 0.05, 0.25),
        cell_e_tspan4=params.cell_e_tspan4 * light,
        cell_e_wga=params.cell_e_wga * light * log_uniform(rng, 0.6, 1.6),
        background_e_tspan4=params.background_e_tspan4 * log_uniform(rng, 0.5, 3.0),
        background_e_wga=params.background_e_wga * log_uniform(rng, 0.5, 3.0),
        endosomes_per_cell=params.endosomes_per_cell * decoys,
        filopodia_per_cell=params.filopodia_per_cell * decoys,
        n_debris_static=params.n_debris_static * decoys,
        n_debris_floating=params.n_debris_floating * decoys,
        subresolution_per_100um=params.subresolution_per_100um * decoys,
        transients_per_100um=params.transients_per_100um * decoys,
        drift_um_per_frame=params.drift_um_per_frame * unrest,
        drift_walk_um=params.drift_walk_um * unrest,
        drift_jump_um=params.drift_jump_um * unrest,
        focus_range_um=min(0.9, params.focus_range_um * unrest),
        focus_walk_um=params.focus_walk_um * unrest,
        bit_depth=16,
    )


#: Named conditions; each draws a full set of parameters from a seeded generator.
CONDITIONS: Final[Mapping[str, Callable[[Rng], SimulationParams]]] = MappingProxyType(
    {
        "clean": _clean,
        "typical": _typical,
        "low_snr": _low_snr,
        "crowded": _crowded,
        "drifting": _drifting,
        "many_decoys": _many_decoys,
        "fine_pixels": _fine_pixels,
        "coarse_pixels": _coarse_pixels,
        "fixed_frame": _fixed_frame,
        "no_migrasomes": _no_migrasomes,
        "z_stack": _z_stack,
        "random": _random,
    }
)


def seeded(condition: str, seed: int, stream: int) -> Rng:
    """Independent random stream of a condition and seed.

    Parameters
    ----------
    condition : str
        Name of the condition; it takes part so that seed 0 differs between conditions.
    seed : int
        Not negative.
    stream : int
        Number of the stream: parameters, biology and camera each have their own.
    """
    return np.random.default_rng([seed, zlib.crc32(condition.encode()), stream])


def simulation_params(condition: str = "typical", seed: int = 0, **overrides: Any) -> SimulationParams:
    """Parameters of a named condition.

    Parameters
    ----------
    condition : str
        One of :data:`CONDITIONS`.
    seed : int
        Not negative; draws everything that varies within the condition.
    **overrides
        Fields of :class:`SimulationParams` that replace what was drawn.

    Returns
    -------
    SimulationParams

    Raises
    ------
    ParamsError
        If the condition, the seed or an override is unknown or impossible.
    """
    if condition not in CONDITIONS:
        hint = nearest_name(condition, CONDITIONS)
        raise ParamsError(f"condition: expected one of {', '.join(CONDITIONS)}, got '{condition}'{hint}")
    if seed < 0:
        raise ParamsError(f"seed: expected 0 or more, got {seed}; give another --seed")
    known = [f.name for f in fields(SimulationParams)]
    for name in overrides:
        if name not in known:
            raise ParamsError(f"simulation parameter: expected a known name, got '{name}'{nearest_name(name, known)}")
    params = replace(CONDITIONS[condition](seeded(condition, seed, 0)), **overrides)
    _check(params)
    return params


def _check(params: SimulationParams) -> None:
    for name in ("height_px", "width_px"):
        if getattr(params, name) < 64:
            raise ParamsError(f"{name}: expected 64 or more, got {getattr(params, name)}; a cell would not fit")
    for name in ("n_frames", "n_planes", "frame_interval_s", "pixel_size_um"):
        if not getattr(params, name) > 0:
            raise ParamsError(f"{name}: expected more than 0, got {getattr(params, name)}")
    if not params.roles or not set(params.roles) <= {"tspan4", "wga"}:
        raise ParamsError(f"roles: expected tspan4, wga or both, got {', '.join(params.roles) or 'none'}")
    if params.camera not in ("scmos", "emccd"):
        raise ParamsError(f"camera: expected scmos or emccd, got '{params.camera}'")
    if params.shape not in ("fan", "spindle", "round"):
        raise ParamsError(f"shape: expected fan, spindle or round, got '{params.shape}'")
