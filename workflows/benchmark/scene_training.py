"""Training of the network of :mod:`migradetect.scene_network` with PyTorch, which only the training needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from migradetect.calibration import Calibration
from migradetect.scene_network import near_inputs, wide_inputs
from migradetect.scenes import Scenes

#: Channels after each convolution, and of the dense layers.
WIDTHS, DENSE = (12, 24, 32, 48), (64, 32)
#: Examples at each step.
BATCH = 128
#: Share of the examples that are shown by one half of their frames.
HALVED = 0.5
#: Share of the examples that show one label alone, and of those that do not show what was before (or after).
ONE_LABEL, UNTOLD = 0.2, 0.15


class SceneNet(nn.Module):
    """The layers of the network; names are those of the stored arrays."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("near", "wide"):
            for k, (n_in, n_out) in enumerate(zip((4, *WIDTHS[:-1]), WIDTHS, strict=True), start=1):
                setattr(self, f"{name}{k}", nn.Conv2d(n_in, n_out, 3, padding=1))
        self.dense1 = nn.Linear(6 * 2 * WIDTHS[-1] + 5, DENSE[0])
        self.dense2, self.dense3 = nn.Linear(*DENSE), nn.Linear(DENSE[1], 1)
        self.forget = nn.Dropout(0.2)

    def _encoded(self, x: torch.Tensor, name: str) -> torch.Tensor:
        one, two, three, four = (getattr(self, f"{name}{k}") for k in (1, 2, 3, 4))
        x = torch.max_pool2d(torch.relu(one(x)), 2)
        x = torch.max_pool2d(torch.relu(three(torch.relu(two(x)))), 2)
        x = torch.relu(four(x))
        return torch.cat([x.mean((2, 3)), x[:, :, 3:5, 3:5].mean((2, 3))], 1)

    def forward(self, near: torch.Tensor, wide: torch.Tensor, is_seen: torch.Tensor) -> torch.Tensor:
        """Log-odds, shape (N,), of pictures of shapes (N, 5, 4, 32, 32) and (N, 4, 32, 32) and flags (N, 5)."""
        n, parts = near.shape[:2]
        seen = self._encoded(near.flatten(0, 1), "near").view(n, parts, -1) * is_seen[:, :, None]
        x = torch.cat([seen.flatten(1), self._encoded(wide, "wide"), is_seen], 1)
        x = self.forget(torch.relu(self.dense1(x)))
        return self.dense3(torch.relu(self.dense2(x)))[:, 0]

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights as they are stored."""
        return {
            name.replace(".weight", "").replace(".bias", "_bias"): value.detach().numpy().astype(np.float32)
            for name, value in self.named_parameters()
        }


@dataclass
class Examples:
    """Scenes of one movie, in two halves of its frames, with what they show."""

    halves: tuple[Scenes, Scenes]
    calibration: Calibration
    is_migrasome: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.is_migrasome)


def save_scenes(path: Path, halves: tuple[Scenes, Scenes]) -> None:
    """Write the scenes of a movie in half precision."""
    stored = {}
    for name, half in zip("ab", halves, strict=True):
        stored |= {f"near_{name}": half.near.astype(np.float16), f"looks_{name}": half.n_looks}
        stored[f"wide_{name}"] = half.wide.astype(np.float16)
    np.savez(path, **stored)


def load_scenes(path: Path, rows: np.ndarray) -> tuple[Scenes, Scenes]:
    """Some of the scenes of a movie, still in half precision."""
    with np.load(path, allow_pickle=False) as stored:
        a, b = (Scenes(*(stored[f"{what}_{name}"][rows] for what in ("near", "looks", "wide"))) for name in "ab")
    return a, b


def added(a: Scenes, b: Scenes, use_a: np.ndarray, use_b: np.ndarray) -> Scenes:
    """Scenes by one half of the frames, the other, or both, as each example asks; both where one has none."""
    looks = np.stack([a.n_looks * use_a[:, None], b.n_looks * use_b[:, None]])
    both = np.stack([a.n_looks, b.n_looks])
    looks = np.where(looks.sum(axis=0) > 0, looks, both)
    share = (looks / np.maximum(looks.sum(axis=0), 1)).astype(np.float32)[..., None, None, None]
    near = a.near.astype(np.float32) * share[0] + b.near.astype(np.float32) * share[1]
    # of the wide pictures those of the whole are near enough
    weight = (both[:, :, 1:4].sum(axis=2) / np.maximum(both[:, :, 1:4].sum(axis=(0, 2)), 1)).astype(np.float32)
    wide = sum(one.wide.astype(np.float32) * w[:, None, None, None] for one, w in zip((a, b), weight, strict=True))
    return Scenes(near, looks.sum(axis=0), np.asarray(wide, np.float32))


def varied(
    near: torch.Tensor, wide: torch.Tensor, is_seen: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures turned, mirrored, dimmed, noisier and with parts left out: what another microscope might have shown."""
    n = len(near)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    relative, soft, share = near[:, :, :2], near[:, :, 2:3], near[:, :, 3:]
    soft = torch.asinh(torch.exp(0.3 * normal(n, 1, 1, 1, 1)) * torch.sinh((3 * soft).clamp(-9, 9))) / 3
    # the shape of brightness over contrast differs between labels and structures
    relative = relative.clamp(min=0) ** torch.exp(0.15 * normal(n, 1, 1, 1, 1)) + relative.clamp(max=0)
    relative = relative + 0.05 * uniform(n, 1, 1, 1, 1) * normal(*relative.shape)
    which = uniform(n)
    relative[which < ONE_LABEL / 2, :, 0] = 0
    relative[(which >= ONE_LABEL / 2) & (which < ONE_LABEL), :, 1] = 0
    is_seen = is_seen.clone()
    for part in (0, 4):
        is_seen[uniform(n) < UNTOLD, part] = 0
    near = torch.cat([relative, soft, share], 2)
    if uniform() < 0.5:
        near, wide = near.flip(3), wide.flip(2)
    turns = int(torch.randint(4, (), generator=generator))
    return torch.rot90(near, turns, (3, 4)), torch.rot90(wide, turns, (2, 3)), is_seen


