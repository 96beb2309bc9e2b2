"""Beads on fibers: migrasomes, and the beads that look like them but are too small or too short-lived.

References
----------
.. [1] Ma L. et al. Discovery of the migrasome. Cell Res. 25, 24-38 (2015). DOI 10.1038/cr.2014.135
.. [2] Huang Y. et al. Migrasome formation is mediated by assembly of micron-scale tetraspanin macrodomains.
   Nat. Cell Biol. 21, 991-1002 (2019). DOI 10.1038/s41556-019-0367-5
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = ["SMALLEST_MIGRASOME_UM", "Bead", "draw_bead"]

#: Below this a punctum is not called a migrasome (ref. [1]: 0.5 to 3 um).
SMALLEST_MIGRASOME_UM = 0.5
#: First small swelling: it takes this long to reach :attr:`Bead.swelling_um`.
SWELLING_MIN = 1.5
#: Fading is over when this share of the signal is left.
FADED = 0.1


@dataclass
class Bead:
    """One bead and its life; times in min since the first frame."""

    kind: str
    segment: int
    s: float
    location: str
    cell_id: int
    birth: float
    plateau_um: float
    tau_min: float
    swelling_um: float
    late_min: float
    is_shell: bool
    contrast_tspan4: float
    contrast_wga: float
    end: float
    fate: str
    fade_from: float = np.inf
    fade_tau: float = 1.0
    leak: float = 1.0
    leaks_at: float = np.inf
    engulfed_by: int | None = None
    last_covered: float = -np.inf
    is_born: bool = False

    def exists(self, now: float) -> bool:
        """Whether it is there at a time."""
        return self.is_born and self.birth <= now < self.end

    def diameter(self, now: float) -> float:
        """Diameter in um: ``plateau (1 - exp(-(t - birth) / tau))``, after a first small swelling."""
        age = now - self.birth
        if age <= 0:
            return 0.0
        law = self.plateau_um * (1.0 - np.exp(-age / self.tau_min))
        return float(max(law, self.swelling_um * min(1.0, age / SWELLING_MIN)))

    def amplitude(self, now: float) -> tuple[float, float]:
        """Surface brightness relative to a cell body, TSPAN4 and WGA."""
        left = self.leak if now >= self.leaks_at else 1.0
        if now > self.fade_from:
            left *= float(np.exp(-(now - self.fade_from) / self.fade_tau))
        # ref. [2]: tetraspanin domains gather on the swelling, at once or over minutes
        tspan4 = 1.0
        if self.late_min > 0:
            tspan4 = 1.0 / (1.0 + float(np.exp(-(now - self.birth - self.late_min) / (0.25 * self.late_min))))
        return self.contrast_tspan4 * tspan4 * left, self.contrast_wga * left


def _end(birth: float, params: SimulationParams, rng: Rng) -> dict[str, float | str]:
    """Draw how and when a migrasome ends."""
    rupture = rng.exponential(60.0 / max(params.rupture_rate_per_h, 1e-9))
    fade = rng.exponential(60.0 / max(params.fade_rate_per_h, 1e-9))
    mature = birth + 20.0  # young ones do not end: they would not be counted as migrasomes
    leak_lead, leak, fade_tau = float(rng.uniform(2, 12)), float(rng.uniform(0.4, 0.8)), float(rng.uniform(5, 20))
    leaks = bool(rng.random() < 0.4)
    if rupture < fade:
        end = mature + rupture
        return {
            "fate": "rupture",
            "end": end,
            # part of them leaks before the membrane gives way
            "leaks_at": end - leak_lead if leaks else np.inf,
            "leak": leak,
        }
    start = mature + fade
    return {"fate": "fade", "fade_from": start, "fade_tau": fade_tau, "end": start - fade_tau * float(np.log(FADED))}


def draw_bead(
    kind: str, segment: int, s: float, location: str, cell_id: int, laid_at: float, params: SimulationParams, rng: Rng
) -> Bead:
    """Draw one bead.

    Parameters
    ----------
    kind : str
        ``"migrasome"``, ``"subresolution"`` or ``"transient"``.
    segment, s : int, float
        Place on the fiber network.
    location : str
        tip, branch or shaft: what the fiber is like there when it is laid. What can be seen at birth may differ.
    cell_id : int
        Cell that leaves it.
    laid_at : float
        When the fiber was laid, min.
    params : SimulationParams
        Physics.
    rng : numpy.random.Generator
        Source of randomness.
    """
    birth = laid_at + float(rng.exponential(params.nucleation_delay_min))
    spread = np.exp(params.contrast_sigma * rng.normal(size=2))
    common = float(np.exp(0.5 * params.contrast_sigma * rng.normal()))
    # the faintest still stand out from the fiber that they sit on
    tspan4 = max(params.contrast_tspan4 * float(spread[0]) * common, 1.3 * params.fiber_fraction_tspan4)
    wga = max(params.contrast_wga * float(spread[1] ** 0.7) * common, 1.3 * params.fiber_fraction_wga)
    is_shell = bool(rng.random() < params.shell_fraction)
    if kind == "migrasome":
        plateau = float(np.clip(params.plateau_um * np.exp(params.plateau_sigma * rng.normal()), 0.55, 3.0))
        is_late = rng.random() < params.late_fraction
        late = float(rng.exponential(params.late_delay_min)) + 2.0 if is_late else 0.0
        tau = params.tau_min * float(np.exp(0.35 * rng.normal()))
        life = _end(birth, params, rng)
    elif kind == "subresolution":
        plateau, tau, late = float(rng.uniform(0.15, 0.42)), 2.0, 0.0
        life = _end(birth, params, rng)
    else:
        # beading on a shock or a loss of tension: gone within minutes
        plateau, tau, late = float(rng.uniform(0.5, 1.6)), 1.0, 0.0
        life = {"fate": "fade", "end": birth + float(rng.uniform(3.0, 12.0))}
    return Bead(
        kind=kind,
        segment=segment,
        s=s,
        location=location,
        cell_id=cell_id,
        birth=birth,
        plateau_um=plateau,
        tau_min=tau,
        swelling_um=min(float(rng.uniform(0.15, 0.3)), 0.4 * plateau),
        late_min=late,
        is_shell=is_shell,
        contrast_tspan4=tspan4,
        contrast_wga=wga,
        **life,  # type: ignore[arg-type]
    )
