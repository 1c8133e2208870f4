"""When two texts count as the same text: the normal form."""

from luthier.similarity.normal import INVISIBLE, LINE_END, is_plain, is_shown, normal_form

__all__ = ["INVISIBLE", "LINE_END", "is_plain", "is_shown", "normal_form"]
