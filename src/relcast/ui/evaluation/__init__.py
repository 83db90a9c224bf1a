"""The page of a model: how good it is, where it is good, and what was checked."""

from relcast.ui.evaluation.links import href, model_of, why_of
from relcast.ui.evaluation.page import show_model

__all__ = ["href", "model_of", "show_model", "why_of"]
