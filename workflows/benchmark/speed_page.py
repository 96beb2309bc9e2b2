"""Table and plots of the benchmark of speed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["exponent", "replace_section", "slope", "summarize", "write_page"]

_STYLE = {"migradetect": ("C0", "o"), "naive": ("C1", "s"), "trackpy": ("C2", "^"), "blob_log": ("C3", "v"),
          "nellie": ("C4", "D")}  # fmt: skip
_NAMES = {
    "naive": "scikit-image + trackpy, naive",
    "trackpy": "trackpy batch + link, spots of one channel",
    "blob_log": "blob_log, spots of one channel",
    "nellie": "Nellie, one channel",
    "link_project": "2,000 candidates x 500 frames: linked, and joined by place",
    "link_trackpy": "the same: trackpy.link alone",
    "growth_project": "5,000 growth fits with limits",
    "growth_curve_fit": "the same: bounded curve_fit",
    "help": "`migradetect --help`",
    "smallest run": "`run` of one frame",
    "preview": "`preview` of one frame",
}


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """Medians, and least and largest wall time, of each case.

    Parameters
    ----------
    runs : pandas.DataFrame
        As in ``runs.csv``.
    """
    good = runs[runs["error"].isna()]
    keys = ["name", "method", "size_px", "n_frames", "n_movies", "workers", "megapixels"]
    table = (
        good.groupby(keys, sort=False)
        .agg(
            n=("wall_s", "size"),
            wall_s=("wall_s", "median"),
            least_s=("wall_s", "min"),
            most_s=("wall_s", "max"),
            cpu_s=("cpu_s", "median"),
            peak_mb=("peak_mb", "median"),
            peak_all_mb=("peak_all_mb", "median"),
            part_s=("part_s", "median"),
        )
        .reset_index()
    )
    table["mp_per_cpu_s"] = (table["megapixels"] / table["cpu_s"]).where(table["megapixels"] > 0)
    return table.sort_values(keys, kind="stable").reset_index(drop=True)


def slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least squares line: value at 0, and growth for each unit of x."""
    growth, start = np.polyfit(x, y, 1)
    return float(start), float(growth)


def exponent(x: np.ndarray, y: np.ndarray) -> float:
    """Power of x that y grows with: 1 is proportional."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _draw(table: pd.DataFrame, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    pixels, frames, memory = figure.subplots(1, 3)
    for method, rows in table[table["name"] == "size"].groupby("method", sort=False):
        colour, marker = _STYLE[str(method)]
        rows = rows.sort_values("size_px")
        x, y = rows["size_px"].to_numpy(float) ** 2 / 1e6, (rows["cpu_s"] / rows["n_frames"]).to_numpy()
        text = str(method) + (f", pixels^{exponent(x, y):.2f}" if len(rows) > 1 else "")
        pixels.plot(x, y, color=colour, marker=marker, label=text)
    pixels.set(xscale="log", yscale="log", xlabel="megapixels of a frame and channel", ylabel="cpu s for each frame")
    pixels.set_title("time against pixels, whole process")
    for method, rows in table[table["name"] == "frames"].groupby("method", sort=False):
        colour, marker = _STYLE[str(method)]
        rows = rows.sort_values("n_frames")
        x, y = rows["n_frames"].to_numpy(float), rows["cpu_s"].to_numpy()
        text = str(method)
        if len(rows) > 1:
            start, growth = slope(x, y)
            text += f": {start:.1f} s + {growth:.2f} s a frame, T^{exponent(x, y):.2f}"
        frames.plot(x, y, color=colour, marker=marker, label=text)
        memory.plot(x, rows["peak_mb"], color=colour, marker=marker, label=str(method))
    for axes in (frames, memory):
        axes.margins(y=0.15)
    frames.set(xlabel="frames", ylabel="cpu s", xlim=(0, None), ylim=(0, None))
    frames.set_title("time against frames")
    memory.set(xlabel="frames", ylabel="peak of the largest process, MB", xlim=(0, None), ylim=(0, None))
    memory.set_title("memory against frames")
    for axes in (pixels, frames, memory):
        axes.grid(color="0.9")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)


def _text(table: pd.DataFrame, failed: pd.DataFrame) -> str:
    lines = [
        "| case | method | frame | frames | movies | workers | wall s (least to most) | cpu s | megapixels / cpu s | "
        "peak MB: largest process, all | rounds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        is_part = np.isfinite(row.part_s)
        wall = row.part_s if is_part and row.name == "part" else row.wall_s
        spread = "" if row.name == "part" else f" ({row.least_s:.1f} to {row.most_s:.1f})"
        peaks = f"{row.peak_mb:.0f}, {row.peak_all_mb:.0f}"
        pace = f"{row.mp_per_cpu_s:.2f}" if np.isfinite(row.mp_per_cpu_s) else "-"
        frame, frames = (row.size_px or "-", row.n_frames or "-")
        lines.append(
            f"| {row.name} | {_NAMES.get(row.method, row.method)} | {frame} | {frames} | {row.n_movies} | "
            f"{row.workers} | {wall:.2f}{spread} | {row.cpu_s:.1f} | {pace} | {peaks} | {row.n} |"
        )
    many = table[table["name"] == "workers"].sort_values("workers")
    if len(many) > 1:
        first = many.iloc[0]
        words = [f"{row.workers} workers {first.wall_s / row.wall_s:.2f} x" for row in many.iloc[1:].itertuples()]
        lines += ["", f"Speed-up of {first.n_movies} movies: {', '.join(words)}."]
    rows = table[(table["name"] == "frames") & (table["method"] == "migradetect")]
    if len(rows) > 1:
        x = rows["n_frames"].to_numpy(float)
        start, growth = slope(x, rows["cpu_s"].to_numpy())
        peak = rows["peak_mb"]
        lines += [
            "",
            f"Time against frames: {start:.1f} s + {growth:.2f} s for each, power "
            f"{exponent(x, rows['cpu_s'].to_numpy()):.2f}; memory largest over smallest {peak.max() / peak.min():.2f}.",
        ]
    rows = table[(table["name"] == "size") & (table["method"] == "migradetect")]
    if len(rows) > 1:
        power = exponent(rows["size_px"].to_numpy(float) ** 2, rows["cpu_s"].to_numpy())
        lines += ["", f"Time against pixels: power {power:.2f}."]
    for row in failed.drop_duplicates("key").itertuples():
        lines += ["", f"Failed: {row.key}: {row.error}"]
    return "\n".join(lines)


def write_page(runs_path: Path, out: Path) -> tuple[str, int]:
    """Write ``summary.csv``, ``page.md`` and ``speed.png``.

    Returns
    -------
    text : str
        The page.
    n_failed : int
        Cases that never ran without an error.
    """
    runs = pd.read_csv(runs_path)
    table = summarize(runs)
    failed = runs[runs["error"].notna() & ~runs["key"].isin(runs.loc[runs["error"].isna(), "key"])]
    table.to_csv(out / "summary.csv", index=False)
    text = _text(table, failed)
    (out / "page.md").write_text(
        f"# Speed\n\n![Time against pixels and frames](speed.png)\n\n{text}\n", encoding="utf-8"
    )
    if len(table):
        _draw(table, out / "speed.png")
    return text, failed["key"].nunique()


def replace_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of a section.

    Raises
    ------
    SystemExit
        If the page has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = page.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        raise SystemExit(f"{page}: expected the marks {begin} and {end}, got none; add them where the text belongs")
    before, _, rest = old.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
