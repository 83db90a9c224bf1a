"""Models: baselines and boosted trees under one leaderboard, their metrics, and their bundle.

``fit`` makes a ``FittedModel``; it predicts, explains itself, and is saved to and loaded from a
directory that holds nothing that can run. Heavy libraries are imported when they are used.
"""

from relcast.learners.certificate import Certificate
from relcast.learners.evaluation import Evaluation, Measured, Split
from relcast.learners.fit import fit
from relcast.learners.importance import Importance
from relcast.learners.leaderboard import Entry
from relcast.learners.model import FittedModel
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Contributions, Reason
from relcast.learners.scores import Scores, to_output

__all__ = [
    "Certificate",
    "Contributions",
    "Entry",
    "Evaluation",
    "FittedModel",
    "Importance",
    "Measured",
    "ModelPlan",
    "Reason",
    "Scores",
    "Split",
    "fit",
    "to_output",
]
