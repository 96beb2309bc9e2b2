"""Hours, memory, disk and network of a large screen, from the measured figures in ``plan.toml``.

A node runs as many movies at a time as cores and memory allow; each is analysed by one core. The time is the longer of
computing and reading. The input is read several times; after the first it comes from the memory of the node, where that
holds the movies that are at work there, else from the file server again.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["NodePlan", "plan", "plan_text", "read_inputs"]

INPUTS = Path(__file__).with_name("plan.toml")


@dataclass(frozen=True)
class NodePlan:
    """The screen on a number of nodes.

    Parameters
    ----------
    nodes, workers : int
        Computers, and movies at a time on each.
    compute_h, read_h, merge_h : float
        Hours of computing, of reading from the file server, and of the merge on one node.
    reads : int
        Times that the input crosses the network.
    memory_gb : float
        Memory that the workers of a node take.
    server_gb_s : float
        What the file server must give, averaged over the run.
    """

    nodes: int
    workers: int
    compute_h: float
    read_h: float
    merge_h: float
    reads: int
    memory_gb: float
    server_gb_s: float

    @property
    def hours(self) -> float:
        """From the start to merged results."""
        return max(self.compute_h, self.read_h) + self.merge_h

    @property
    def limit(self) -> str:
        """What more of would make it faster."""
        if self.read_h > self.compute_h:
            return "reading from the file server"
        return "cores"


def read_inputs(path: Path = INPUTS) -> dict[str, Any]:
    """The figures."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _sizes(inputs: dict[str, Any]) -> tuple[int, float, float]:
    """Movies, megapixels and GB of a movie."""
    screen = inputs["screen"]
    pixels = screen["frames"] * screen["height_px"] * screen["width_px"] * screen["channels"]
    return screen["wells"] * screen["fields"], pixels / 1e6, pixels * screen["bytes_per_pixel"] / 1e9


def plan(inputs: dict[str, Any], nodes: int) -> NodePlan:
    """The screen on a number of nodes.

    Parameters
    ----------
    inputs : dict
        As in ``plan.toml``.
    nodes : int
        Computers.
    """
    measured, node, site = inputs["measured"], inputs["node"], inputs["site"]
    movies, megapixels, movie_gb = _sizes(inputs)
    free_gb = node["memory_gb"] - node["spare_memory_gb"]
    workers = max(1, min(node["cores"], math.floor(free_gb / measured["peak_worker_gb"])))
    pace = measured["megapixels_per_core_s"] * measured["all_cores_efficiency"]
    movie_s = megapixels / pace + measured["start_s"]
    # the last movies leave cores idle: whole rounds
    compute_h = math.ceil(movies / (nodes * workers)) * movie_s / 3600
    memory_gb = workers * measured["peak_worker_gb"]
    is_kept = free_gb - memory_gb >= workers * movie_gb
    reads = 1 if is_kept else measured["passes"]
    total_gb = movies * movie_gb * reads
    read_h = total_gb / min(nodes * node["network_gb_s"], site["server_gb_s"]) / 3600
    merge_h = movies * measured["merge_s_per_movie"] / 3600
    busy_h = max(compute_h, read_h)
    return NodePlan(nodes, workers, compute_h, read_h, merge_h, reads, memory_gb, total_gb / (busy_h * 3600))


def plan_text(path: Path = INPUTS) -> str:
    """Plan as Markdown."""
    inputs = read_inputs(path)
    screen, measured, node, site = (inputs[name] for name in ("screen", "measured", "node", "site"))
    movies, megapixels, movie_gb = _sizes(inputs)
    plans = [plan(inputs, nodes) for nodes in site["nodes"]]
    results_gb = movies * screen["frames"] * measured["result_mb_per_frame"] / 1e3
    lines = [
        f"{screen['wells']} wells x {screen['fields']} fields x {screen['frames']} frames of {screen['height_px']} x "
        f"{screen['width_px']} x {screen['channels']}: {movies} movies of {movie_gb:.2f} GB and {megapixels:.0f} "
        f"megapixels, {movies * movie_gb / 1e3:.1f} TB in all; results {results_gb:.0f} GB.",
        "",
        f"Nodes of {node['cores']} cores, {node['memory_gb']} GB and {node['network_gb_s']:g} GB/s; a file server that "
        f"gives {site['server_gb_s']:g} GB/s to all. One core: {measured['megapixels_per_core_s']:g} megapixels/s, "
        f"{measured['peak_worker_gb']:g} GB; all cores of a node at work: {measured['all_cores_efficiency']:.0%} of "
        "that pace each.",
        "",
        "| nodes | movies at a time | hours | of computing | of reading | merge | memory per node | file server | "
        "limited by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in plans:
        lines.append(
            f"| {one.nodes} | {one.nodes * one.workers} | **{one.hours:.1f}** | {one.compute_h:.1f} | "
            f"{one.read_h:.1f} | {one.merge_h:.2f} | {one.memory_gb:.0f} GB | {one.server_gb_s:.2f} GB/s, "
            f"input read {one.reads} x | {one.limit} |"
        )
    return "\n".join(lines)
