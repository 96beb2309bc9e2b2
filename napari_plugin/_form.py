"""A panel made of the parameter model: an editor for each value, its help text as tooltip."""

from __future__ import annotations

from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from migradetect.params import Params, expected, load_params, parameters, sections

__all__ = ["ParameterForm"]

#: What is tuned most often comes first; the others follow in the order of the model.
_FIRST = ("judge", "spots", "fibers", "cells")
_TITLES = {
    "judge": "Which candidates are migrasomes",
    "spots": "Candidates",
    "fibers": "Retraction fibers",
    "cells": "Cells",
    "input": "Input: what the file does not say",
    "optics": "Optics",
    "preprocess": "Background and averaging",
    "registration": "Stage drift",
    "linking": "Linking over time",
    "photometry": "Photometry",
    "assign": "Parent cell and fiber",
    "growth": "Growth curve",
}
_OPEN = "(as the file says)"
_CHANGED = "font-weight: bold; color: #F0E442;"


class ParameterForm(QWidget):
    """Editors of all parameters."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._editors: dict[str, _Editor] = {}
        self._usual = load_params(environ={})
        layout = QVBoxLayout()
        layout.setContentsMargins(2, 2, 2, 2)
        names = [name for name, _ in sections()]
        for section in [*_FIRST, *(name for name in names if name not in _FIRST)]:
            layout.addWidget(self._section(section))
        layout.addStretch()
        inner = QWidget()
        inner.setLayout(layout)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        outer = QVBoxLayout()
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setLayout(outer)
        self.set_params(self._usual)

    def _section(self, section: str) -> QWidget:
        rows = QFormLayout()
        rows.setContentsMargins(4, 0, 0, 4)
        for key, field in parameters().items():
            if key.partition(".")[0] != section:
                continue
            editor = _Editor(key, field)
            editor.changed.connect(self._on_change)
            self._editors[key] = editor
            rows.addRow(editor.label, editor.widget)
        box = QWidget()
        box.setLayout(rows)
        part = QCollapsible(_TITLES.get(section, section))
        part.setDuration(0)
        part.addWidget(box)
        if section in _FIRST[:3]:
            part.expand(animate=False)
        return part

    def _on_change(self) -> None:
        self._mark()
        self.changed.emit()

    def _mark(self) -> None:
        for key, editor in self._editors.items():
            editor.mark(editor.value() != _value(self._usual, key))

    def params(self) -> Params:
        """Parameters as they stand.

        Raises
        ------
        ParamsError
            One line that names the value that does not fit.
        """
        given = {key: editor.value() for key, editor in self._editors.items()}
        return load_params(environ={}, overrides={key: value for key, value in given.items() if value is not None})

    def set_params(self, params: Params, usual: Params | None = None) -> None:
        """Show other parameters; `usual` are those that the marks compare with."""
        self._usual = usual or self._usual
        for key, editor in self._editors.items():
            editor.set_value(_value(params, key))
        self._mark()
        self.changed.emit()

    def editor(self, key: str) -> QWidget:
        """Widget that edits a parameter."""
        return self._editors[key].widget


def _value(params: Params, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(params, section), name)


class _Editor(QObject):
    """One value."""

    changed = Signal()

    def __init__(self, key: str, field: Any) -> None:
        super().__init__()
        name = key.partition(".")[2]
        self.label = QLabel(_label(name))
        kinds = [part for part in _alternatives(field.annotation) if part is not type(None)]
        self.is_open = type(None) in _alternatives(field.annotation)
        self.kind = kinds[0]
        self.widget = self._make(field)
        tip = f"<p>{field.description}</p><p>Takes {expected(field)}.<br><i>{key}</i></p>"
        for part in (self.label, self.widget):
            part.setToolTip(tip)

    def _make(self, field: Any) -> QWidget:
        if get_origin(self.kind) is Literal:
            box = QComboBox()
            box.addItems([_OPEN] * self.is_open + [str(value) for value in get_args(self.kind)])
            box.currentIndexChanged.connect(self.changed)
            return box
        if self.kind is bool:
            check = QCheckBox()
            check.toggled.connect(self.changed)
            return check
        if self.kind in (int, float) and not self.is_open:
            return self._spin(field)
        line = QLineEdit()
        line.setPlaceholderText(_OPEN)
        line.editingFinished.connect(self.changed)
        return line

    def _spin(self, field: Any) -> QWidget:
        low, high = _bounds(field)
        if self.kind is int:
            spin: Any = QSpinBox()
            spin.setRange(int(low), int(min(high, 10**6)))
        else:
            spin = QDoubleSpinBox()
            default = abs(float(field.default)) or 1.0
            spin.setDecimals(3 if default < 1 else 2)
            spin.setSingleStep(0.01 if default < 0.2 else 0.05 if default < 2 else 0.5 if default < 20 else 5.0)
            # a bound that is excluded is the next number that can be shown
            spin.setRange(low, min(high, 1e6))
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(self.changed)
        return spin

    def value(self) -> Any:
        """Value as it stands; None where it is left open."""
        widget = self.widget
        if isinstance(widget, QComboBox):
            return None if widget.currentText() == _OPEN else widget.currentText()
        if isinstance(widget, QCheckBox):
            return widget.isChecked()
        if isinstance(widget, QSpinBox):
            return widget.value()
        if isinstance(widget, QDoubleSpinBox):
            # what was set and not edited keeps all its digits
            kept = getattr(self, "_kept", None)
            return kept if kept is not None and round(kept, widget.decimals()) == widget.value() else widget.value()
        text = widget.text().strip()
        if not text:
            return None
        if self.kind is float:
            try:
                return float(text)
            except ValueError:
                return text
        return tuple(part.strip() for part in text.split(",")) if get_origin(self.kind) is tuple else text

    def set_value(self, value: Any) -> None:
        """Show a value."""
        widget = self.widget
        blocked = widget.blockSignals(True)
        if isinstance(widget, QComboBox):
            widget.setCurrentText(_OPEN if value is None else str(value))
        elif isinstance(widget, QCheckBox):
            widget.setChecked(bool(value))
        elif isinstance(widget, (QSpinBox, QDoubleSpinBox)):
            self._kept = float(value)
            widget.setValue(value)
        elif isinstance(value, (tuple, list)):
            widget.setText(",".join(map(str, value)))
        else:
            widget.setText("" if value is None else str(value))
        widget.blockSignals(blocked)

    def mark(self, is_changed: bool) -> None:
        """Show whether it differs from the preset."""
        self.label.setStyleSheet(_CHANGED if is_changed else "")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    return get_args(annotation) if origin is Union or str(origin) == "<class 'types.UnionType'>" else (annotation,)


def _bounds(field: Any) -> tuple[float, float]:
    low, high = -1e6, 1e6
    for rule in field.metadata:
        if isinstance(rule, annotated_types.Gt):
            low = float(str(rule.gt)) + 0.001
        elif isinstance(rule, annotated_types.Ge):
            low = float(str(rule.ge))
        elif isinstance(rule, annotated_types.Lt):
            high = float(str(rule.lt)) - 0.001
        elif isinstance(rule, annotated_types.Le):
            high = float(str(rule.le))
    return low, high


def _label(name: str) -> str:
    """``min_area_um2`` as "min area (um2)"."""
    for unit in ("um2", "um", "min", "px", "s"):
        if name.endswith(f"_{unit}"):
            return f"{name.removesuffix(f'_{unit}').replace('_', ' ')} ({unit})"
    return name.replace("_", " ")
