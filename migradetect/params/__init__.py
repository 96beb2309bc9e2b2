"""Parameters of every stage, their defaults and help texts."""

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
