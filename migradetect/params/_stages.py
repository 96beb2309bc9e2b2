"""One frozen model per stage: the only home of defaults.

Every threshold is in SNR units or micrometres, so one preset serves all cameras and pixel sizes. Each help text says
what the value does and when to raise or lower it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AssignParams",
    "CellParams",
    "FiberParams",
    "GrowthParams",
    "InputParams",
    "JudgeParams",
    "LinkingParams",
    "OpticsParams",
    "Params",
    "PhotometryParams",
    "PreprocessParams",
    "RegistrationParams",
    "SpotParams",
    "StageParams",
]


class StageParams(BaseModel):
    """Base of the parameters of one stage: frozen, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputParams(StageParams):
    """How the files are read; anything not given is taken from the file."""

    axes: str | None = Field(None, description="Axes of a plain TIFF, such as TCYX; default: as the file says.")
    channels: tuple[str, ...] | None = Field(
        None, description="Role of each channel in order, such as tspan4,wga; default: from the channel names."
    )
    projection: Literal["max", "sum"] | None = Field(
        None, description="How a z-stack becomes one plane; counts in the literature are made on sums."
    )
    pixel_size_um: float | None = Field(None, gt=0, description="Edge of a pixel in um; overrides the file.")
    frame_interval_s: float | None = Field(None, gt=0, description="Seconds between frames; overrides the file.")
    pattern: str | None = Field(
        None,
        description="Regular expression for file names: groups t, c, z count planes; others, such as well or "
        "condition, become columns of the results.",
    )
    plate: str | None = Field(
        None, description="CSV with what was done to each movie; default: plate.csv in the folder that is searched."
    )
    allow_gaps: bool = Field(
        False, description="Analyse sequences with missing frames, with a warning; else they are refused."
    )


class OpticsParams(StageParams):
    """What the microscope does to a point."""

    psf_fwhm_um: float | None = Field(
        None,
        gt=0.05,
        lt=2,
        description="Full width at half maximum of the PSF in um; default: measured on the fibers, which are narrower "
        "than any PSF.",
    )


class PreprocessParams(StageParams):
    """Background, noise and the averaging of registered neighbours."""

    background_um: float = Field(
        6.0, gt=1, le=50, description="Scale of the local background in um; raise it if large migrasomes look hollow."
    )
    average_frames: int = Field(
        3,
        ge=0,
        le=10,
        description="Registered neighbours averaged on each side; raise it for dim movies, lower it for intervals over "
        "5 min.",
    )


class RegistrationParams(StageParams):
    """Stage drift, and channels that lie beside each other."""

    enabled: bool = Field(True, description="Correct stage drift; switch it off only if the movie is registered.")
    max_jump_um: float = Field(20.0, gt=0, description="Largest jump between two frames in um that is believed.")
    align_channels: bool = Field(
        True,
        description="Lay WGA upon TSPAN4 by whole pixels where the two lie beside each other by up to 3 um; switch it "
        "off if the labels differ on purpose.",
    )


class CellParams(StageParams):
    """Cell bodies."""

    min_area_um2: float = Field(
        80.0,
        gt=0,
        description="Smallest body in um2 (0.6 of it at the border); lower it for small cells, raise it for debris.",
    )
    min_snr: float = Field(
        3.0, gt=0, description="Smallest smoothed body signal over noise; lower it for dim cells, raise it in haze."
    )
    smoothing_um: float = Field(0.4, gt=0, description="Gaussian sigma in um of the image in which bodies are found.")
    opening_um: float = Field(
        1.6, gt=0, description="Parts narrower than twice this are fibers or migrasomes, not body; in um."
    )
    local_um: float = Field(
        4.0,
        gt=0,
        description="A body is judged by the brightest place within half this distance in um, not by the whole field; "
        "raise it if the haze of bright cells counts as body.",
    )
    body_fraction: float = Field(
        0.25, gt=0, lt=1, description="A body is at least this bright, relative to the brightest place around."
    )
    edge_fraction: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="The outline lies at this height of the local edge; lower it if outlines are too tight.",
    )
    least_fraction: float = Field(
        0.12,
        gt=0,
        lt=1,
        description="Below this height, relative to the brightest place around, nothing is body: raise it in haze, "
        "lower it if thin lamellipodia are cut off.",
    )
    edge_contrast: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Smallest mean height of the edge of a body, relative to the level inside; haze has less. "
        "From 600 um2 on 0.8 times as much is enough, and a soft outline is judged past its slope.",
    )
    bead_um: float = Field(
        2.2, gt=0, description="Beads and bundles of fibers up to this diameter in um are taken off the edge of a body."
    )
    bead_contrast: float = Field(
        1.3,
        gt=1,
        description="A bead at the edge is brighter than the body beside it by this factor; lower it if bodies swallow "
        "migrasomes, raise it if pointed ends are cut off.",
    )
    tip_um: float = Field(1.1, gt=0, description="Pointed ends of a body are kept down to this width in um.")
    hole_fraction: float = Field(
        0.25, ge=0, le=1, description="Holes darker than this, relative to the body around, are dish and not filled."
    )
    method: Literal["learned", "rules"] = Field(
        "learned",
        description="Touching cells are parted where a network trained on simulated cells sees a border, or by rules "
        "that can be read: necks of the outline and edges along them.",
    )
    split_border: float = Field(
        0.45,
        gt=0,
        lt=1,
        description="If learned, the smallest probability of a border along most of a contact; raise it if cells are "
        "cut in pieces, lower it if touching cells stay one.",
    )
    split_neck: float = Field(
        0.7,
        gt=0,
        le=1,
        description="By the rules, contacts narrower than this, relative to the narrower body, part two cells; lower "
        "it if cells are cut in pieces.",
    )
    hold_neck: float = Field(
        0.6, gt=0, le=1, description="The same for what was one cell in the frame before, as in a division."
    )
    split_edge: float = Field(
        2.0,
        gt=0,
        description="By the rules, an edge all along a contact, this much steeper than is usual within bodies, parts "
        "cells without a neck; raise it if cells are cut in pieces.",
    )


