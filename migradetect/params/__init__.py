"""Parameters of every stage: defaults, help texts, presets, TOML files and the environment."""

from migradetect.params._config import ENV_PREFIX, load_params, parse_assignment, preset_names
from migradetect.params._describe import default_of, expected, parameters, sections
from migradetect.params._stages import (
    AssignParams,
    CellParams,
    FiberParams,
    GrowthParams,
    InputParams,
    JudgeParams,
    LinkingParams,
    OpticsParams,
    Params,
    PhotometryParams,
    PreprocessParams,
    RegistrationParams,
    SpotParams,
    StageParams,
)
from migradetect.params._toml import to_toml

__all__ = [
    "ENV_PREFIX",
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
    "default_of",
    "expected",
    "load_params",
    "parameters",
    "parse_assignment",
    "preset_names",
    "sections",
    "to_toml",
]
