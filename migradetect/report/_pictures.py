"""Pictures of frames and migrasomes, as data that stands in the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.movie import Movie
from migradetect.plots import bare_axes, display_range, figure_of, life_strip, overlay, to_pixels
from migradetect.report._data import OneMovie

__all__ = ["Detail", "Picture", "composite", "frame_pictures", "strip_pictures", "to_data_uri"]

#: Half the width of the surroundings that a strip shows, um: a migrasome of 3 um and its fiber.
_HALF_UM = 2.6
#: Share of its frames in which a migrasome lies open, to be shown as typical.
_MOSTLY = 0.8
_DPI = 100


@dataclass(frozen=True)
class Detail:
    """How much a report may spend on one movie.

    Parameters
    ----------
    frame_px : int
        Longest edge of a frame.
    quality : int
        Of WebP, 1 to 100.
    n_strips, n_windows : int
        Migrasomes that are shown over their life, and pictures of each.
    vector : bool
        Curves as SVG; otherwise as small pictures.
    max_lines : int
        Thin lines in growth curves.
    most_bytes : int or None
        Of each picture; None for no limit.
    all_frames : bool
        First, middle and last frame; otherwise the middle one only, and no curves.
    """

    frame_px: int
    quality: int
    n_strips: int
    n_windows: int
    vector: bool
    max_lines: int
    most_bytes: int | None = None
    all_frames: bool = True

    @classmethod
    def of(cls, n_movies: int) -> Detail:
        """What suits a page with this many movies: they stay below 20 MB, and one is shown as it is."""
        for most, detail in (
            (1, cls(900, 82, 6, 14, True, 150)),
            (12, cls(420, 75, 3, 12, True, 40)),
            (48, cls(320, 65, 2, 10, False, 40, 40_000)),
            (120, cls(240, 50, 1, 9, False, 30, 15_000)),
            (400, cls(176, 40, 1, 8, False, 25, 5_500)),
        ):
            if n_movies <= most:
                return detail
        return cls(128, 30, 0, 0, False, 0, max(1_500, int(11e6 / n_movies)), all_frames=False)


@dataclass(frozen=True)
class Picture:
    """A picture in the page.

    Parameters
    ----------
    uri : str
        ``data:`` address with the picture itself.
    width, height : int
        Pixels, so that the page does not jump while it loads.
    alt : str
        What is on it, for those who do not see it.
    caption : str
        Line below.
    """

    uri: str
    width: int
    height: int
    alt: str
    caption: str


def to_data_uri(pixels: NDArray[np.uint8], quality: int, most_bytes: int | None = None) -> str:
    """WebP picture as an address.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (Y, X, 3)
        Red, green, blue.
    quality : int
        1 to 100; above 100 the picture is stored without loss.
    most_bytes : int, optional
        A picture that is larger, such as one of noise, is stored more coarsely.
    """
    data = _webp(pixels, quality)
    coarser = (min(quality, 100) * share for share in (0.6, 0.35, 0.2, 0.1))
    while most_bytes is not None and data.size > most_bytes and (less := next(coarser, None)) is not None:
        data = _webp(pixels, max(1, round(less)))
    if most_bytes is not None and data.size > most_bytes:
        data = _webp(np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1.5), np.uint8), 1)
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _webp(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    ok, data = cv2.imencode(".webp", pixels[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not ok:
        raise RuntimeError("expected a build of OpenCV that writes WebP, got one that does not")
    return np.asarray(data, np.uint8)


def frame_pictures(one: OneMovie, detail: Detail) -> list[Picture]:
    """First, middle and last frame that was used, with contours of what was found."""
    used = one.used_frames
    if not used or not all(one.shape_yx):
        return []
    chosen = dict(zip((used[0], used[(len(used) - 1) // 2], used[-1]), ("first", "middle", "last"), strict=True))
    if not detail.all_frames:
        chosen = {frame: name for frame, name in chosen.items() if name == "middle"} or chosen
    return [_frame_picture(one, frame, name if len(chosen) > 1 else "", detail) for frame, name in chosen.items()]


def _frame_picture(one: OneMovie, frame: int, name: str, detail: Detail) -> Picture:
    results = one.results
    role = shown_role(one.movie)
    names = ("cells", "fibers")
    labels: dict[str, NDArray[Any]] = {
        str(key): results.labels[key][frame] for key in names if frame < len(results.labels.get(key, ()))
    }
    shape = next(iter(labels.values())).shape if labels else one.shape_yx
    image = np.zeros(shape, np.float32) if one.movie is None or role is None else one.movie.frame(frame, role)
    spots = results.migrasomes[results.migrasomes["frame"] == frame]
    n_cells = int((results.cells["frame"] == frame).sum())
    n_fibers = int((results.fibers["frame"] == frame).sum())
    image, labels, calibration = _shrunk(image, labels, one.calibration, detail.frame_px)
    height, width = image.shape
    scale = max(1.0, 260 / max(image.shape))
    axes = bare_axes(scale * width / _DPI, scale * height / _DPI)
    overlay(axes, image, calibration, cells=labels.get("cells"), fibers=labels.get("fibers"), spots=spots)
    pixels = to_pixels(figure_of(axes), _DPI)
    time = one.calibration.minutes(float(frame))
    when = f", {time:.0f} min" if np.isfinite(time) else ""
    counts = f"{_n(n_cells, 'cell')}, {_n(n_fibers, 'fiber')}, {_n(len(spots), 'migrasome')}"
    missing = "the recording could not be read, only outlines: " if one.movie is None else ""
    return Picture(
        to_data_uri(pixels, detail.quality, detail.most_bytes),
        pixels.shape[1],
        pixels.shape[0],
        f"{missing}{name + ' ' if name else ''}frame {frame}{when} with the outlines of {counts}",
        f"{name + ' frame' if name else 'frame'} ({frame}{when}): {counts}",
    )


def _n(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def shown_role(movie: Movie | None) -> str | None:
    """Channel that outlines are drawn on."""
    if movie is None:
        return None
    return next((role for role in ("tspan4", "wga") if role in movie.roles), movie.roles[0])


def _shrunk(
    image: NDArray[np.float32], labels: dict[str, NDArray[Any]], calibration: Calibration, longest: int
) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]], Calibration]:
    """Image and labels in the size in which they are shown: drawing outlines at full size would take seconds."""
    height, width = image.shape
    factor = max(height, width) / longest
    if factor <= 1:
        return image, labels, calibration
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = np.asarray(cv2.resize(np.nan_to_num(image), size, interpolation=cv2.INTER_AREA), np.float32)
    out: dict[str, NDArray[Any]] = {}
    if "cells" in labels:
        out["cells"] = cv2.resize(labels["cells"].astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
    if "fibers" in labels:
        thin = np.zeros((size[1], size[0]), np.uint8)
        y, x = np.nonzero(labels["fibers"])
        # one-pixel lines would be cut to pieces by nearest neighbours
        thin[np.minimum((y / factor).astype(int), size[1] - 1), np.minimum((x / factor).astype(int), size[0] - 1)] = 1
        out["fibers"] = thin
    return small, out, Calibration(calibration.pixel_size_um * width / size[0], calibration.frame_interval_s)


def strip_pictures(one: OneMovie, detail: Detail) -> list[Picture]:
    """A few typical migrasomes over their lives."""
    movie = one.movie
    if movie is None or movie.n_frames < 4 or not detail.n_strips:
        return []
    pairs = [(track, _plan(one, int(track["migrasome_id"]), detail)) for track in typical(one, detail.n_strips)]
    chosen = [track for track, plan in pairs if plan is not None]
    plans = [plan for _, plan in pairs if plan is not None]
    roles = [role for role in ("tspan4", "wga") if role in movie.roles]
    half = max(4, round(one.calibration.px(_HALF_UM)))
    # each frame is read once, whatever the number of migrasomes that it shows
    windows: dict[tuple[int, int, str], NDArray[np.float32]] = {}
    for frame in sorted({frame for plan in plans for frame in plan["frame"]}):
        for role in roles:
            plane = movie.frame(frame, role)
            for index, plan in enumerate(plans):
                here = plan[plan["frame"] == frame]
                if len(here):
                    y, x = (one.calibration.px(float(here[name].iloc[0])) for name in ("y_um", "x_um"))
                    windows[index, frame, role] = _window(plane, y, x, half)
    return [
        _strip(
            one,
            track,
            plan,
            {role: np.stack([windows[index, f, role] for f in plan["frame"]]) for role in roles},
            detail,
        )
        for index, (plan, track) in enumerate(zip(plans, chosen, strict=True))
    ]


def typical(one: OneMovie, n: int) -> list[pd.Series[Any]]:
    """Migrasomes whose plateau diameters lie evenly between small and large, of those that are told best.

    Birth in view, a plateau that was measured, surroundings inside the field without a cell over it, and long records
    come first.
    """
    tracks, traces = one.results.tracks, one.results.site_traces
    if tracks.empty:
        return []
    height, width = (one.calibration.um(float(size)) for size in one.shape_yx)
    inside = traces["y_um"].between(_HALF_UM, height - _HALF_UM) & traces["x_um"].between(_HALF_UM, width - _HALF_UM)
    seen = (inside & ~traces["is_covered"].astype(bool)).groupby(traces["migrasome_id"]).mean()
    rows = tracks.assign(
        told=(~tracks["is_left_censored"].astype(bool)).astype(int)
        + tracks["plateau_diameter_um"].notna().astype(int)
        + (tracks["migrasome_id"].map(seen).fillna(0) > _MOSTLY).astype(int)
    )
    best = rows.sort_values(["told", "n_frames", "score"], ascending=False, kind="stable")
    # the better half is enough to choose from, and all of the best if they are fewer
    best = best.head(max(n, min(len(best) // 2, int((rows["told"] == rows["told"].max()).sum()))))
    ordered = best.sort_values(["plateau_diameter_um", "migrasome_id"], kind="stable").reset_index(drop=True)
    places = np.unique(np.round(np.linspace(0, len(ordered) - 1, n + 2)[1:-1]).astype(int))
    if n >= len(ordered):
        places = np.arange(len(ordered))
    return [ordered.iloc[int(place)] for place in places]


def _plan(one: OneMovie, migrasome_id: int, detail: Detail) -> pd.DataFrame | None:
    """Frames of a strip, from shortly before birth to shortly after the end, with the place in each."""
    traces = one.results.site_traces
    used = set(one.used_frames)
    site = traces[(traces["migrasome_id"] == migrasome_id) & traces["is_in_field"] & traces["frame"].isin(list(used))]
    alive = one.results.migrasomes.loc[one.results.migrasomes["migrasome_id"] == migrasome_id, "frame"]
    if site.empty or alive.empty:
        return None
    margin = max(2, round(0.15 * (int(alive.max()) - int(alive.min()))))
    site = site[site["frame"].between(int(alive.min()) - margin, int(alive.max()) + margin)].sort_values("frame")
    places = np.unique(np.round(np.linspace(0, len(site) - 1, detail.n_windows)).astype(int))
    return site.iloc[places].reset_index(drop=True)


def _window(plane: NDArray[np.float32], y: float, x: float, half: int) -> NDArray[np.float32]:
    out = np.full((2 * half + 1, 2 * half + 1), np.nan, np.float32)
    top, left = round(y) - half, round(x) - half
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + 2 * half + 1, plane.shape[0]), min(left + 2 * half + 1, plane.shape[1])
    if y1 > y0 and x1 > x0:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = plane[y0:y1, x0:x1]
    return out


def _strip(
    one: OneMovie, track: pd.Series[Any], plan: pd.DataFrame, windows: dict[str, NDArray[np.float32]], detail: Detail
) -> Picture:
    number = int(track["migrasome_id"])
    n = len(plan)
    alive = one.results.migrasomes[one.results.migrasomes["migrasome_id"] == number]
    span = (float(alive["time_min"].min()), float(alive["time_min"].max()))
    each = 0.62 if detail.frame_px >= 300 else 0.42
    axes = bare_axes(n * each, (len(windows) + 0.5) * each)
    life_strip(windows, list(plan["time_min"]), one.calibration, axes, birth_min=span[0], end_min=span[1])
    pixels = to_pixels(figure_of(axes), 130 if detail.frame_px >= 300 else _DPI)
    birth = "there from the start" if track["is_left_censored"] else f"born at {float(track['birth_time_min']):.0f} min"
    fate = (
        ""
        if pd.isna(track["fate"])
        else {"persist": "persists", "left_field": "left the field"}.get(track["fate"], str(track["fate"]))
    )
    place = "" if pd.isna(track["location"]) else f"at the {track['location']} of a fiber"
    size = track["plateau_diameter_um"]
    about = ", ".join(filter(None, [birth, place, f"{float(size):.1f} µm" if pd.notna(size) else "", fate]))
    return Picture(
        to_data_uri(pixels, detail.quality, detail.most_bytes),
        pixels.shape[1],
        pixels.shape[0],
        f"{n} pictures of the surroundings of migrasome {number} from {plan['time_min'].iloc[0]:.0f} to "
        f"{plan['time_min'].iloc[-1]:.0f} min: {about}",
        f"migrasome {number}: {about}",
    )


def composite(one: OneMovie, detail: Detail) -> Picture | None:
    """Middle frame as recorded: TSPAN4 green, WGA magenta; grey where there is one channel."""
    movie, used = one.movie, one.used_frames
    if movie is None or not used:
        return None
    frame = used[(len(used) - 1) // 2]
    roles: list[str] = [role for role in ("tspan4", "wga") if role in movie.roles] or list(movie.roles[:1])
    planes = {
        role: display_range(_shrunk(movie.frame(frame, role), {}, one.calibration, detail.frame_px)[0])
        for role in roles
    }
    first = planes[roles[0]]
    colour = np.stack([first, first, first], -1)
    if len(roles) == 2:
        # magenta and green are told apart by all kinds of colour vision
        colour = np.stack([planes["wga"], planes["tspan4"], planes["wga"]], -1)
    pixels = np.round(255 * colour).astype(np.uint8)
    words = "TSPAN4 green, WGA magenta" if len(roles) == 2 else roles[0]
    return Picture(
        to_data_uri(pixels, detail.quality, detail.most_bytes), pixels.shape[1], pixels.shape[0],
        f"frame {frame} as recorded, {words}", f"frame {frame} as recorded ({words})",
    )  # fmt: skip
