"""The same texts with placeholders where personal data stood."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from luthier.errors import ConfigError, Problem
from luthier.privacy.finding import KINDS, PLACEHOLDER, find, without_overlaps
from luthier.privacy.found import Found
from luthier.privacy.phones import REGIONS, unknown_regions

Detect = Callable[[str], Iterable[Found]]
"""A detector of your own, by a model or not: a text in, findings with true offsets out; of any kind, as "name"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is replaced: the kinds, the regions of telephone numbers, and a further detector."""

    kinds: Sequence[str] = KINDS
    regions: Sequence[str] = REGIONS
    detect: Detect | None = None
    """Asked for every text, after the rules; what they found too is theirs."""

    def __post_init__(self) -> None:
        """Raise ConfigError for kinds that no detector here knows, and for regions that have no numbering plan."""
        problems = [
            Problem(where="kinds", found=repr(kind), expected=", ".join(KINDS), fix="name one of these")
            for kind in self.kinds
            if kind not in KINDS
        ]
        problems += [
            Problem(where="regions", found=repr(region), expected="a country of ISO 3166 in capitals, as 'GB' or 'DE'",
                    fix="name the country by its two letters; the United Kingdom is GB")
            for region in unknown_regions(self.regions)
        ]  # fmt: skip
        if problems:
            raise ConfigError("What personal data is looked for cannot be told", problems)

    def find(self, text: str) -> list[Found]:
        """What would be replaced in this text, in order and without overlaps."""
        found = find(text, kinds=self.kinds, regions=self.regions)
        if self.detect is None:
            return found
        return without_overlaps(text, [*found, *map(_checked, self.detect(text))])

    def redact(self, texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
        """The texts of one conversation with placeholders, and how many pieces of each kind were replaced.

        One value has one number in all texts, whatever its spelling: "[PHONE_1]" is always the same telephone. Numbers
        go on after those of placeholders that the texts hold already. Redacted texts come back as they are.

        >>> Redaction().redact(["I am ann@example.org.", "Hello Ann@example.org!"])
        (['I am [EMAIL_1].', 'Hello [EMAIL_1]!'], Counter({'email': 2}))
        """
        counts: Counter[str] = Counter()
        redacted = list(texts)
        numbers: dict[tuple[str, str], int] | None = None
        for place in range(len(redacted)):
            # A replacement changes what stands nearby, so a word may now be near enough to tell what a number is.
            while found := self.find(redacted[place]):
                if numbers is None:
                    numbers, last = {}, _last_numbers(texts)
                pieces, end = [], 0
                for one in found:
                    key = (one.kind, one.value or one.text)
                    if key not in numbers:
                        last[one.kind] += 1
                        numbers[key] = last[one.kind]
                    pieces += [redacted[place][end : one.start], f"[{one.kind.upper()}_{numbers[key]}]"]
                    end = one.end
                counts.update(one.kind for one in found)
                redacted[place] = "".join([*pieces, redacted[place][end:]])
        return redacted, counts


def _last_numbers(texts: Iterable[str]) -> Counter[str]:
    last: Counter[str] = Counter()
    for text in texts:
        for match in PLACEHOLDER.finditer(text):
            last[match[1].lower()] = max(last[match[1].lower()], int(match[2]))
    return last


def _checked(found: Found) -> Found:
    """A finding of a foreign detector, whose kind must make a placeholder that is recognised as one."""
    if not _KIND.fullmatch(found.kind) or found.start >= found.end:
        raise ConfigError(
            "A detector's finding cannot be used",
            [Problem(where="detect", found=f"{found!r}", expected="a kind of lower case letters and _, and start < end",
                     fix="mend the detector that was given to Redaction")],
        )  # fmt: skip
    return found


_KIND = re.compile("[a-z][a-z_]{0,30}")
