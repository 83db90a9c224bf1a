"""Automatically generated point-in-time relational features, named so that a person can read them.

A ``FeatureSet`` is made from schema, query and rows known before the training side's last anchor;
the same code computes it for training and for serving, bit-equal whatever the batch. What is known
at an anchor is decided in ``relcast.relations``.
"""

from relcast.learners.features.feature_set import FeatureMatrix, FeatureSet
from relcast.learners.features.spec import Feature, Recipe

__all__ = ["Feature", "FeatureMatrix", "FeatureSet", "Recipe"]
