"""Training of the network of :mod:`migradetect.bead_network` with PyTorch, which only the training needs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from migradetect.bead_network import PATCH_PX

#: Channels after each convolution, and of the dense layer.
WIDTHS, DENSE = (8, 16, 24, 32), 32


class BeadNet(nn.Module):
    """The layers of the network; names are those of the stored arrays."""

    def __init__(self) -> None:
        super().__init__()
        for k, (n_in, n_out) in enumerate(zip((3, *WIDTHS[:-1]), WIDTHS, strict=True), start=1):
            setattr(self, f"conv{k}", nn.Conv2d(n_in, n_out, 3, padding=1))
        self.dense1, self.dense2 = nn.Linear(2 * WIDTHS[-1], DENSE), nn.Linear(DENSE, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Log-odds, shape (N,), of patches of shape (N, 3, 28, 28)."""
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv3(torch.relu(self.conv2(x)))), 2)
        x = torch.relu(self.conv4(x))
        middle = x.shape[-1] // 2
        x = torch.cat([x.mean(dim=(2, 3)), x[:, :, middle, middle]], dim=1)
        return self.dense2(torch.relu(self.dense1(x)))[:, 0]

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights as they are stored."""
        return {
            name.replace(".weight", "").replace(".bias", "_bias"): value.detach().numpy().astype(np.float32)
            for name, value in self.named_parameters()
        }


def varied(patches: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Patches turned, mirrored, blurred, dimmed and shifted: what another microscope might have shown."""
    if torch.rand((), generator=generator) < 0.5:
        patches = patches.flip(2)
    patches = torch.rot90(patches, int(torch.randint(4, (), generator=generator)), (2, 3))
    n = len(patches)
    # the shape of brightness over contrast differs between labels and structures
    power = torch.exp(0.15 * torch.randn((n, 1, 1), generator=generator))
    contrast = patches[:, 0].clamp(min=0) ** power + patches[:, 0].clamp(max=0)
    gain = torch.exp(0.3 * torch.randn((n, 1, 1), generator=generator))
    depth = torch.asinh(gain * torch.sinh((3 * patches[:, 1]).clamp(-9, 9))) / 3
    contrast = contrast + 0.03 * torch.rand((n, 1, 1), generator=generator) * torch.randn(
        contrast.shape, generator=generator
    )
    return torch.stack([contrast, depth, patches[:, 2]], dim=1)


def batches(n: int, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Positions of random batches, each once."""
    order = torch.randperm(n, generator=generator)
    yield from order.split(size)


def train_network(
    patches: np.ndarray, is_bead: np.ndarray, weight: np.ndarray, epochs: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Fit the network.

    Parameters
    ----------
    patches : ndarray, shape (N, 3, 28, 28)
        From :func:`migradetect.bead_network.bead_patches`.
    is_bead : ndarray of bool, shape (N,)
        What each shows.
    weight : ndarray, shape (N,)
        How much each counts.
    epochs : int
        Passes over the data.
    seed : int
        Of weights, order and variations.

    Returns
    -------
    dict of str to ndarray
        As :func:`migradetect.bead_network.load_network` gives them.
    """
    if patches.shape[1:] != (3, PATCH_PX, PATCH_PX):
        raise ValueError(f"patches: expected (N, 3, {PATCH_PX}, {PATCH_PX}), got {patches.shape}")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = BeadNet()
    target = torch.from_numpy(is_bead.astype(np.float32))
    of_each = torch.from_numpy((weight / weight.mean()).astype(np.float32))
    size = 256
    steps = epochs * -(-len(patches) // size)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    loss = nn.BCEWithLogitsLoss(reduction="none")
    for epoch in range(epochs):
        total = 0.0
        for rows in batches(len(patches), size, generator):
            x = varied(torch.from_numpy(patches[rows.numpy()].astype(np.float32)), generator)
            value = (loss(net(x), target[rows]) * of_each[rows]).mean()
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
            total += float(value.detach()) * len(rows)
        print(f"network, epoch {epoch + 1} of {epochs}: loss {total / len(patches):.4f}", flush=True)
    return net.arrays()
