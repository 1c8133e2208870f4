"""Whether an answer begins as assistants refuse: one list of phrases, for curation, synthesis and monitoring alike."""

from __future__ import annotations

import re

# Of what an assistant refuses: "I won't be late" and "I can't help laughing" say something else.
_TO_HELP = (
    r"(?:assist|help(?! (?:myself|it|but|thinking|feeling))|fulfill?|comply|provide|support|answer|engage|offer"
    r"|generate|create|complete|participate|condone|give you|do (?:that|this|so)|access|browse|discuss|share)\b"
)
_NOT_ABLE = (
    r"(?:cannot|can['\u2019]?t|can not|won['\u2019]t|will not"
    r"|am unable to|am not able to|['\u2019]m unable to|['\u2019]m not able to)"
)
_REFUSALS = (
    # English
    r"(?:(?:i['\u2019]m|i am) (?:\w+ )?(?:sorry|afraid)|sorry|i apologi[sz]e|my apologies|unfortunately)?"
    rf"[,.;!]?\s*(?:but |that )?i ?{_NOT_ABLE} {_TO_HELP}",
    r"(?:[^.,!?\n]{0,40}[.,!]\s*)?as an? (?:ai|artificial intelligence|large language model|language model)\b",
    r"i(?:['\u2019]m| am) (?:just |only )?an? (?:ai|large language model|language model|artificial intelligence)\b",
    # German, Spanish, French, Italian, Portuguese
    r"(?:es )?tut mir leid,? (?:aber )?ich kann|als (?:ki|k\u00fcnstliche intelligenz)\b",
    r"(?:leider )?(?:ich kann|kann ich) (?:dir |ihnen |euch )?(?:dabei |damit |hierbei )?(?:leider )?nicht "
    r"(?:helfen|weiterhelfen|antworten)\b",
    r"lo siento,? (?:pero )?no puedo|como (?:un )?modelo de lenguaje|como (?:una )?ia\b",
    r"no (?:puedo|me es posible) (?:ayudar|responder)(?:te|le|les)?\b",
    r"(?:je suis )?d\u00e9sol\u00e9e?,? (?:mais )?je ne peux|en tant que mod\u00e8le de langage",
    r"je ne peux pas (?:vous |t['\u2019])?(?:aider|r\u00e9pondre)\b",
    r"mi dispiace,? (?:ma )?non posso|desculpe,? (?:mas )?(?:eu )?n\u00e3o posso",
    # Chinese: "sorry, I cannot"; "as an AI, artificial intelligence, language model"
    r"\u5f88?(?:\u62b1\u6b49|\u5bf9\u4e0d\u8d77)[\uff0c,]?\s*\u4f46?\u6211?"
    r"(?:\u4e0d\u80fd|\u65e0\u6cd5|\u6ca1\u6709\u529e\u6cd5)",
    r"\u4f5c\u4e3a(?:\u4e00[\u4e2a\u540d\u6b3e])?"
    r"(?:ai|\u4eba\u5de5\u667a\u80fd|(?:\u5927\u578b)?\u8bed\u8a00\u6a21\u578b)",
    # Japanese: "sorry ... cannot"; Russian: "sorry, I cannot"
    r"(?:\u7533\u3057\u8a33|\u3059\u307f\u307e\u305b\u3093)[^\n]{0,40}"
    r"(?:\u3067\u304d\u307e\u305b\u3093|\u3044\u305f\u3057\u304b\u306d\u307e\u3059)",
    r"(?:\u0438\u0437\u0432\u0438\u043d\u0438\u0442\u0435"
    r"|\u043a \u0441\u043e\u0436\u0430\u043b\u0435\u043d\u0438\u044e)"
    r",? (?:\u043d\u043e )?\u044f \u043d\u0435 \u043c\u043e\u0433\u0443",
)
_REFUSAL = re.compile("|".join(_REFUSALS), re.IGNORECASE)


def begins_with_refusal(text: str) -> bool:
    """Whether a text begins as assistants refuse, by a fixed list of phrases in ten languages.

    It misses polite evasions and other languages, and a text that begins by quoting such a phrase counts.

    >>> begins_with_refusal("I'm sorry, but I can't help with that."), begins_with_refusal("As an AI, I do not swim.")
    (True, True)
    >>> begins_with_refusal("I am sorry for your loss."), begins_with_refusal("I won't be late tonight.")
    (False, False)
    """
    return _REFUSAL.match(text.lstrip()) is not None
