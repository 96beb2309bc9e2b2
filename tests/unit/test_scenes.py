"""Pictures of a place through the movie, and the network that looks at them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.scene_network import load_scene_network, near_inputs, scene_log_odds, wide_inputs
from migradetect.scenes import PICTURE_PX, SceneReader, Scenes

Image = NDArray[np.float32]
BEFORE, FIRST, MIDDLE, LAST, AFTER = range(5)
PX = 0.15
SHAPE = (160, 160)
HALF = PICTURE_PX // 2


def reader_at(
    *spans: tuple[int, int], place_um: tuple[float, float] = (12.0, 12.0), pixel_um: float = PX
) -> SceneReader:
    first, last = np.array(spans, np.int64).reshape(-1, 2).T
    y, x = (np.full(len(spans), one) for one in place_um)
    return SceneReader(y, x, first, last, Calibration(pixel_um, 60.0))


def drawn(
    diameter_um: float,
    height: float,
    line: float = 0.0,
    pixel_um: float = PX,
    place_um: tuple[float, float] = (12.0, 12.0),
) -> Image:
    """A blurred disc on a line; PSF of 0.12 um."""
    edge = round(24.0 / pixel_um)
    y, x = np.mgrid[:edge, :edge] * pixel_um
    y, x = y - place_um[0], x - place_um[1]
    disc = height / (1 + np.exp((np.hypot(y, x) - diameter_um / 2) / 0.06)) if diameter_um else 0.0
    return np.asarray(disc + line * np.exp(-((y - 0.3 * x) ** 2) / (2 * 0.12**2)), np.float32)


def read(reader: SceneReader, frames: dict[int, Image], cells: Image | None = None, drift=(0.0, 0.0)) -> Scenes:
    for t, image in frames.items():
        bodies = np.zeros(image.shape, bool) if cells is None else cells > 0
        labels = {"wga": image, "tspan4": 2 * image}
        reader.add(reader.look(t, labels, (~bodies).astype(np.float32), bodies, drift))
    return reader.scenes()


def test_frames_belong_to_the_time_before_during_and_after() -> None:
    reader = reader_at((10, 18))
    parts = np.stack([reader.parts(t)[0] for t in range(40)])
    assert np.flatnonzero(parts[:, BEFORE]).tolist() == list(range(1, 9))  # not the one next to it
    assert [np.flatnonzero(parts[:, k]).tolist() for k in (FIRST, MIDDLE, LAST)] == [
        [10, 11, 12],
        [13, 14, 15],
        [16, 17, 18],
    ]
    assert np.flatnonzero(parts[:, AFTER]).tolist() == list(range(20, 28))


@pytest.mark.parametrize("n", [1, 2])
def test_few_frames_are_the_middle_as_a_whole(n: int) -> None:
    reader = reader_at((4, 3 + n))
    parts = np.stack([reader.parts(t)[0] for t in range(4, 4 + n)])
    assert parts[:, MIDDLE].all()
    assert parts[0, FIRST]
    assert parts[-1, LAST]


def test_pictures_are_means_of_what_each_time_shows_where_the_place_is_now() -> None:
    drift_um = (1.5, -0.75)
    seen = drawn(1.2, 30.0, place_um=(13.5, 11.25))
    scenes = read(reader_at((3, 11)), {0: 0 * seen, 4: seen, 5: 3 * seen, 7: 2 * seen, 14: 0 * seen}, drift=drift_um)
    assert scenes.n_looks.tolist() == [[1, 2, 1, 0, 1]]
    centre = scenes.near[0, :, :2, HALF - 1 : HALF + 1, HALF - 1 : HALF + 1].mean(axis=(2, 3))
    np.testing.assert_allclose(centre[:, 0], [0, 60, 60, 0, 0], atol=1)
    np.testing.assert_allclose(centre[:, 1], 2 * centre[:, 0])
    np.testing.assert_allclose(scenes.wide[0, 0].max(), 60, rtol=0.3)  # blurred for samples of 0.5 um


def test_a_covered_place_is_not_looked_at_but_who_stood_there_before_is_told() -> None:
    cells = np.zeros(SHAPE, np.float32)
    cells[:, :90] = 1
    reader = reader_at((3, 8))
    scenes = read(reader, {0: drawn(0, 0)}, cells)
    assert scenes.n_looks.sum() == 0
    assert scenes.wide[0, 3].mean() > 0.5
    scenes = read(reader, {4: drawn(1.0, 20.0)})
    assert scenes.n_looks[0, FIRST] == 1
    assert scenes.wide[0, 2].max() == 0


def test_what_is_hidden_counts_as_unknown() -> None:
    cells = np.zeros(SHAPE, np.float32)
    cells[:, 88:] = 1
    scenes = read(reader_at((0, 0)), {0: drawn(1.0, 20.0, line=9.0)}, cells)
    share = scenes.near[0, MIDDLE, 2]
    assert share[:, :HALF].all()
    assert not share[:, -5:].any()
    inputs = near_inputs(scenes, Calibration(PX, 60.0))
    assert not inputs[0, MIDDLE, :2, :, -5:].any()


def test_pictures_and_inputs_are_those_of_any_pixel_size() -> None:
    seen = {}
    for px in (0.1, 0.2):
        # a pixel of twice the edge has four times the light and half the noise for its light
        image = drawn(1.4, 40.0, line=12.0, pixel_um=px) * (px / 0.1)
        scenes = read(reader_at((0, 5), pixel_um=px), dict.fromkeys(range(6), image))
        seen[px] = near_inputs(scenes, Calibration(px, 60.0))[0], wide_inputs(scenes, Calibration(px, 60.0))[0]
    for one, other in zip(seen[0.1], seen[0.2], strict=True):
        assert np.abs(one - other).mean() < 0.03
    assert np.abs(seen[0.1][0][MIDDLE] - np.rot90(seen[0.1][0][MIDDLE], axes=(1, 2))).mean() > 0.02, "test invalid"


def random_weights(seed: int = 3) -> dict[str, Image]:
    rng = np.random.default_rng(seed)
    widths = (4, 5, 6, 7, 8)
    out: dict[str, Image] = {}
    for name in ("near", "wide"):
        for k in range(4):
            shape = (widths[k + 1], widths[k], 3, 3)
            out[f"{name}{k + 1}"] = (rng.normal(size=shape) / np.sqrt(9 * widths[k])).astype(np.float32)
            out[f"{name}{k + 1}_bias"] = rng.normal(scale=0.1, size=widths[k + 1]).astype(np.float32)
    for k, (n_out, n_in) in enumerate(((10, 6 * 16 + 5), (6, 10), (1, 6)), start=1):
        out[f"dense{k}"] = (rng.normal(size=(n_out, n_in)) / np.sqrt(n_in)).astype(np.float32)
        out[f"dense{k}_bias"] = rng.normal(scale=0.1, size=n_out).astype(np.float32)
    return out


def literal(near: Image, wide: Image, is_seen: NDArray[np.bool_], weights: dict[str, Image]) -> float:
    """The same layers written out, one place."""

    def convolved(x: Image, layer: str) -> Image:
        kernel, padded = weights[layer], np.pad(x, ((0, 0), (1, 1), (1, 1)))
        out = np.stack(
            [
                sum(
                    kernel[o, c, i, j] * padded[c, i : i + x.shape[1], j : j + x.shape[2]]
                    for c in range(len(x))
                    for i in range(3)
                    for j in range(3)
                )
                + weights[f"{layer}_bias"][o]
                for o in range(len(kernel))
            ]
        )
        return np.maximum(out, 0)

    def halved(x: Image) -> Image:
        return x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max(axis=(2, 4))

    def encoded(x: Image, name: str) -> Image:
        x = halved(convolved(x, f"{name}1"))
        x = convolved(halved(convolved(convolved(x, f"{name}2"), f"{name}3")), f"{name}4")
        return np.concatenate([x.mean(axis=(1, 2)), x[:, 3:5, 3:5].mean(axis=(1, 2))])

    features = [encoded(part, "near") * on for part, on in zip(near, is_seen, strict=True)]
    x = np.concatenate([*features, encoded(wide, "wide"), is_seen.astype(np.float32)])
    for k in (1, 2):
        x = np.maximum(weights[f"dense{k}"] @ x + weights[f"dense{k}_bias"], 0)
    return float((weights["dense3"] @ x + weights["dense3_bias"])[0])


def random_scenes(looks: list[int], seed: int = 4) -> Scenes:
    rng = np.random.default_rng(seed)
    near = rng.normal(5.0, 4.0, (2, 5, 3, PICTURE_PX, PICTURE_PX)).astype(np.float32)
    near[:, :, 2] = 1.0
    wide = rng.normal(2.0, 2.0, (2, 4, PICTURE_PX, PICTURE_PX)).astype(np.float32)
    return Scenes(near, np.array([looks, looks], np.int64), wide)


def answers(scenes: Scenes, weights: dict[str, Image]) -> NDArray[np.float64]:
    """What the layers say of each place, turned by 0 to 3 right angles, as it is and mirrored; shape (n, 8)."""
    calibration = Calibration(PX, 60.0)
    near, wide = near_inputs(scenes, calibration), wide_inputs(scenes, calibration)
    out = []
    for i, looks in enumerate(scenes.n_looks):
        for flipped in (slice(None), slice(None, None, -1)):
            for turns in range(4):
                views = (np.rot90(image, turns, (-2, -1))[..., flipped] for image in (near[i], wide[i]))
                out.append(literal(*views, looks > 0, weights))
    return np.reshape(out, (-1, 8))


def test_layers_are_those_that_were_trained() -> None:
    calibration, weights = Calibration(PX, 60.0), random_weights()
    weights["dense3_bias"] += 5
    scenes = random_scenes([3, 2, 4, 2, 0])
    expected = answers(scenes, weights)
    assert (expected > 3).all(), "test invalid: in doubt"
    np.testing.assert_allclose(scene_log_odds(scenes, calibration, weights), expected[:, 0], rtol=1e-4, atol=1e-4)
    assert abs(expected[0, 0] - expected[1, 0]) > 1e-3, "test invalid: nothing to tell apart"


def test_doubt_is_settled_by_looking_from_all_sides() -> None:
    calibration, weights = Calibration(PX, 60.0), random_weights()
    scenes = random_scenes([3, 2, 4, 2, 0])
    expected = answers(scenes, weights)
    assert (np.abs(expected[:, 0]) < 3).all(), "test invalid: no doubt"
    said = scene_log_odds(scenes, calibration, weights)
    np.testing.assert_allclose(said, expected.mean(axis=1), rtol=1e-4, atol=1e-4)
    assert np.ptp(expected, axis=1).min() > 1e-2, "test invalid: all sides say the same"
    # the side that a frame was recorded from plays no part
    turned = Scenes(np.rot90(scenes.near, 1, (3, 4)), scenes.n_looks, np.rot90(scenes.wide, 1, (2, 3)))
    np.testing.assert_allclose(scene_log_odds(turned, calibration, weights), said, rtol=1e-4, atol=1e-4)


def test_a_single_image_is_looked_at_once() -> None:
    calibration, weights = Calibration(PX, 60.0), random_weights()
    scenes = random_scenes([0, 1, 1, 1, 0])
    scenes.near[:, FIRST] = scenes.near[:, LAST] = scenes.near[:, MIDDLE]
    expected = answers(scenes, weights).mean(axis=1)
    np.testing.assert_allclose(scene_log_odds(scenes, calibration, weights), expected, rtol=1e-4, atol=1e-4)


def test_what_was_not_seen_says_nothing() -> None:
    calibration, weights = Calibration(PX, 60.0), load_scene_network()
    scenes = random_scenes([0, 2, 2, 2, 0])
    before = scene_log_odds(scenes, calibration, weights)
    scenes.near[:, [BEFORE, AFTER]] *= 7
    np.testing.assert_array_equal(scene_log_odds(scenes, calibration, weights), before)
    assert scene_log_odds(Scenes(scenes.near[:0], scenes.n_looks[:0], scenes.wide[:0]), calibration, weights).shape == (
        0,
    )


def test_a_bead_that_grew_on_a_fiber_is_likelier_than_the_fiber() -> None:
    rng = np.random.default_rng(2)

    def noisy(image: Image) -> Image:
        return (image + rng.normal(size=image.shape)).astype(np.float32)

    fiber = drawn(0, 0, line=15.0)
    grown = {t: noisy(fiber if t < 10 else drawn(min(0.5 + 0.1 * (t - 10), 1.5), 40.0, line=15.0)) for t in range(30)}
    bare = {t: noisy(fiber) for t in range(30)}
    calibration, weights = Calibration(PX, 60.0), load_scene_network()
    bead, line = (
        scene_log_odds(read(reader_at((11, 29)), frames), calibration, weights)[0] for frames in (grown, bare)
    )
    assert bead > line + 2
