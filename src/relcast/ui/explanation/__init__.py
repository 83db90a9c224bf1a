"""The page that says why one entity got its score."""

from relcast.ui.explanation.page import show_explanation

__all__ = ["show_explanation"]
