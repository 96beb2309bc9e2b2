"""Size and signal of a round object from its radial profile.

Around a site the image is read on rings; each ring is cut in sectors and the *median* sector is kept. A fiber that runs
through or ends at the site fills few sectors and drops out, but for the innermost 1.5 sigma of the PSF, where it fills
them all. The profile is compared with those of spheres and shells of every diameter, blurred by the PSF, which gives
the diameter with the PSF taken off, the integrated signal, and the error of both. What the fiber leaves in the middle
can be fitted with them: how bright it is, the mean of the sectors less their median tells further out.
"""

from migradetect.profiles._fit import ProfileFit, fit_profiles, fit_shapes, fit_signal, shape_weights
from migradetect.profiles._library import N_SHAPES, ProfileLibrary
from migradetect.profiles._lines import LineStrength, find_offsets, line_strength
from migradetect.profiles._sectors import Sectors, median_profile, radial_profiles, read_sectors

__all__ = [
    "N_SHAPES",
    "LineStrength",
    "ProfileFit",
    "ProfileLibrary",
    "Sectors",
    "find_offsets",
    "fit_profiles",
    "fit_shapes",
    "fit_signal",
    "line_strength",
    "median_profile",
    "radial_profiles",
    "read_sectors",
    "shape_weights",
]
