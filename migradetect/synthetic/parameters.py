"""Every physical parameter of a simulated movie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Rng", "SimulationParams"]

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