def inputs(movie: Examples, rows: np.ndarray, generator: torch.Generator | None) -> tuple[torch.Tensor, ...]:
    """What the network takes of some examples of one movie; by halves of their frames for training."""
    a, b = (Scenes(one.near[rows], one.n_looks[rows], one.wide[rows]) for one in movie.halves)
    use_a = use_b = np.ones(len(rows), bool)
    if generator is not None:
        drawn = torch.rand(len(rows), generator=generator).numpy()
        use_a, use_b = drawn >= HALVED / 2, (drawn < HALVED / 2) | (drawn >= HALVED)
    scenes = added(a, b, use_a, use_b)
    seen = (
        near_inputs(scenes, movie.calibration),
        wide_inputs(scenes, movie.calibration),
        (scenes.n_looks > 0).astype(np.float32),
    )
    return tuple(torch.from_numpy(one) for one in seen)


def train_network(movies: list[Examples], epochs: int, seed: int = 0) -> SceneNet:
    """Fit the network.

    Parameters
    ----------
    movies : list of Examples
        What it learns from.
    epochs : int
        Passes over the data.
    seed : int
        Of weights, order and variations.

    Returns
    -------
    SceneNet
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    movie = np.repeat(np.arange(len(movies)), [len(one) for one in movies])
    row = np.concatenate([np.arange(len(one)) for one in movies])
    mean = float(np.concatenate([one.weight for one in movies]).mean())
    net = SceneNet()
    steps = epochs * -(-len(row) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    loss = nn.BCEWithLogitsLoss(reduction="none")
    for epoch in range(epochs):
        total = 0.0
        for drawn in torch.randperm(len(row), generator=generator).split(BATCH):
            k = drawn.numpy()
            k = k[np.argsort(movie[k], kind="stable")]
            parts = [(movies[m], row[k[movie[k] == m]]) for m in np.unique(movie[k])]
            seen = [torch.cat(one) for one in zip(*(inputs(m, rows, generator) for m, rows in parts), strict=True)]
            target, weight = (
                torch.from_numpy(np.concatenate([getattr(m, name)[rows] for m, rows in parts]).astype(np.float32))
                for name in ("is_migrasome", "weight")
            )
            value = (loss(net(*varied(*seen, generator)), target) * weight / mean).mean()
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
            total += float(value.detach()) * len(k)
        print(f"network, epoch {epoch + 1} of {epochs}: loss {total / len(row):.4f}", flush=True)
    return net.eval()


def answers(net: SceneNet, movie: Examples) -> np.ndarray:
    """Log-odds of each example by all frames."""
    with torch.no_grad():
        return net(*inputs(movie, np.arange(len(movie)), None)).numpy()


def without(movie: Examples, keep: np.ndarray) -> Examples:
    """The examples of a movie that are kept."""
    a, b = (Scenes(one.near[keep], one.n_looks[keep], one.wide[keep]) for one in movie.halves)
    return replace(movie, halves=(a, b), is_migrasome=movie.is_migrasome[keep], weight=movie.weight[keep])
