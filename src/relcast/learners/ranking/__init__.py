"""Rankings: which items an entity will link to next, or which classes it has.

Two stages: candidates (the entity's own items, popular items, items of entities with the same
items, near items), then boosted trees that order them by what was known of each pair. Items that
are no candidates follow by popularity, so that all are ranked.
"""

from relcast.learners.ranking.packed import baselines, question_of, unpack
from relcast.learners.ranking.training import train

__all__ = ["baselines", "question_of", "train", "unpack"]
