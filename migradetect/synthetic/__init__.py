"""Simulated movies with ground truth, from the physics of cells, fibers, migrasomes, optics and cameras.

>>> from migradetect.synthetic import simulate
>>> simulation = simulate("typical", seed=1, n_frames=2, height_px=96, width_px=96)
>>> simulation.axes
'TCYX'

Nothing here writes files; :mod:`migradetect.io` does.
"""

from migradetect.synthetic.conditions import CONDITIONS, simulation_params
from migradetect.synthetic.parameters import SimulationParams
from migradetect.synthetic.simulate import Simulation, simulate

__all__ = ["CONDITIONS", "Simulation", "SimulationParams", "simulate", "simulation_params"]
