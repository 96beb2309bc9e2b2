"""What depends on the version of napari; the only module to change when napari does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import napari
    from napari.components import ViewerModel

__all__ = [
    "bind_keys",
    "can_pick",
    "canvas_picture",
    "default_keys",
    "key_of",
    "label_colours",
    "look_at",
    "normal_key",
    "overlays_shown",
    "replace_points",
    "replace_tracks",
    "set_label_colours",
    "show_scale_bar",
    "show_time",
]


def _overlays(viewer: ViewerModel) -> tuple[Any, Any]:
    """Scale bar and text of the canvas; they moved in napari 0.9."""
    canvas = getattr(viewer, "canvas", None)
    if canvas is not None:
        return canvas.overlays.scale_bar, canvas.overlays.text
    return viewer.scale_bar, viewer.text_overlay


def look_at(viewer: ViewerModel, y_um: float, x_um: float, field_um: float) -> None:
    """Centre the view on a place; zoom in until the field is at most so wide, and never out."""
    scene = getattr(viewer, "scene", None)
    camera = viewer.camera if scene is None else scene.camera
    before, zoom = np.array(camera.center[-2:], float), float(camera.zoom)
    camera.center = (*camera.center[:-2], y_um, x_um)
    # world units are um, and zoom is canvas pixels per um
    camera.zoom = max(camera.zoom, 600.0 / field_um)
    # napari asks where the mouse is only when it moves: below one that rests there is another place now
    *others, y, x = viewer.cursor.position
    place = (y_um, x_um) + (np.array((y, x)) - before) * zoom / camera.zoom
    viewer.cursor.position = (*others, *(float(value) for value in place))


def show_scale_bar(viewer: ViewerModel, visible: bool = True) -> None:
    """Scale bar in um, bottom left; its unit comes from the layers."""
    bar, _ = _overlays(viewer)
    bar.visible = visible
    bar.colored = False
    bar.font_size = 9
    # at the right its place is a fraction that napari takes for another one each time the time stamp changes, and draws
    # the whole view twice
    bar.position = "bottom_left"


def show_time(viewer: ViewerModel, text: str | None) -> None:
    """Time stamp, top left; None hides it."""
    _, overlay = _overlays(viewer)
    overlay.position = "top_left"
    overlay.font_size = 9
    overlay.color = "white"
    overlay.text = text or ""
    overlay.visible = bool(text)


def canvas_picture(viewer: napari.Viewer) -> NDArray[np.uint8]:
    """What the canvas shows, shape (Y, X, 4)."""
    return np.asarray(viewer.screenshot(canvas_only=True, flash=False))


def bind_keys(viewer: ViewerModel, keys: dict[str, Callable[[], None]]) -> Callable[[], None]:
    """Bind keys to actions in this viewer.

    Parameters
    ----------
    viewer : ViewerModel
        Where they work, whichever layer is active.
    keys : dict of str to callable
        Key such as ``"Shift-N"`` to action.

    Returns
    -------
    callable
        Takes the bindings back.
    """
    for key, action in keys.items():
        viewer.bind_key(key, _handler(action), overwrite=True)

    def unbind() -> None:
        for key in keys:
            with contextlib.suppress(KeyError):
                viewer.bind_key(key, None)

    return unbind


def _handler(action: Callable[[], None]) -> Callable[[Any], None]:
    def run(viewer: Any) -> None:
        action()

    return run


def default_keys() -> set[str]:
    """Keys that napari uses itself: its shortcuts, those of the viewer and of each kind of layer."""
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Points, Tracks
    from napari.settings import get_settings
    from napari.utils.shortcuts import default_shortcuts

    found: set[str] = set()
    for shortcuts in (default_shortcuts, get_settings().shortcuts.shortcuts):
        for bindings in shortcuts.values():
            found |= {normal_key(binding) for binding in bindings}
    for owner in (ViewerModel, Image, Labels, Points, Tracks):
        found |= {normal_key(binding) for binding in owner.class_keymap}
    return found


def normal_key(key: Any) -> str:
    """One spelling for each key, whatever form it is given in."""
    from napari.utils.key_bindings import coerce_keybinding

    return str(coerce_keybinding(key))


def can_pick(viewer: ViewerModel) -> bool:
    """Whether a click may select: the active layer is not being painted on, added to or transformed."""
    active = viewer.layers.selection.active
    return active is None or str(getattr(active, "mode", "pan_zoom")) in ("pan_zoom", "select", "pick", "PAN_ZOOM")


def key_of(viewer: ViewerModel) -> Any:
    """The viewer itself: what napari hands to a panel is a proxy for it."""
    return getattr(viewer, "__wrapped__", viewer)


@contextlib.contextmanager
def _quiet(layer: Any) -> Iterator[None]:
    """Several changes, one redraw."""
    with layer.events.set_data.blocker(), layer.events.highlight.blocker():
        yield


def replace_points(layer: Any, data: NDArray[Any], options: dict[str, Any]) -> None:
    """Other points in a layer that keeps what the user set: visibility, opacity, order."""
    layer.selected_data = set()
    with _quiet(layer):
        layer.data = data
        layer.features = options["features"]
        if len(data):
            layer.size = options["size"]
            layer.border_color = options["border_color"]
            layer.border_width = options["border_width"]
    layer.refresh()


def replace_tracks(layer: Any, data: NDArray[Any], options: dict[str, Any]) -> None:
    """Other tracks in a layer that keeps what the user set."""
    layer.graph = {}
    layer.data = data
    layer.features = options["features"]
    layer.graph = options.get("graph", {})


def label_colours(palette: NDArray[Any]) -> Any:
    """Colour of each label: label n takes row (n - 1) of the palette, which begins again at its end."""
    from napari.utils.colormaps import CyclicLabelColormap

    # not a table of colours by label, for which napari compiles code for seconds
    background = np.zeros((1, 4), np.float32)
    return CyclicLabelColormap(colors=np.concatenate([background, palette]))


def set_label_colours(layer: Any, palette: NDArray[Any]) -> None:
    """Give a layer these colours, unless it has them: each change is a redraw."""
    new = label_colours(palette)
    if not np.array_equal(getattr(layer.colormap, "colors", np.empty(0)), new.colors):
        layer.colormap = new


@contextlib.contextmanager
def overlays_shown(viewer: ViewerModel, scale_bar: bool, time: bool) -> Iterator[None]:
    """Scale bar and time shown or hidden for as long as pictures are taken."""
    bar, text = _overlays(viewer)
    before = bar.visible, text.visible
    bar.visible, text.visible = scale_bar, time and bool(text.text)
    try:
        yield
    finally:
        bar.visible, text.visible = before
