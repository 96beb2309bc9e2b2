"""Which cell left a migrasome, and where on the fiber it formed.

A cell leaves fibers at its rear, and migrasomes grow on them: a migrasome stands where its cell has been. A fiber that
was there before a cell came is not the fiber of that cell. Where the parent passed before the movie began, only the way
along the fiber to the rear of a cell tells. Each pair of a migrasome and a cell is described by such evidence, and
given a probability; per migrasome the cell with the highest one is taken, or none.
"""

from migradetect.assign._arms import ArmReader, Rays
from migradetect.assign._count_arms import ARM_FEATURES, UNKNOWN_ARMS, arm_features, count_arms, learned_arms, rule_arms
from migradetect.assign._decide import choose_parents, learned_probability, rule_probability
from migradetect.assign._location import location_from_arms
from migradetect.assign._motion import rear_directions
from migradetect.assign._pairs import FEATURES, TRAIL_WINDOW_MIN, pair_features

__all__ = [
    "ARM_FEATURES",
    "FEATURES",
    "TRAIL_WINDOW_MIN",
    "UNKNOWN_ARMS",
    "ArmReader",
    "Rays",
    "arm_features",
    "choose_parents",
    "count_arms",
    "learned_arms",
    "learned_probability",
    "location_from_arms",
    "pair_features",
    "rear_directions",
    "rule_arms",
    "rule_probability",
]
