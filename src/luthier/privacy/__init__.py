"""Personal data in text: where it stands, and the same text with placeholders in its place.

    find(text)                     -> [Found(kind="email", start=11, end=27, text="ann@example.org"), ...]
    Redaction().redact(texts)      -> (["Write to [EMAIL_1]."], Counter(email=1))

Everything is done by rules: patterns, checksums, numbering plans, words nearby. A detector of names and addresses can
be added to a `Redaction` as a function.
"""

from luthier.privacy.finding import KINDS, find
from luthier.privacy.found import Found
from luthier.privacy.phones import REGIONS
from luthier.privacy.redaction import Detect, Redaction

__all__ = ["KINDS", "REGIONS", "Detect", "Found", "Redaction", "find"]
