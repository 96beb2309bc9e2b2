"""A table of a data frame in a panel: sorts, and tells which rows are selected."""

from __future__ import annotations

from typing import Any

import pandas as pd
from qtpy.QtCore import QAbstractTableModel, QItemSelection, QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from migradetect_napari._colours import LEGEND

__all__ = ["ListView"]


class _Model(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.table = pd.DataFrame({"id": pd.Series(dtype="int64")})
        self.order: tuple[str, bool] | None = None

    def set_table(self, table: pd.DataFrame) -> None:
        self.beginResetModel()
        self.table = self._sorted(table)
        self.endResetModel()

    def _sorted(self, table: pd.DataFrame) -> pd.DataFrame:
        if self.order is None or self.order[0] not in table.columns:
            return table.reset_index(drop=True)
        return table.sort_values(self.order[0], ascending=self.order[1], kind="stable", ignore_index=True)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.table)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.table.columns)

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        name = str(self.table.columns[index.column()])
        value = self.table.iat[index.row(), index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return _shown(value)
        if role == Qt.ItemDataRole.ToolTipRole and isinstance(value, str):
            return value
        if role == Qt.ItemDataRole.ForegroundRole and name == "status":
            return QColor(LEGEND["status"].get(str(value), "#F0F1F2"))
        if role == Qt.ItemDataRole.TextAlignmentRole and not isinstance(value, str):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return str(self.table.columns[section])
        return None

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        if 0 <= column < len(self.table.columns):
            self.order = (str(self.table.columns[column]), order == Qt.SortOrder.AscendingOrder)
            self.set_table(self.table)


def _shown(value: Any) -> str:
    """Text of a cell; what is missing is empty, never a zero."""
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    return "not reviewed" if value == "auto" else str(value).replace("_", " ")


def _extends(event: Any) -> bool:
    modifiers = event.modifiers()
    return bool(modifiers & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier))


class ListView(QTableView):
    """List with the ids in its first column.

    Parameters
    ----------
    by : str
        Column by which it is sorted until the user chooses another.
    descending : bool
        Largest first.
    """

    #: The id of the row that was clicked.
    picked = Signal(int)

    def __init__(self, by: str = "id", descending: bool = False) -> None:
        super().__init__()
        self._model = _Model()
        self._model.order = (by, not descending)
        self.setModel(self._model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        # set before sorting is switched on, which sorts by it; the table comes later
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        # the first rows tell how wide a column is; measuring thousands takes seconds
        self.horizontalHeader().setResizeContentsPrecision(20)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(20)
        self.selectionModel().currentRowChanged.connect(self._on_current)
        self._is_quiet = False
        self._is_fitted = False
        self._is_extending = False

    @property
    def table(self) -> pd.DataFrame:
        """What is listed, in the order shown."""
        return self._model.table

    def set_table(self, table: pd.DataFrame, selected: int | None = None) -> None:
        """List something else; the id that is selected stays so."""
        self._is_quiet = True
        is_new = list(table.columns) != list(self.table.columns)
        self._model.set_table(table)
        if is_new or not self._is_fitted:
            self.resizeColumnsToContents()
            self._is_fitted = bool(len(table))
        # rows sorted anew by the user lose the selection, which is by row
        self._is_quiet = False
        self.select(selected)

    def select(self, number: int | None) -> None:
        """Select the row of an id, without a signal."""
        rows = [] if number is None else self.table.index[self.table["id"] == number].tolist()
        self._is_quiet = True
        try:
            if not rows:
                self.clearSelection()
                return
            left, right = (self._model.index(rows[0], k) for k in (0, len(self.table.columns) - 1))
            flags = QItemSelectionModel.SelectionFlag
            self.selectionModel().select(QItemSelection(left, right), flags.ClearAndSelect)
            self.selectionModel().setCurrentIndex(left, flags.NoUpdate)
            self.scrollTo(left)
        finally:
            self._is_quiet = False

    def selected_ids(self) -> list[int]:
        """Ids of all rows that are selected."""
        return [int(self.table["id"].iloc[index.row()]) for index in self.selectionModel().selectedRows()]

    def keyPressEvent(self, event: Any) -> None:
        """Letters are the keys of corrections, also while the list has the focus; it has no search of its own."""
        if event.text().isprintable() and event.text().strip():
            event.ignore()
            return
        self._is_extending = _extends(event)
        super().keyPressEvent(event)
        self._is_extending = False

    def mousePressEvent(self, event: Any) -> None:
        """With Ctrl or Shift, more rows are selected: the first of them stays what is looked at."""
        self._is_extending = _extends(event)
        super().mousePressEvent(event)
        self._is_extending = False

    def _on_current(self, current: QModelIndex, before: QModelIndex) -> None:
        if not self._is_quiet and not self._is_extending and current.isValid():
            self.picked.emit(int(self.table["id"].iloc[current.row()]))
