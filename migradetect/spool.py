"""Bytes kept in an anonymous temporary file, so that memory does not grow with the frames."""

from __future__ import annotations

import tempfile

from migradetect.errors import OutputError

__all__ = ["Spool"]


class Spool:
    """Pieces of data in a temporary file that nobody else sees and that is gone when this is.

    Parameters
    ----------
    what : str
        What it holds, for its name and for errors.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        prefix = f"migradetect-{what.replace(' ', '-')}-"
        self._file = tempfile.TemporaryFile(prefix=prefix)  # noqa: SIM115 (lives as long as the spool)

    def write(self, data: bytes | bytearray) -> int:
        """Add a piece at the end.

        Parameters
        ----------
        data : bytes-like

        Returns
        -------
        int
            Where it begins.

        Raises
        ------
        OutputError
            If the disk is full.
        """
        try:
            start = self._file.seek(0, 2)
            self._file.write(data)
            # buffered bytes would fail later, where nobody knows what they were
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: expected room for {self._what}, got {error.strerror or error}; "
                "make room there, or name another folder in the variable TMPDIR"
            ) from error
        return start

    def read(self, start: int, size: int) -> bytes:
        """A piece of `size` bytes."""
        self._file.seek(start)
        return self._file.read(size)

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def __del__(self) -> None:
        self._file.close()
