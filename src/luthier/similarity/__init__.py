"""When two texts count as the same text: the normal form and the hash made from it."""

from luthier.similarity.normal import INVISIBLE, exact_key, normal_form

__all__ = ["INVISIBLE", "exact_key", "normal_form"]
