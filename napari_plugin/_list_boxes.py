"""The two lists of the review panel: migrasomes with filters, and rejected candidates."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from migradetect.tables import FATES
from migradetect_napari._lists import ANY, FLAGS, Filter
from migradetect_napari._table import ListView

__all__ = ["CandidateBox", "MigrasomeBox"]

_STATUS = (ANY, "auto", "accepted", "edited", "added")


def _score_box(value: float) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0, 1)
    box.setSingleStep(0.05)
    box.setValue(value)
    box.setKeyboardTracking(False)
    return box


class MigrasomeBox(QWidget):
    """List of migrasomes, with filters above it."""

    filtered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.view = ListView()
        self.cell, self.fate, self.status, self.flag = QComboBox(), QComboBox(), QComboBox(), QComboBox()
        self.cell.addItem(ANY)
        self.fate.addItems([ANY, *FATES, "unknown"])
        self.status.addItems(list(_STATUS))
        self.flag.addItems([ANY, *FLAGS])
        self.min_score = _score_box(0.0)
        self.min_score.valueChanged.connect(self.filtered)
        row = QHBoxLayout()
        row.setSpacing(3)
        for name, box in (("cell", self.cell), ("fate", self.fate), ("status", self.status), ("flag", self.flag)):
            box.currentIndexChanged.connect(self.filtered)
            # letters are the keys of corrections, and a box with the focus would take them
            box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            row.addWidget(QLabel(name))
            box.setMinimumWidth(50)
            row.addWidget(box, 1)
        row.addWidget(QLabel("score from"))
        row.addWidget(self.min_score, 1)
        layout = QVBoxLayout()
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addLayout(row)
        layout.addWidget(self.view)
        self.setLayout(layout)

    def filter(self) -> Filter:
        """Which rows are listed."""
        cell, fate, status, flag = (
            str(box.currentText() or ANY) for box in (self.cell, self.fate, self.status, self.flag)
        )
        return Filter(cell, fate, status, flag, self.min_score.value())

    def set_cells(self, cells: list[int]) -> None:
        """Cells that can be chosen."""
        self.cell.blockSignals(True)
        self.cell.clear()
        self.cell.addItems([ANY, *map(str, cells), "unknown"])
        self.cell.blockSignals(False)


class CandidateBox(QWidget):
    """List of candidates that were not accepted."""

    toggled = Signal()

    def __init__(self, key: str) -> None:
        super().__init__()
        self.view = ListView("score", descending=True)
        self.min_score = _score_box(0.05)
        show = QPushButton(f"Show or hide on the image  [{key}]")
        show.clicked.connect(self.toggled)
        row = QHBoxLayout()
        row.addWidget(QLabel("score from"))
        row.addWidget(self.min_score)
        row.addStretch()
        row.addWidget(show)
        layout = QVBoxLayout()
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addLayout(row)
        layout.addWidget(self.view)
        self.setLayout(layout)
