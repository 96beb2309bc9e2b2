"""Pictures one after the other, as a film: MP4, animated GIF or TIFF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from migradetect.errors import OutputError
from migradetect.io.atomic import atomic_write_bytes
from migradetect.io.movie_writing import part_file

__all__ = ["FILM_SUFFIXES", "write_film", "write_picture"]

#: What a film may be called.
FILM_SUFFIXES = (".mp4", ".gif", ".tif", ".tiff")


def write_film(
    path: str | Path,
    pictures: Iterable[NDArray[np.uint8]],
    n_pictures: int,
    shape_yx: tuple[int, int],
    frames_per_s: float = 10.0,
) -> Path:
    """Write pictures as a film; the file is complete or not there.

    Parameters
    ----------
    path : str or Path
        Its suffix decides: ``.mp4`` (H.264, plays everywhere; needs imageio-ffmpeg), ``.gif``, ``.tif``.
    pictures : iterable of ndarray of uint8, each of shape (H, W, 3)
        Taken one at a time, so that memory does not grow.
    n_pictures : int
        How many there are.
    shape_yx : tuple of int
        H and W; even numbers for MP4.
    frames_per_s : float
        Speed.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If the suffix is unknown, the writer of MP4 is not installed, or the place can't be written.
    """
    path = Path(path)
    suffix = path.suffix.casefold()
    if suffix not in FILM_SUFFIXES:
        raise OutputError(f"{path}: expected a name that ends in {', '.join(FILM_SUFFIXES)}, got '{path.suffix}'")
    checked = _checked(pictures, shape_yx)
    with part_file(path) as part:
        if suffix == ".mp4":
            _write_mp4(part, checked, shape_yx, frames_per_s)
        elif suffix == ".gif":
            _write_gif(part, checked, frames_per_s)
        else:
            tifffile.imwrite(
                part,
                checked,
                shape=(n_pictures, *shape_yx, 3),
                dtype=np.uint8,
                photometric="rgb",
                compression="zlib",
                ome=True,
                metadata={"axes": "TYXS"},
            )
    return path


def _checked(pictures: Iterable[NDArray[np.uint8]], shape_yx: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    for picture in pictures:
        if picture.shape != (*shape_yx, 3) or picture.dtype != np.uint8:
            raise ValueError(f"expected pictures of {(*shape_yx, 3)} uint8, got {picture.shape} {picture.dtype}")
        yield np.ascontiguousarray(picture)


def _write_mp4(part: Path, pictures: Iterator[NDArray[np.uint8]], shape_yx: tuple[int, int], rate: float) -> None:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise OutputError(
            "MP4: expected the package imageio-ffmpeg, got none; install it, or choose a name that ends in .gif or .tif"
        ) from error
    height, width = shape_yx
    # a still viewer needs no more; the format is told, because the hidden name does not
    writer = imageio_ffmpeg.write_frames(
        str(part),
        (width, height),
        fps=rate,
        codec="libx264",
        quality=8,
        macro_block_size=2,
        ffmpeg_log_level="error",
        output_params=["-f", "mp4", "-movflags", "+faststart"],
    )
    try:
        writer.send(None)
        for picture in pictures:
            writer.send(picture)
    finally:
        writer.close()


def _write_gif(part: Path, pictures: Iterator[NDArray[np.uint8]], rate: float) -> None:
    from PIL import Image

    def images() -> Iterator[Any]:
        for picture in pictures:
            yield Image.fromarray(picture).quantize(128)

    frames = images()
    first = next(frames, None)
    if first is None:
        raise OutputError("film: expected at least one picture, got none")
    duration_ms = max(20, round(1000 / rate))
    with part.open("wb") as file:
        first.save(file, format="GIF", save_all=True, append_images=frames, duration=duration_ms, loop=0)


def write_picture(path: str | Path, picture: NDArray[np.uint8]) -> Path:
    """Write a picture of shape (H, W, 3) as PNG; the file is complete or not there."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="PNG")
    atomic_write_bytes(path, buffer.getvalue())
    return Path(path)
