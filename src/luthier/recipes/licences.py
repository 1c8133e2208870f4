"""What well-known licences of models and data ask for, and what several of them ask for together.

A summary for people who read a model card, not legal advice. A licence that is not known here is said to be unknown:
nothing is guessed from a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Commercial = Literal["yes", "with conditions", "unknown", "no"]
"""From the least to the most that it takes from whoever wants to sell."""

ORDER: tuple[Commercial, ...] = ("yes", "with conditions", "unknown", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one licence allows and asks."""

    licence: str
    """As it was stated."""
    commercial: Commercial
    share_alike: bool | None = False
    """Whether what is made from it must be passed on under the same terms; None: not known."""
    attribution: bool | None = True
    note: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the table knows this licence."""
        return self.share_alike is not None


PERMISSIVE = (
    "apache-2.0", "mit", "mit-0", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "bsl-1.0", "afl-3.0", "ecl-2.0",
    "ncsa", "postgresql", "odc-by", "cdla-permissive-1.0", "cdla-permissive-2.0",
)  # fmt: skip
GIVEN_AWAY = ("cc0-1.0", "cc0", "unlicense", "wtfpl", "pddl", "public-domain")
COPYLEFT = (
    "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "lgpl-lr", "mpl-2.0", "epl-1.0", "epl-2.0",
    "eupl-1.1", "eupl-1.2", "ms-pl", "osl-3.0", "odbl", "gfdl", "cdla-sharing-1.0",
)  # fmt: skip
USE_POLICY = "forbids a list of uses, and so must whatever is made from it"
COMMUNITY: dict[str, str] = {
    "llama2": "Llama 2 community licence: acceptable-use policy; a licence of its own above 700 million monthly users; "
    "its output may not improve other language models",
    "llama3": 'Llama 3 community licence: acceptable-use policy; 700 million monthly users; "Built with Meta Llama 3" '
    'is to be shown, and a name begins with "Llama 3"; its output may not improve other language models',
    **{
        name: f'Llama {number} community licence: acceptable-use policy; 700 million monthly users; "Built with Llama" '
        'is to be shown, and a name begins with "Llama"'
        for name, number in {"llama3.1": "3.1", "llama3.2": "3.2", "llama3.3": "3.3", "llama4": "4"}.items()
    },
    "gemma": f"Gemma terms of use: {USE_POLICY}",
    "tongyi-qianwen": "Tongyi Qianwen licence: a licence of its own above 100 million monthly users",
    "openrail": f"OpenRAIL: {USE_POLICY}",
    "openrail++": f"OpenRAIL++: {USE_POLICY}",
    "bigscience-openrail-m": f"OpenRAIL-M: {USE_POLICY}",
    "creativeml-openrail-m": f"OpenRAIL-M: {USE_POLICY}",
    "bigcode-openrail-m": f"OpenRAIL-M: {USE_POLICY}",
    "bigscience-bloom-rail-1.0": f"RAIL: {USE_POLICY}",
    "deepseek": f"DeepSeek model licence: {USE_POLICY}",
}
RESEARCH_ONLY: dict[str, str] = {
    "qwen-research": "Qwen research licence: not for commercial use",
    "mrl": "Mistral AI research licence: not for commercial use",
    "mnpl": "Mistral AI non-production licence: not for commercial use",
    "fair-noncommercial-research-license": "FAIR licence: for non-commercial research",
    "apple-amlr": "Apple machine learning research licence: for research",
    "intel-research": "Intel research licence: for research",
}
CREATIVE_COMMONS = re.compile(r"cc-by(?P<nc>-nc)?(?P<rest>-sa|-nd)?(-\d\.\d)?(-[a-z]{2,3})?")


def terms_of(licence: str | None) -> Terms:
    """What the licence of this name allows and asks; unknown for None and for names that are not in the table."""
    stated = (licence or "").strip()
    name = re.sub(r"[\s_]+", "-", stated.lower())
    if name in PERMISSIVE:
        return Terms(licence=stated, commercial="yes")
    if name in GIVEN_AWAY:
        return Terms(licence=stated, commercial="yes", attribution=False)
    if name in COPYLEFT:
        return Terms(licence=stated, commercial="yes", share_alike=True)
    if name in COMMUNITY:
        return Terms(licence=stated, commercial="with conditions", note=COMMUNITY[name])
    if name in RESEARCH_ONLY:
        return Terms(licence=stated, commercial="no", note=RESEARCH_ONLY[name])
    found = CREATIVE_COMMONS.fullmatch(name)
    if found is None:
        return Terms(licence=stated or "not stated", commercial="unknown", share_alike=None, attribution=None)
    note = "no derivatives: may not be passed on in changed form" if found["rest"] == "-nd" else ""
    return Terms(
        licence=stated, commercial="no" if found["nc"] else "yes", share_alike=found["rest"] == "-sa", note=note
    )


def combined(all_terms: Iterable[Terms]) -> tuple[Commercial, list[str]]:
    """Commercial use under all of them together, and a sentence for each restriction."""
    terms = list({t.licence: t for t in all_terms}.values())
    found = {t.commercial for t in terms} or {"unknown"}
    worst = next(use for use in reversed(ORDER) if use in found)
    said = []
    if forbidding := [t.licence for t in terms if t.commercial == "no"]:
        said.append(f"Not for commercial use, by {_listed(forbidding)}.")
    if limiting := [t.licence for t in terms if t.commercial == "with conditions"]:
        said.append(f"Commercial use on conditions, by {_listed(limiting)}.")
    if sharing := [t.licence for t in terms if t.share_alike]:
        more = " They may not be compatible with one another." if len(sharing) > 1 else ""
        said.append(f"What is made from it is to be passed on under the same terms, by {_listed(sharing)}.{more}")
    if fixed := [t.licence for t in terms if t.note.startswith("no derivatives")]:
        said.append(f"No changed form may be passed on, by {_listed(fixed)}.")
    if unknown := [t.licence for t in terms if not t.is_known]:
        said.append(f"Unknown, and so to be found out before use: {_listed(unknown)}.")
    return worst, said or ["No restriction beyond naming the sources."]


def _listed(names: list[str]) -> str:
    return ", ".join(sorted(names))
