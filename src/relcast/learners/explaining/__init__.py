"""Explanations of a fitted model: one entity at one anchor, and cohorts of a whole split.

Nothing here knows how a learner works: it asks the model for predictions and contributions.
"""

from relcast.learners.explaining.local import (
    Counterfactual,
    Explanation,
    NearRow,
    explain_entity,
)

__all__ = ["Counterfactual", "Explanation", "NearRow", "explain_entity"]