class FiberParams(StageParams):
    """Retraction fibers."""

    low_snr: float = Field(3.3, gt=0, description="Ridge SNR down to which a fiber is followed.")
    high_snr: float = Field(4.2, gt=0, description="Ridge SNR that a fiber must reach somewhere; raise it in clutter.")
    min_length_um: float = Field(3.0, gt=0, description="Shortest fiber in um.")
    max_gap_um: float = Field(1.5, ge=0, description="Longest gap along a line in um that is bridged.")


class SpotParams(StageParams):
    """Candidates: found generously, judged later."""

    min_diameter_um: float = Field(0.5, gt=0, description="Smallest migrasome in um.")
    max_diameter_um: float = Field(3.5, gt=0, description="Largest migrasome in um.")
    min_snr: float = Field(4.0, gt=0, description="Smallest blob SNR of a candidate; lower it only with the judge on.")
    max_per_frame: int = Field(5000, gt=0, description="More candidates than this in a frame are cut, with a warning.")


class LinkingParams(StageParams):
    """Linking over time, in drift-corrected coordinates."""

    search_range_um: float = Field(
        0.6, gt=0, description="Largest displacement of an anchored spot between frames in um."
    )
    memory_frames: int = Field(3, ge=0, description="Frames for which a spot may be lost.")
    cell_memory_frames: int = Field(2, ge=0, description="Frames for which a cell may be lost.")


class JudgeParams(StageParams):
    """Which linked candidates are migrasomes."""

    method: Literal["learned", "rules"] = Field(
        "learned",
        description="Trees and networks trained on simulated movies, or simple physical rules that can be read.",
    )
    second_look: bool = Field(
        True,
        description="Whether each candidate is looked at again through the whole movie by a network; not with rules.",
    )
    min_score: float = Field(
        0.77,
        ge=0,
        le=1,
        description="Accepted from this score on; raise it for fewer false ones, lower it to miss fewer.",
    )
    min_duration_min: float = Field(
        12.0, ge=0, description="Shorter ones are called transient; applied where the movie is long enough."
    )


class PhotometryParams(StageParams):
    """Forced photometry at each accepted site."""

    min_snr: float = Field(3.0, gt=0, description="A migrasome exists in a frame from this SNR on.")


class AssignParams(StageParams):
    """Parent cell and fiber of each migrasome."""

    fiber_reach_um: float = Field(1.0, gt=0, description="A fiber within this distance in um carries the migrasome.")
    method: Literal["learned", "rules"] = Field(
        "learned",
        description="Parent cell and arms of fiber by trees trained on simulated movies, or by simple rules that can "
        "be read.",
    )
    min_confidence: float = Field(
        0.1,
        ge=0,
        le=1,
        description="A less certain parent is left null; raise it to name only sure ones.",
    )
    max_cell_distance_um: float = Field(
        60.0,
        gt=0,
        description="By the rules: without fiber or history, a cell within this distance in um may be the parent.",
    )


class GrowthParams(StageParams):
    """Growth curve of each migrasome."""

    min_points: int = Field(5, ge=4, description="Measured frames that a growth fit needs.")
    min_diameter_um: float = Field(
        0.45, ge=0, description="Smaller diameters are left out of the fit; about 1.5 times the width of the PSF."
    )


class Params(StageParams):
    """All parameters of a run."""

    input: InputParams = InputParams()
    optics: OpticsParams = OpticsParams()
    preprocess: PreprocessParams = PreprocessParams()
    registration: RegistrationParams = RegistrationParams()
    cells: CellParams = CellParams()
    fibers: FiberParams = FiberParams()
    spots: SpotParams = SpotParams()
    linking: LinkingParams = LinkingParams()
    judge: JudgeParams = JudgeParams()
    photometry: PhotometryParams = PhotometryParams()
    assign: AssignParams = AssignParams()
    growth: GrowthParams = GrowthParams()
