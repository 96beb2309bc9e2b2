"""A simulated movie: camera counts, calibration and truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.movie import Movie
from migradetect.results import Results
from migradetect.synthetic.camera import Camera
from migradetect.synthetic.conditions import seeded, simulation_params
from migradetect.synthetic.optics import Stage
from migradetect.synthetic.parameters import SimulationParams
from migradetect.synthetic.scene import SceneRenderer
from migradetect.synthetic.truth import TruthRecorder
from migradetect.synthetic.world import World

__all__ = ["Simulation", "simulate"]


@dataclass
class Simulation:
    """Simulated movie with its truth.

    Parameters
    ----------
    data : ndarray, shape (T, C, Y, X) or (T, C, Z, Y, X), uint16
        Camera counts.
    axes : str
        ``"TCYX"`` or ``"TCZYX"``.
    calibration : Calibration
        Pixel size and frame interval; no interval for a single frame.
    roles : tuple of str
        Role of each channel.
    truth : Results
        Tables and labels as the pipeline writes them.
    params : SimulationParams
        Everything that was put in.
    """

    data: NDArray[np.uint16]
    axes: str
    calibration: Calibration
    roles: tuple[str, ...]
    truth: Results
    params: SimulationParams

    @property
    def movie_id(self) -> str:
        """Name of the movie."""
        return self.truth.movie_id

    def movie(self) -> Movie:
        """Movie in memory; a z stack by its maximum projection."""
        data = self.data.max(axis=self.axes.index("Z")) if "Z" in self.axes else self.data
        return Movie.from_array(data, self.calibration, self.roles, self.movie_id)


def simulate(
    condition: str = "typical",
    seed: int = 0,
    *,
    movie_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    **overrides: Any,
) -> Simulation:
    """Simulate a movie; the same arguments give the same bits.

    Parameters
    ----------
    condition : str
        One of :data:`~migradetect.synthetic.CONDITIONS`.
    seed : int
        Not negative; draws everything that varies within the condition.
    movie_id : str, optional
        Name of the movie; by default made of the condition and the seed.
    progress : callable, optional
        Called with the number of frames done and of all frames.
    **overrides
        Fields of :class:`SimulationParams` that replace what was drawn.

    Returns
    -------
    Simulation

    Raises
    ------
    ParamsError
        If the condition or an override is unknown.

    Examples
    --------
    >>> simulation = simulate("typical", seed=3, n_frames=2, height_px=128, width_px=128)
    >>> simulation.data.shape
    (2, 2, 128, 128)
    """
    params = simulation_params(condition, seed, **overrides)
    name = movie_id or f"{condition}_{seed:03d}"
    calibration = Calibration(
        params.pixel_size_um, params.frame_interval_s if params.n_frames > 1 else None, "simulation", "simulation"
    )
    # one stream each, so that an override of one part leaves the rest of the draw alone
    world = World(params, seeded(condition, seed, 1))
    stage = Stage(params, seeded(condition, seed, 2))
    renderer = SceneRenderer(params, seeded(condition, seed, 3))
    camera = Camera(params, seeded(condition, seed, 4))
    recorder = TruthRecorder(name, params, calibration, camera)
    channels = [("tspan4", "wga").index(role) for role in params.roles]
    shape = (params.n_frames, len(channels), params.n_planes, params.height_px, params.width_px)
    data = np.empty(shape, np.uint16)
    for frame in range(params.n_frames):
        world.advance_to(frame * params.frame_interval_min)
        scene = renderer.render(world, frame, stage.drift_um[frame], float(stage.focus_um[frame]))
        recorder.add_frame(frame, scene, world)
        for place, channel in enumerate(channels):
            for plane in range(params.n_planes):
                data[frame, place, plane] = camera.expose(scene.light_e[plane, channel])
        if progress is not None:
            progress(frame + 1, params.n_frames)
    provenance = {"condition": condition, "seed": seed, "calibration": asdict(calibration), "params": asdict(params)}
    truth = recorder.results(provenance)
    axes = "TCZYX"
    if params.n_planes == 1:
        data, axes = data[:, :, 0], "TCYX"
    return Simulation(data, axes, calibration, params.roles, truth, params)
