"""Score results against truth, simulated or counted by hand.

Arrays and tables in, tables out; nothing is read or written. See :func:`evaluate` for the rules of matching, and the
``scores_*`` function of each module for the definition of its metrics. :func:`agreement` compares two counters.
"""

from migradetect.evaluate.agreement import agreement
from migradetect.evaluate.report import POOLED, evaluate, evaluate_many, scores_as_dict

__all__ = ["POOLED", "agreement", "evaluate", "evaluate_many", "scores_as_dict"]
