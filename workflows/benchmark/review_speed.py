"""How quick a review is in a real window, on results that are there.

    xvfb-run --auto-servernum --server-args="-screen 0 1920x1200x24" \\
        python workflows/benchmark/review_speed.py OUT    # of migradetect run, with the recording where it was

Corrections are made and taken back, in a log of a reviewer called "speed"; it is removed at the end. Steps are measured
until the window is drawn. Reads from a disk decide about corrections that measure: each is made at a place that was not
looked at before, and once more beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from migradetect_napari._commands import COMMANDS
from migradetect_napari._review import open_review

__all__ = ["main"]

_REVIEWER = "speed"


def _live(seconds: float = 0.5) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()
        time.sleep(0.002)


def _wait(is_over: Callable[[], bool]) -> float:
    """Wait while the window lives; returns for how long it was held up at most, s."""
    longest = 0.0
    while not is_over():
        start = time.perf_counter()
        QApplication.processEvents()
        longest = max(longest, time.perf_counter() - start)
        time.sleep(0.002)
    return longest


def _time(what: str, work: Callable[[], Any]) -> None:
    start = time.perf_counter()
    work()
    for _ in range(3):
        QApplication.processEvents()
    print(f"{what}: {time.perf_counter() - start:.2f} s", flush=True)
    _live()


def _steps(scene: Any, frames: range) -> str:
    seconds = []
    for frame in frames:
        start = time.perf_counter()
        scene.go_to_frame(frame % scene.session.base.n_frames)
        for _ in range(2):
            QApplication.processEvents()
        seconds.append(time.perf_counter() - start)
    return f"{np.median(seconds):.3f} s, {max(seconds):.3f} s at most"


def _stroke(scene: Any, shift: int) -> None:
    """Paint on the edge of the largest cell, as the mouse would."""
    layer, frame = scene.layer("cells"), scene.frame
    plane = scene.session.labels["cells"][frame]
    cell = int(np.bincount(plane[plane > 0]).argmax())
    y, x = np.nonzero(plane == cell)
    k = int(x.argmax())
    layer.brush_size = 15
    event = type("Event", (), {"type": "mouse_move"})()
    stroke = scene.strokes.on_stroke(layer, event)
    next(stroke)
    for step in range(5):
        layer.paint((frame, int(y[k]), min(int(x[k]) + shift + 3 * step, plane.shape[1] - 1)), cell)
        QApplication.processEvents()
    event.type = "mouse_release"
    start = time.perf_counter()
    next(stroke, None)
    longest = _wait(lambda: not scene.strokes.is_busy)
    print(
        f"stroke, until the tables follow: {time.perf_counter() - start:.2f} s; held up for {longest:.2f} s", flush=True
    )
    _live()


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="output folder of migradetect run")
    out = parser.parse_args().out
    viewer = napari.Viewer()
    _live(1.0)
    panels: list[Any] = []

    def open_results() -> None:
        panels.append(open_review(viewer, out, reviewer=_REVIEWER))
        # they come once the images are drawn, and are timed by themselves
        panels[0].plots_due.stop()

    _time("open, until the images are drawn", open_results)
    panel = panels[0]
    _time("plots", lambda: (panel.plots_due.start(), _wait(lambda: not panel.plots_due.isActive())))
    scene, correct = panel.scene, panel.correct
    log = scene.session.path
    start = time.perf_counter()
    _wait(lambda: not correct._warming.is_running())
    print(
        f"prepared after {time.perf_counter() - start:.1f} s; {len(scene.layer('migrasomes').data)} points", flush=True
    )
    correct.advance.setChecked(False)

    def press(name: str) -> None:
        correct.run(next(one for one in COMMANDS if one.name == name))
        _wait(lambda: correct._task is None)

    n = scene.session.base.n_frames
    print(f"step, all layers: {_steps(scene, range(n // 4, n // 4 + 30))}")
    height, width = (scene.session.base.calibration.um(float(side)) for side in scene.session.base.shape_yx)
    for place, (y, x) in {"new": (0.2, 0.2), "beside it": (0.205, 0.2)}.items():
        viewer.cursor.position = (viewer.dims.point[0], y * height, x * width)
        _time(f"add, {place}", lambda: press("add"))
    scene.select("migrasome", int(panel.list.table["id"].iloc[0]))
    for place in ("new", "beside it"):
        _, y, x = scene.place(scene.selection, scene.frame)
        viewer.cursor.position = (viewer.dims.point[0], y + 0.5, x + 0.5)
        _time(f"move, {place}", lambda: press("move"))
    _time("keep", lambda: press("accept"))
    for shift in (0, 4, 8):
        _stroke(scene, shift)
    _time("undo", lambda: (correct.undo(), _wait(lambda: correct._task is None)))
    viewer.close()
    log.unlink()


if __name__ == "__main__":
    main()
