"""Every physical parameter of a simulated movie, and the named conditions that draw them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from migradetect.errors import ParamsError, nearest_name

__all__ = ["CONDITIONS", "SimulationParams", "simulation_params"]

Rng = np.random.Generator


@dataclass(frozen=True)
class SimulationParams:
    """Physical parameters of one simulated movie; the unit stands in the name.

    Brightness is given in photoelectrons per pixel (``_e``) for the plateau of a cell body; fibers, migrasomes and
    decoys are fractions of that. Probabilities and fractions lie in 0 to 1.
    """

    # recording
    height_px: int = 640
    width_px: int = 640
    n_frames: int = 60
    frame_interval_s: float = 120.0
    pixel_size_um: float = 0.14
    n_planes: int = 1
    z_step_um: float = 0.6
    roles: tuple[str, ...] = ("tspan4", "wga")
    #: Time simulated before the first frame, so that a movie opens on fibers and migrasomes that are already there.
    warmup_min: float = 90.0
    # cells
    cell_density_per_mm2: float = 450.0
    cell_area_um2: float = 800.0
    cell_area_cv: float = 0.25
    speed_um_per_min: float = 0.55
    speed_cv: float = 0.35
    persistence_min: float = 60.0
    shape: str = "fan"
    elongation: float = 1.5
    n_tails: float = 3.0
    tail_length_um: float = 6.0
    lamellipodium: float = 0.2
    division_rate_per_h: float = 0.03
    roundup_rate_per_h: float = 0.03
    membrane_fraction: float = 0.6
    texture: float = 0.25
    nucleus_shadow: float = 0.4
    ruffle: float = 0.5
    edge_width_um: float = 2.2
    # retraction fibers
    anchor_spacing_um: float = 8.0
    side_branch_probability: float = 0.25
    side_branch_um: float = 5.0
    split_rate_per_h: float = 0.8
    fiber_fraction_tspan4: float = 0.12
    fiber_fraction_wga: float = 0.14
    fiber_cv: float = 0.35
    wave_um: float = 0.5
    straighten_min: float = 25.0
    break_rate_per_h: float = 0.06
    fiber_fade_h: float = 8.0
    # migrasomes
    migrasomes_per_100um: float = 4.0
    tip_probability: float = 0.3
    branch_point_probability: float = 0.3
    nucleation_delay_min: float = 15.0
    plateau_um: float = 1.4
    plateau_sigma: float = 0.32
    tau_min: float = 14.0
    late_fraction: float = 0.4
    late_delay_min: float = 12.0
    shell_fraction: float = 0.4
    contrast_tspan4: float = 0.9
    contrast_wga: float = 0.6
    contrast_sigma: float = 0.45
    rupture_rate_per_h: float = 0.08
    fade_rate_per_h: float = 0.08
    engulf_probability: float = 0.5
    # decoys
    endosomes_per_cell: float = 12.0
    endosome_growth_per_h: float = 3.0
    filopodia_per_cell: float = 2.0
    n_debris_static: float = 6.0
    n_debris_floating: float = 1.5
    subresolution_per_100um: float = 2.0
    transients_per_100um: float = 0.8
    # optics
    numerical_aperture: float = 1.2
    wavelength_tspan4_um: float = 0.52
    wavelength_wga_um: float = 0.66
    psf_broadening: float = 1.45
    section_um: float = 1.8
    haze_fraction: float = 0.12
    haze_radius_um: float = 4.0
    vignetting: float = 0.12
    background_e_tspan4: float = 8.0
    background_e_wga: float = 10.0
    background_texture: float = 0.15
    bleaching_per_frame_tspan4: float = 0.002
    bleaching_per_frame_wga: float = 0.0015
    chromatic_shift_px: float = 0.2
    drift_um_per_frame: float = 0.01
    drift_walk_um: float = 0.03
    drift_jump_probability: float = 0.01
    drift_jump_um: float = 0.8
    focus_walk_um: float = 0.03
    focus_range_um: float = 0.35
    # camera
    camera: str = "scmos"
    cell_e_tspan4: float = 150.0
    cell_e_wga: float = 260.0
    gain_count_per_e: float = 2.0
    offset_count: float = 100.0
    read_noise_e: float = 1.6
    hot_pixel_fraction: float = 0.0001
    bit_depth: int = 16
    #: True gives the expected counts without photon and read noise: for tests of the physics.
    is_noise_free: bool = False

    @property
    def field_um(self) -> tuple[float, float]:
        """Height and width of the field of view."""
        return self.height_px * self.pixel_size_um, self.width_px * self.pixel_size_um

    @property
    def frame_interval_min(self) -> float:
        """Minutes between frames."""
        return self.frame_interval_s / 60.0


def _u(rng: Rng, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _log(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _field_px(pixel_size_um: float, at_least_um: float = 82.0) -> int:
    # a multiple of 32, as cameras crop, and never less than a field in which cells can move freely
    return max(640, int(np.ceil(at_least_um / pixel_size_um / 32.0)) * 32)


def _sampling(rng: Rng, low_um: float, high_um: float, wide_px: int = 0) -> dict[str, Any]:
    size = round(_u(rng, low_um, high_um), 4)
    side = max(_field_px(size), wide_px)
    return {"pixel_size_um": size, "height_px": side, "width_px": side}


def _biology(rng: Rng) -> dict[str, Any]:
    shape = str(rng.choice(["fan", "spindle", "round"], p=[0.45, 0.35, 0.2]))
    elongation = {"fan": (1.1, 1.7), "spindle": (1.8, 3.2), "round": (1.0, 1.3)}[shape]
    return {
        "cell_density_per_mm2": _u(rng, 300, 620),
        "cell_area_um2": _u(rng, 550, 1150),
        "cell_area_cv": _u(rng, 0.15, 0.3),
        "speed_um_per_min": _u(rng, 0.35, 0.85),
        "speed_cv": _u(rng, 0.2, 0.5),
        "persistence_min": _u(rng, 40, 110),
        "shape": shape,
        "elongation": _u(rng, *elongation),
        "n_tails": _u(rng, 2.0, 4.5),
        "tail_length_um": _u(rng, 4, 10),
        "lamellipodium": _u(rng, 0.08, 0.32),
        "division_rate_per_h": _u(rng, 0.0, 0.05),
        "roundup_rate_per_h": _u(rng, 0.0, 0.05),
        "membrane_fraction": _u(rng, 0.15, 0.9),
        "texture": _u(rng, 0.12, 0.35),
        "nucleus_shadow": _u(rng, 0.25, 0.8),
        "ruffle": _u(rng, 0.15, 0.8),
        "edge_width_um": _u(rng, 1.4, 3.2),
        "anchor_spacing_um": _u(rng, 5, 12),
        "side_branch_probability": _u(rng, 0.1, 0.35),
        "side_branch_um": _u(rng, 3, 8),
        "split_rate_per_h": _u(rng, 0.4, 1.4),
        "fiber_fraction_tspan4": _u(rng, 0.07, 0.2),
        "fiber_fraction_wga": _u(rng, 0.08, 0.22),
        "fiber_cv": _u(rng, 0.2, 0.5),
        "wave_um": _u(rng, 0.2, 0.8),
        "straighten_min": _u(rng, 10, 45),
        "break_rate_per_h": _u(rng, 0.03, 0.12),
        "fiber_fade_h": _u(rng, 4, 14),
        "migrasomes_per_100um": _u(rng, 2.0, 6.5),
        "tip_probability": _u(rng, 0.15, 0.45),
        "branch_point_probability": _u(rng, 0.15, 0.45),
        "nucleation_delay_min": _u(rng, 6, 25),
        "plateau_um": _u(rng, 1.1, 1.8),
        "plateau_sigma": _u(rng, 0.22, 0.4),
        "tau_min": _u(rng, 7, 25),
        "late_fraction": _u(rng, 0.15, 0.7),
        "late_delay_min": _u(rng, 6, 20),
        "shell_fraction": _u(rng, 0.15, 0.65),
        "contrast_tspan4": _log(rng, 0.5, 1.6),
        "contrast_wga": _log(rng, 0.35, 0.9),
        "contrast_sigma": _u(rng, 0.3, 0.55),
        "rupture_rate_per_h": _u(rng, 0.02, 0.14),
        "fade_rate_per_h": _u(rng, 0.02, 0.14),
        "engulf_probability": _u(rng, 0.15, 0.6),
        "endosomes_per_cell": _u(rng, 5, 20),
        "endosome_growth_per_h": _u(rng, 1, 6),
        "filopodia_per_cell": _u(rng, 0.5, 3.5),
        "n_debris_static": _u(rng, 2, 9),
        "n_debris_floating": _u(rng, 0.3, 2.0),
        "subresolution_per_100um": _u(rng, 0.8, 3.5),
        "transients_per_100um": _u(rng, 0.2, 1.2),
    }


def _microscope(rng: Rng) -> dict[str, Any]:
    emccd = bool(rng.random() < 0.25)
    return {
        "numerical_aperture": _u(rng, 1.0, 1.4),
        "psf_broadening": _u(rng, 1.2, 1.6),
        "section_um": _u(rng, 1.0, 3.0),
        "haze_fraction": _u(rng, 0.04, 0.22),
        "haze_radius_um": _u(rng, 2.5, 6.0),
        "vignetting": _u(rng, 0.03, 0.25),
        "background_e_tspan4": _u(rng, 4, 14),
        "background_e_wga": _u(rng, 5, 18),
        "background_texture": _u(rng, 0.05, 0.25),
        "bleaching_per_frame_tspan4": _u(rng, 0.0, 0.006),
        "bleaching_per_frame_wga": _u(rng, 0.0, 0.004),
        "chromatic_shift_px": _u(rng, 0.0, 0.4),
        "drift_um_per_frame": _u(rng, 0.0, 0.025),
        "drift_walk_um": _u(rng, 0.01, 0.05),
        "drift_jump_probability": _u(rng, 0.0, 0.02),
        "drift_jump_um": _u(rng, 0.3, 1.2),
        "focus_walk_um": _u(rng, 0.01, 0.05),
        "focus_range_um": _u(rng, 0.2, 0.45),
        "camera": "emccd" if emccd else "scmos",
        "cell_e_tspan4": _log(rng, 90, 260),
        "cell_e_wga": _log(rng, 140, 420),
        "gain_count_per_e": _u(rng, 4, 12) if emccd else _u(rng, 0.8, 3.0),
        "offset_count": _u(rng, 90, 450) if emccd else float(rng.choice([100.0, 110.0, 200.0])),
        "read_noise_e": _u(rng, 0.15, 0.4) if emccd else _u(rng, 1.1, 2.2),
        "hot_pixel_fraction": _log(rng, 0.00002, 0.0003),
        "bit_depth": int(rng.choice([12, 14, 16, 16])),
        "frame_interval_s": float(rng.choice([90.0, 120.0, 150.0, 180.0])),
        "warmup_min": _u(rng, 60, 130),
    }


def _typical(rng: Rng, low_um: float = 0.128, high_um: float = 0.165) -> SimulationParams:
    return SimulationParams(**(_sampling(rng, low_um, high_um) | _biology(rng) | _microscope(rng)))


def _clean(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        cell_e_tspan4=_log(rng, 500, 1000),
        cell_e_wga=_log(rng, 700, 1400),
        gain_count_per_e=_u(rng, 0.6, 1.2),
        bit_depth=16,
        camera="scmos",
        offset_count=100.0,
        read_noise_e=_u(rng, 0.9, 1.4),
        haze_fraction=_u(rng, 0.01, 0.05),
        background_texture=_u(rng, 0.0, 0.06),
        contrast_tspan4=_log(rng, 0.9, 1.6),
        contrast_wga=_log(rng, 0.6, 1.0),
        n_debris_static=_u(rng, 0, 3),
        n_debris_floating=0.0,
        subresolution_per_100um=_u(rng, 0.3, 1.2),
        transients_per_100um=0.0,
        focus_range_um=0.1,
        drift_jump_probability=0.0,
    )


def _low_snr(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        cell_e_tspan4=_log(rng, 22, 55),
        cell_e_wga=_log(rng, 30, 75),
        background_e_tspan4=_u(rng, 4, 10),
        background_e_wga=_u(rng, 5, 12),
        haze_fraction=_u(rng, 0.12, 0.3),
        bit_depth=16,
    )


def _crowded(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        cell_density_per_mm2=_u(rng, 750, 1050),
        cell_area_um2=_u(rng, 420, 650),
        migrasomes_per_100um=_u(rng, 4, 8),
        engulf_probability=_u(rng, 0.2, 0.6),
    )


def _drifting(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        drift_um_per_frame=_u(rng, 0.04, 0.16),
        drift_walk_um=_u(rng, 0.08, 0.2),
        drift_jump_probability=_u(rng, 0.04, 0.1),
        drift_jump_um=_u(rng, 1.5, 4.0),
        focus_walk_um=_u(rng, 0.08, 0.16),
        focus_range_um=_u(rng, 0.5, 0.9),
    )


def _many_decoys(rng: Rng) -> SimulationParams:
    return replace(
        _typical(rng),
        endosomes_per_cell=_u(rng, 20, 40),
        endosome_growth_per_h=_u(rng, 6, 14),
        filopodia_per_cell=_u(rng, 4, 9),
        n_debris_static=_u(rng, 15, 40),
        n_debris_floating=_u(rng, 3, 8),
        subresolution_per_100um=_u(rng, 4, 9),
        transients_per_100um=_u(rng, 1.5, 4),
        division_rate_per_h=_u(rng, 0.05, 0.15),
        roundup_rate_per_h=_u(rng, 0.05, 0.2),
    )


def _fine_pixels(rng: Rng) -> SimulationParams:
    return replace(_typical(rng, 0.062, 0.08), n_frames=40)


def _coarse_pixels(rng: Rng) -> SimulationParams:
    # an objective of lower aperture goes with such pixels
    return replace(_typical(rng, 0.2, 0.25), numerical_aperture=_u(rng, 0.75, 0.95), psf_broadening=_u(rng, 1.2, 1.5))


def _fixed_frame(rng: Rng) -> SimulationParams:
    roles = ("wga",) if rng.random() < 0.5 else ("tspan4", "wga")
    return replace(
        _typical(rng),
        n_frames=1,
        warmup_min=_u(rng, 150, 260),
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
    return replace(_typical(rng), n_frames=24, n_planes=5, z_step_um=_u(rng, 0.4, 0.8), section_um=_u(rng, 0.8, 1.4))


def _random(rng: Rng) -> SimulationParams:
    """Everything anew, over ranges that reach beyond every other condition."""
    params = _typical(rng, 0.07, 0.25)
    decoys = _log(rng, 0.3, 4.0)
    light = _log(rng, 0.2, 4.0)
    unrest = _log(rng, 0.3, 5.0)
    return replace(
        params,
        frame_interval_s=float(rng.choice([60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 360.0])),
        cell_density_per_mm2=_u(rng, 180, 950),
        cell_area_um2=_u(rng, 420, 1300),
        numerical_aperture=_u(rng, 0.8, 1.45),
        speed_um_per_min=_u(rng, 0.2, 1.1),
        migrasomes_per_100um=_u(rng, 0.5, 9),
        plateau_um=_u(rng, 0.9, 2.2),
        contrast_tspan4=_log(rng, 0.3, 2.2),
        contrast_wga=_log(rng, 0.25, 1.3),
        fiber_fraction_tspan4=_u(rng, 0.05, 0.25),
        fiber_fraction_wga=_u(rng, 0.05, 0.25),
        cell_e_tspan4=params.cell_e_tspan4 * light,
        cell_e_wga=params.cell_e_wga * light * _log(rng, 0.6, 1.6),
        background_e_tspan4=params.background_e_tspan4 * _log(rng, 0.5, 3.0),
        background_e_wga=params.background_e_wga * _log(rng, 0.5, 3.0),
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
        raise ParamsError(
            f"condition: expected one of {', '.join(CONDITIONS)}, got '{condition}'{nearest_name(condition, CONDITIONS)}"
        )
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
