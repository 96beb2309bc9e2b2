"""Ranges that the physical parameters are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np

from migradetect.synthetic.parameters import Rng

__all__ = ["draw_biology", "draw_microscope", "draw_sampling", "log_uniform", "uniform"]


def uniform(rng: Rng, low: float, high: float) -> float:
    """Even between two limits."""
    return float(rng.uniform(low, high))


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """Even on a logarithmic scale between two limits."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _field_px(pixel_size_um: float, at_least_um: float = 82.0) -> int:
    # a multiple of 32, as cameras crop, and never less than a field in which cells can move freely
    return max(640, int(np.ceil(at_least_um / pixel_size_um / 32.0)) * 32)


def draw_sampling(rng: Rng, low_um: float, high_um: float) -> dict[str, Any]:
    """Pixel size between two limits, and a field wide enough for cells to move freely."""
    size = round(uniform(rng, low_um, high_um), 4)
    side = _field_px(size)
    return {"pixel_size_um": size, "height_px": side, "width_px": side}


def draw_biology(rng: Rng) -> dict[str, Any]:
    """Cells, fibers, migrasomes and decoys of an ordinary experiment."""
    shape = str(rng.choice(["fan", "spindle", "round"], p=[0.45, 0.35, 0.2]))
    elongation = {"fan": (1.1, 1.7), "spindle": (1.8, 3.2), "round": (1.0, 1.3)}[shape]
    return {
        "cell_density_per_mm2": uniform(rng, 300, 620),
        "cell_area_um2": uniform(rng, 550, 1150),
        "cell_area_cv": uniform(rng, 0.15, 0.3),
        "speed_um_per_min": uniform(rng, 0.35, 0.85),
        "speed_cv": uniform(rng, 0.2, 0.5),
        "persistence_min": uniform(rng, 40, 110),
        "shape": shape,
        "elongation": uniform(rng, *elongation),
        "n_tails": uniform(rng, 2.0, 4.5),
        "tail_length_um": uniform(rng, 4, 10),
        "lamellipodium": uniform(rng, 0.08, 0.32),
        "division_rate_per_h": uniform(rng, 0.0, 0.05),
        "roundup_rate_per_h": uniform(rng, 0.0, 0.05),
        "membrane_fraction": uniform(rng, 0.15, 0.9),
        "texture": uniform(rng, 0.12, 0.35),
        "nucleus_shadow": uniform(rng, 0.25, 0.8),
        "ruffle": uniform(rng, 0.15, 0.8),
        "edge_width_um": uniform(rng, 1.4, 3.2),
        "anchor_spacing_um": uniform(rng, 5, 12),
        "side_branch_probability": uniform(rng, 0.1, 0.35),
        "side_branch_um": uniform(rng, 3, 8),
        "split_rate_per_h": uniform(rng, 0.4, 1.4),
        "fiber_fraction_tspan4": uniform(rng, 0.07, 0.2),
        "fiber_fraction_wga": uniform(rng, 0.08, 0.22),
        "fiber_cv": uniform(rng, 0.2, 0.5),
        "wave_um": uniform(rng, 0.2, 0.8),
        "straighten_min": uniform(rng, 10, 45),
        "break_rate_per_h": uniform(rng, 0.03, 0.12),
        "fiber_fade_h": uniform(rng, 4, 14),
        "migrasomes_per_100um": uniform(rng, 2.0, 6.5),
        "tip_probability": uniform(rng, 0.15, 0.45),
        "branch_point_probability": uniform(rng, 0.15, 0.45),
        "nucleation_delay_min": uniform(rng, 6, 25),
        "plateau_um": uniform(rng, 1.1, 1.8),
        "plateau_sigma": uniform(rng, 0.22, 0.4),
        "tau_min": uniform(rng, 7, 25),
        "late_fraction": uniform(rng, 0.15, 0.7),
        "late_delay_min": uniform(rng, 6, 20),
        "shell_fraction": uniform(rng, 0.15, 0.65),
        "contrast_tspan4": log_uniform(rng, 0.5, 1.6),
        "contrast_wga": log_uniform(rng, 0.35, 0.9),
        "contrast_sigma": uniform(rng, 0.3, 0.55),
        "rupture_rate_per_h": uniform(rng, 0.02, 0.14),
        "fade_rate_per_h": uniform(rng, 0.02, 0.14),
        "engulf_probability": uniform(rng, 0.15, 0.6),
        "endosomes_per_cell": uniform(rng, 5, 20),
        "endosome_growth_per_h": uniform(rng, 1, 6),
        "filopodia_per_cell": uniform(rng, 0.5, 3.5),
        "n_debris_static": uniform(rng, 2, 9),
        "n_debris_floating": uniform(rng, 0.3, 2.0),
        "subresolution_per_100um": uniform(rng, 0.8, 3.5),
        "transients_per_100um": uniform(rng, 0.2, 1.2),
    }


def draw_microscope(rng: Rng) -> dict[str, Any]:
    """Optics, stage and camera of an ordinary experiment."""
    emccd = bool(rng.random() < 0.25)
    return {
        "numerical_aperture": uniform(rng, 1.0, 1.4),
        "psf_broadening": uniform(rng, 1.2, 1.6),
        "section_um": uniform(rng, 1.0, 3.0),
        "haze_fraction": uniform(rng, 0.04, 0.22),
        "haze_radius_um": uniform(rng, 2.5, 6.0),
        "vignetting": uniform(rng, 0.03, 0.25),
        "background_e_tspan4": uniform(rng, 4, 14),
        "background_e_wga": uniform(rng, 5, 18),
        "background_texture": uniform(rng, 0.05, 0.25),
        "bleaching_per_frame_tspan4": uniform(rng, 0.0, 0.006),
        "bleaching_per_frame_wga": uniform(rng, 0.0, 0.004),
        "chromatic_shift_px": uniform(rng, 0.0, 0.4),
        "drift_um_per_frame": uniform(rng, 0.0, 0.025),
        "drift_walk_um": uniform(rng, 0.01, 0.05),
        "drift_jump_probability": uniform(rng, 0.0, 0.02),
        "drift_jump_um": uniform(rng, 0.3, 1.2),
        "focus_walk_um": uniform(rng, 0.01, 0.05),
        "focus_range_um": uniform(rng, 0.2, 0.45),
        "camera": "emccd" if emccd else "scmos",
        "cell_e_tspan4": log_uniform(rng, 90, 260),
        "cell_e_wga": log_uniform(rng, 140, 420),
        "gain_count_per_e": uniform(rng, 4, 12) if emccd else uniform(rng, 0.8, 3.0),
        "offset_count": uniform(rng, 90, 450) if emccd else float(rng.choice([100.0, 110.0, 200.0])),
        "read_noise_e": uniform(rng, 0.15, 0.4) if emccd else uniform(rng, 1.1, 2.2),
        "hot_pixel_fraction": log_uniform(rng, 0.00002, 0.0003),
        "bit_depth": int(rng.choice([12, 14, 16, 16])),
        "frame_interval_s": float(rng.choice([90.0, 120.0, 150.0, 180.0])),
        "warmup_min": uniform(rng, 60, 130),
    }
