"""When two texts count as the same text: the normal form and the hash made from it."""

from luthier.similarity.normal import INVISIBLE, LINE_END, exact_key, is_plain, is_shown, normal_form, prefix_keys

__all__ = ["INVISIBLE", "LINE_END", "exact_key", "is_plain", "is_shown", "normal_form", "prefix_keys"]
