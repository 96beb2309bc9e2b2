from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import skan
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.morphology import skeletonize

from migradetect.fibers._graph import find_branches
from migradetect.fibers._pixels import (
    connected,
    fill_holes,
    line_ends,
    list_pixels,
    neighbours,
    prune,
    thin,
)

Mask = NDArray[np.bool_]
SQUARE = np.ones((3, 3), np.uint8)
SHAPE = (47, 61)


def _masks() -> Iterator[Mask]:
    """Dust, blobs and networks of many densities, up to all four edges."""
    rng = np.random.default_rng(5)
    for share in (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        dust = rng.random(SHAPE) < share
        yield dust
        yield ndi.binary_dilation(dust, iterations=2)
    for sigma in (0.6, 1.0, 2.0, 3.5):
        blobs = ndi.gaussian_filter(rng.standard_normal(SHAPE), sigma)
        yield blobs > 0
        yield np.abs(blobs) < 0.3 * blobs.std()


MASKS = list(_masks())


def drawn(places: NDArray[np.int64]) -> Mask:
    image = np.zeros(SHAPE, bool)
    image.ravel()[places] = True
    return image


@pytest.mark.parametrize("mask", MASKS)
def test_thinned_as_scikit_image_thins(mask: Mask) -> None:
    np.testing.assert_array_equal(drawn(thin(np.flatnonzero(mask), SHAPE[1])), skeletonize(mask))


@pytest.mark.parametrize("mask", MASKS)
def test_parts_are_numbered_as_scipy_numbers_them(mask: Mask) -> None:
    places = np.flatnonzero(mask)
    labels, n = connected(places, SHAPE[1])
    expect, n_expect = ndi.label(mask, structure=SQUARE)
    assert n == n_expect
    np.testing.assert_array_equal(labels, expect.ravel()[places])


@pytest.mark.parametrize("mask", MASKS)
def test_parts_within_reach_are_those_of_the_dilated_mask(mask: Mask) -> None:
    # squares of 3 pixels touch when their middles are up to 3 apart
    places = np.flatnonzero(mask)
    labels, n = connected(places, SHAPE[1], 3)
    expect, n_expect = ndi.label(cv2.dilate(mask.astype(np.uint8), SQUARE), structure=SQUARE)
    assert n == n_expect
    pairs = np.unique(np.column_stack((labels, expect.ravel()[places])), axis=0)
    assert len(pairs) == n


@pytest.mark.parametrize("mask", MASKS)
def test_neighbours_and_ends_are_those_of_the_image(mask: Mask) -> None:
    places = np.flatnonzero(mask)
    around = neighbours(places, SHAPE[1])
    count = cv2.filter2D(mask.astype(np.uint8), cv2.CV_16S, SQUARE, borderType=cv2.BORDER_CONSTANT) - mask
    np.testing.assert_array_equal((around >= 0).sum(axis=1), count.ravel()[places])
    steps = np.array([dy * SHAPE[1] + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx])
    i, column = np.nonzero(around >= 0)
    np.testing.assert_array_equal(places[around[i, column]], places[i] + steps[column])
    np.testing.assert_array_equal(drawn(places[line_ends(around)]), mask & (count <= 1))


@pytest.mark.parametrize("length", [1, 3, 6])
@pytest.mark.parametrize("mask", MASKS)
def test_pruning_is_shrinking_and_growing_of_the_whole_image(mask: Mask, length: int) -> None:
    skeleton = skeletonize(mask)

    def ends(image: NDArray[np.uint8]) -> Mask:
        count = cv2.filter2D(image, cv2.CV_16S, SQUARE, borderType=cv2.BORDER_CONSTANT)
        return np.asarray((image > 0) & (count <= 2))

    line = skeleton.astype(np.uint8)
    for _ in range(length):
        line[ends(line)] = 0
    tips = ends(line)
    for _ in range(length):
        tips = (cv2.dilate(tips.astype(np.uint8), SQUARE) > 0) & skeleton & ((line == 0) | tips)
    expect = (line > 0) | tips
    np.testing.assert_array_equal(drawn(prune(np.flatnonzero(skeleton), SHAPE[1], length)), expect)


@pytest.mark.parametrize("area", [0.5, 1.0, 3.0, 25.3, 400.0])
@pytest.mark.parametrize("mask", MASKS)
def test_small_holes_are_filled_and_others_are_not(mask: Mask, area: float) -> None:
    labels, n = ndi.label(~mask)
    small = np.bincount(labels.ravel(), minlength=n + 1) < area
    small[0] = False
    image = mask.astype(np.uint8)
    fill_holes(image, np.flatnonzero(mask), area)
    # without a line there is nothing that could have a hole
    np.testing.assert_array_equal(image, (mask | small[labels]) if mask.any() else mask)


@pytest.mark.parametrize("mask", MASKS)
def test_branches_are_those_of_skan(mask: Mask) -> None:
    skeleton = skeletonize(mask)
    places = np.flatnonzero(skeleton)
    branches = find_branches(places, SHAPE[1])
    if not (neighbours(places, SHAPE[1]) >= 0).any():
        assert branches.length_px.size == 0
        return
    reference = skan.Skeleton(skeleton)
    assert branches.length_px.size == reference.n_paths
    np.testing.assert_allclose(np.sort(branches.length_px), np.sort(reference.path_lengths()))


def test_ring_is_one_branch_that_ends_where_it_begins() -> None:
    image = np.zeros(SHAPE, np.int32)
    cv2.circle(image, (30, 20), 9, 1, 1)
    places = list_pixels(image)
    branches = find_branches(thin(places, SHAPE[1]), SHAPE[1])
    assert branches.length_px.size == 1
    assert branches.course[0] == branches.course[-1]
    assert 2 * np.pi * 9 < branches.length_px[0] < 1.1 * 2 * np.pi * 9


def test_pixels_are_listed_in_order() -> None:
    labels = np.random.default_rng(2).integers(-1, 2, SHAPE).astype(np.int32)
    np.testing.assert_array_equal(list_pixels(labels), np.flatnonzero(labels))


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 1.0])
def test_pixels_of_any_density_and_type_are_listed(share: float, dtype: type) -> None:
    # more pixels than the list has room for at first, and a number that is no multiple of a run
    labels = (np.random.default_rng(5).random((61, 83)) < share).astype(dtype) * 7
    np.testing.assert_array_equal(list_pixels(labels), np.flatnonzero(labels))
