"""The page of a model: how good it is, where it is good, and what was checked."""

from relcast.ui.evaluation.page import href, show_model

__all__ = ["href", "show_model"]
