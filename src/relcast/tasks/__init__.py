"""Tasks: from a checked query to training and prediction tables, free of leaks.

make_training_table / training_table_from_rows      -> TrainingTable
make_prediction_table / prediction_table_from_rows  -> PredictionTable
sketch / outline                                    -> Outline: the table before it is made
evaluate_target, examples_at, population            the target and the population as of any moment

Labels are set-based SQL over the snapshot's files. This room knows no models.
"""

from relcast.tasks.anchors import Frame, TimeRange, make_anchors
from relcast.tasks.evaluate import evaluate_target, examples_at, population
from relcast.tasks.examples import Examples, Lists
from relcast.tasks.generate import make_training_table
from relcast.tasks.outline import Outline, outline, sketch
from relcast.tasks.own_rows import prediction_table_from_rows, training_table_from_rows
from relcast.tasks.plan import TablePlan
from relcast.tasks.report import TrainingTableReport, UnusableTable
from relcast.tasks.scoring import make_prediction_table
from relcast.tasks.splits import SPLITS, parse_split
from relcast.tasks.tables import PredictionTable, TrainingTable
from relcast.tasks.waiting import frame_of, label_wait

__all__ = [
    "SPLITS",
    "Examples",
    "Frame",
    "Lists",
    "Outline",
    "PredictionTable",
    "TablePlan",
    "TimeRange",
    "TrainingTable",
    "TrainingTableReport",
    "UnusableTable",
    "evaluate_target",
    "examples_at",
    "frame_of",
    "label_wait",
    "make_anchors",
    "make_prediction_table",
    "make_training_table",
    "outline",
    "parse_split",
    "population",
    "prediction_table_from_rows",
    "sketch",
    "training_table_from_rows",
]
