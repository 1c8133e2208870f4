"""The language that a row states, in whatever way it says it, as the code that the rest of Luthier uses."""

from __future__ import annotations

import re
from functools import lru_cache

# ISO 639-1, ISO 639-2 (both forms where they differ), English name, own name. Two letters alone are taken as they are.
_LANGUAGES = """
af afr afrikaans; am amh amharic; ar ara arabic العربية; as asm assamese; az aze azerbaijani; ba bak bashkir;
be bel belarusian; bg bul bulgarian български; bn ben bengali bangla; bo bod tib tibetan; br bre breton; bs bos bosnian;
ca cat catalan català valencian; cs ces cze czech čeština; cv chv chuvash; cy cym wel welsh cymraeg;
da dan danish dansk; de deu ger german deutsch; el ell gre greek ελληνικά; en eng english; eo epo esperanto;
es spa spanish español castellano castilian; et est estonian eesti; eu eus baq basque euskara;
fa fas per persian farsi فارسی; fi fin finnish suomi; fo fao faroese; fr fra fre french français; fy fry frisian;
ga gle irish gaeilge; gd gla gaelic; gl glg galician galego; gu guj gujarati; ha hau hausa; he heb iw hebrew עברית;
hi hin hindi हिन्दी; hr hrv croatian hrvatski; ht hat haitian; hu hun hungarian magyar; hy hye arm armenian;
ia ina interlingua; id ind in indonesian; ig ibo igbo; is isl ice icelandic íslenska; it ita italian italiano;
ja jpn japanese 日本語; jv jav javanese; ka kat geo georgian; kk kaz kazakh; km khm khmer; kn kan kannada;
ko kor korean 한국어; ku kur kurdish; ky kir kyrgyz kirghiz; la lat latin; lb ltz luxembourgish; lo lao;
lt lit lithuanian lietuvių; lv lav latvian latviešu; mg mlg malagasy; mi mri mao maori; mk mkd mac macedonian;
ml mal malayalam; mn mon mongolian; mr mar marathi; ms msa may malay; mt mlt maltese; my mya bur burmese;
ne nep nepali; nl nld dut dutch nederlands flemish; no nor nb nob nn nno norwegian norsk bokmål nynorsk;
ny nya chichewa; oc oci occitan; om orm oromo; or ori odia oriya; pa pan punjabi panjabi; pl pol polish polski;
ps pus pashto; pt por portuguese português; qu que quechua; ro ron rum romanian română moldavian;
ru rus russian русский; rw kin kinyarwanda; sa san sanskrit; sd snd sindhi; se sme; si sin sinhala sinhalese;
sk slk slo slovak slovenčina; sl slv slovenian slovene slovenščina; sn sna shona; so som somali;
sq sqi alb albanian shqip; sr srp serbian српски; st sot sesotho; su sun sundanese; sv swe swedish svenska;
sw swa swahili kiswahili; ta tam tamil; te tel telugu; tg tgk tajik; th tha thai ไทย; ti tir tigrinya; tk tuk turkmen;
tl tgl tagalog filipino fil; tn tsn tswana; tr tur turkish türkçe; tt tat tatar; ug uig uyghur;
uk ukr ukrainian українська; ur urd urdu اردو; uz uzb uzbek; vi vie vietnamese; wo wol wolof; xh xho xhosa;
yi yid ji yiddish; yo yor yoruba; zh zho chi chinese mandarin cmn wuu yue cantonese 中文; zu zul zulu; arz ary ar;
ast asturian; ceb cebuano; haw hawaiian; hmn hmong; ilo ilocano; lij ligurian; nds; scn sicilian; war waray
"""
_NO_LANGUAGE = frozenset({"na", "un", "xx", "zz"})
"""Two letters that say that no language is known."""
_WORDS = re.compile(r"[^\W\d_]+")
_TAG = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]+)*")


def _table() -> dict[str, str]:
    found: dict[str, str] = {}
    for names in _LANGUAGES.split(";"):
        first, *others = names.split()
        for name in (first, *others):
            found.setdefault(name, first)
    return found | {"arz": "ar", "ary": "ar"}


_CODES = _table()


@lru_cache(maxsize=4096)
def code_of(stated: str) -> str | None:
    """The code of a language that is given by code, by a tag with region or script, or by name; None for other text.

    >>> [code_of(text) for text in ("EN", "English", "eng", "en-US", "en_XX", "English (UK)", "unknown")]
    ['en', 'en', 'en', 'en', 'en', 'en', None]
    """
    text = stated.strip().casefold()
    tag = _TAG.fullmatch(text)
    if tag is not None:
        code = tag[1]
        return _CODES.get(code, code if len(code) == 2 and code not in _NO_LANGUAGE else None)
    # Several names are no statement, and "no" or "is" in a sentence is no code.
    found = {_CODES[word] for word in _WORDS.findall(text) if word in _CODES and (len(word) > 3 or word == text)}
    return found.pop() if len(found) == 1 else None
