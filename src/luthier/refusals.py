"""Whether an answer begins as assistants refuse: one list of phrases, for curation, synthesis and monitoring alike."""

from __future__ import annotations

import re
from itertools import islice

STARTS_WITHIN = 200
"""Sentences that start within so many characters are looked at."""
MOST_SENTENCES = 8
_READ = STARTS_WITHIN + 160
"""Characters in which the phrase of the last of them has to stand."""

# Patterns are in lower case, and so are the texts they are matched with: several times faster than to disregard it.
# Of what an assistant refuses: "I won't be late" and "I can't help laughing" say something else.
_TO_HELP = (
    r"(?:assist|help(?! (?:myself|it|but|thinking|feeling|laughing|smiling|wondering|noticing))"
    r"|fulfill?|comply|provide|support|answer|engage|offer"
    r"|generate|create|complete|participate|condone|give you|do (?:that|this|so)|access|browse|discuss|share)\b"
)
_CANNOT = (
    r"(?:cannot|can['\u2019]?t|can not|(?:am|['\u2019]m) (?:currently )?(?:unable to|not able to)"
    r"|(?:won['\u2019]t|will not) be able to)"
)
_WILL_NOT = rf"(?:{_CANNOT}|won['\u2019]t|will not|must decline to|have to decline to)"
_SORRY = r"(?:(?:i['\u2019]m|i am) (?:\w+ )?(?:sorry|afraid)|sorry|i apologi[sz]e|my (?:sincere )?apologies)"
# "As an AI engineer, you design models" speaks of a profession, "As an AI, I" and "as an AI model trained by" do not.
_ENDS = (
    r"(?=\s*(?:[,.;:!]|$)|\s+(?:i|my|so|without|with|that|who|designed|trained|created|developed)\b"
    r"|\s+and (?:i|am|can|cannot|do|don['\u2019]t|can['\u2019]t|have|not)\b)"
)
_AN_AI = (
    r"an? (?:(?:(?:ai|artificial intelligence) ?)?(?:(?:large )?language model|chat ?bot)"
    r"|(?:ai|artificial intelligence)(?:[- ](?:powered |based )?(?:model|assistant|system|program))?)"
    + _ENDS
)
_REFUSALS = (
    # English
    rf"{_SORRY}(?: (?:for|about) [^.!?\n]{{1,40}}?)?[,.;!]?\s*(?:but |that |however,? )?(?:unfortunately,? )?"
    rf"i ?{_CANNOT}\b",
    rf"(?:{_SORRY}|unfortunately)?[,.;!]?\s*(?:but |that )?i ?{_WILL_NOT} {_TO_HELP}",
    rf"(?:(?:{_SORRY}|well|hello|hi|hey|thank you|thanks|unfortunately|however|oh|no)[,.;]?\s*)?(?:but )?as {_AN_AI}",
    rf"i(?:['\u2019]m| am) (?:just |only |merely )?{_AN_AI}",
    # German
    r"(?:(?:es )?tut mir (?:sehr )?leid|entschuldigung|verzeihung)[,.]? (?:aber )?"
    r"(?:ich (?:kann|darf)|(?:das|dabei|damit|hierbei|leider) kann ich) (?:\w+ ){0,6}?(?:nicht|keine?n?)\b",
    r"(?:ich kann|(?:dabei|damit|hierbei|leider) kann ich) (?:dir |ihnen |euch )?"
    r"(?:dabei |damit |hierbei )?(?:leider )?nicht (?:helfen|weiterhelfen|antworten|dienen)\b",
    r"als (?:eine? )?(?:(?:ki|k\u00fcnstliche intelligenz)"
    r"(?:,| (?:kann|habe|bin|darf|verf\u00fcge|besitze|ist es mir)\b)"
    r"|(?:ki[- ]?|gro\u00dfes )?(?:sprachmodell|modell|assistent(?:in)?|system) "
    r"(?=kann|habe|bin|darf|verf\u00fcge|besitze))",
    # Spanish
    r"(?:lo siento|lo lamento|disculpa|disculpe|perd\u00f3n)(?: mucho)?[,.;]? (?:pero )?no (?:puedo|me es posible)\b",
    r"no (?:puedo|me es posible) (?:ayudar|asistir|responder|proporcionar)(?:te|le|les|os)?\b",
    r"como (?:un )?modelo de lenguaje",
    r"como (?:una? )?(?:ia|inteligencia artificial|asistente(?: virtual| de ia)?),? (?:no|yo|me|mi|carezco|solo)\b",
    # French
    r"(?:je suis )?(?:vraiment )?d\u00e9sol\u00e9e?[,.;]? (?:mais )?je ne (?:peux|suis pas en mesure)",
    r"(?:malheureusement, )?je ne (?:peux pas|suis pas en mesure de) (?:vous |t['\u2019]|te )?"
    r"(?:aider|r\u00e9pondre|fournir)\b",
    r"en tant (?:que (?:grand )?mod\u00e8le de langage"
    r"|qu['\u2019](?:ia|intelligence artificielle|assistant(?: virtuel)?),? je\b)",
    # Italian
    r"(?:mi dispiace|sono spiacente|spiacente|mi scuso)[,.;]? (?:ma )?non (?:posso|sono in grado)",
    r"non (?:posso|sono in grado di) (?:aiutar|assister|risponder|fornir)(?:e|ti|la|le|vi)\b",
    r"(?:come|in quanto) (?:un )?(?:modello (?:di linguaggio|linguistico)|"
    r"(?:ia|intelligenza artificiale),? (?:non|io)\b)",
    # Portuguese
    r"(?:me )?(?:desculpe?|sinto muito|lamento)[,.;]? (?:mas )?(?:eu )?n\u00e3o (?:posso|consigo)",
    r"(?:eu )?n\u00e3o posso (?:ajudar|responder|fornecer)(?:-l[oa]s?|-te|-lhe)?\b",
    r"como (?:um )?modelo de linguagem|como (?:uma )?(?:ia|intelig\u00eancia artificial),? (?:eu|n\u00e3o)\b",
    # Dutch
    r"(?:het spijt me|sorry|helaas)[,.]? (?:maar )?(?:ik kan|kan ik|dat kan ik|daar kan ik) "
    r"(?:\w+ ){0,4}?(?:niet|geen)\b",
    r"ik kan (?:je |u )?(?:daar |hier )?(?:helaas )?niet (?:mee |bij )?(?:helpen|antwoorden)\b",
    r"als (?:een )?(?:ai(?:,| (?=kan|heb|ben))|(?:ai-)?taalmodel|ai-(?:model|assistent))\b",
    # Chinese: "sorry, I cannot"; "I cannot provide, help, answer"; "as an AI, I", "as a language model, assistant"
    r"(?:\u5f88|\u975e\u5e38)?(?:\u62b1\u6b49|\u5bf9\u4e0d\u8d77)[\uff0c,\u3002]?\s*"
    r"(?:\u4f46|\u4f46\u662f)?\u6211?(?:\u4e0d\u80fd|\u65e0\u6cd5|\u6ca1\u6709\u529e\u6cd5)",
    r"\u6211(?:\u4e0d\u80fd|\u65e0\u6cd5)(?:\u4e3a[\u4f60\u60a8])?(?:\u63d0\u4f9b|\u534f\u52a9|\u56de\u7b54"
    r"|\u5e2e\u52a9|\u6ee1\u8db3)",
    r"\u4f5c\u4e3a(?:\u4e00[\u4e2a\u540d\u6b3e])?(?:ai|\u4eba\u5de5\u667a\u80fd"
    r"|\u5927?\u578b?\u8bed\u8a00\u6a21\u578b)(?:\uff0c|,|\u6211|(?:\u5927\u578b?)?\u8bed\u8a00\u6a21\u578b"
    r"|\u6a21\u578b|\u52a9\u624b)",
    r"\u4f5c\u4e3a(?:\u4e00[\u4e2a\u540d\u6b3e])?(?:\u5927\u578b)?\u8bed\u8a00\u6a21\u578b",
    # Japanese: "sorry ... cannot"; "as an AI, I"
    r"(?:\u7533\u3057\u8a33|\u3059\u307f\u307e\u305b\u3093|\u3054\u3081\u3093\u306a\u3055\u3044)[^\n]{0,40}"
    r"(?:\u3067\u304d\u307e\u305b\u3093"
    r"|\u3044\u305f\u3057\u304b\u306d\u307e\u3059|\u3067\u304d\u304b\u306d\u307e\u3059)",
    r"(?:\u79c1\u306f)?ai\u3068?(?:\u3068\u3057\u3066|\u306a\u306e\u3067|\u3067\u3042\u308b\u305f\u3081"
    r"|\u3067\u3059\u306e\u3067)[\u3001,]?[^\n]{0,40}(?:\u3067\u304d\u307e\u305b\u3093|\u307e\u305b\u3093)",
    # Russian: "sorry, I cannot"; "I cannot help, answer, provide, discuss"; "as a language model"
    r"(?:\u0438\u0437\u0432\u0438\u043d\u0438\u0442\u0435|\u043f\u0440\u043e\u0441\u0442\u0438\u0442\u0435"
    r"|\u043a \u0441\u043e\u0436\u0430\u043b\u0435\u043d\u0438\u044e"
    r"|\u043f\u0440\u043e\u0448\u0443 \u043f\u0440\u043e\u0449\u0435\u043d\u0438\u044f)[,.]? "
    r"(?:\u043d\u043e )?\u044f \u043d\u0435 \u043c\u043e\u0433\u0443",
    r"\u044f \u043d\u0435 \u043c\u043e\u0433\u0443 (?:\u0432\u0430\u043c |\u0442\u0435\u0431\u0435 )?"
    r"(?:\u043f\u043e\u043c\u043e\u0447\u044c|\u043e\u0442\u0432\u0435\u0442\u0438\u0442\u044c"
    r"|\u043f\u0440\u0435\u0434\u043e\u0441\u0442\u0430\u0432\u0438\u0442\u044c"
    r"|\u043e\u0431\u0441\u0443\u0436\u0434\u0430\u0442\u044c)",
    r"\u043a\u0430\u043a (?:\u0431\u043e\u043b\u044c\u0448\u0430\u044f )?"
    r"(?:\u044f\u0437\u044b\u043a\u043e\u0432\u0430\u044f \u043c\u043e\u0434\u0435\u043b\u044c|\u0438\u0438,? \u044f\b"
    r"|\u0438\u0441\u043a\u0443\u0441\u0441\u0442\u0432\u0435\u043d\u043d\u044b\u0439"
    r" \u0438\u043d\u0442\u0435\u043b\u043b\u0435\u043a\u0442,? \u044f\b)",
)
_REFUSAL = re.compile("|".join(_REFUSALS))
_BUT_REFUSES = re.compile(rf"[,;] (?:but|however,?) (?:unfortunately,? )?i ?{_WILL_NOT} {_TO_HELP}")
_QUOTES = re.compile("[\"\u201c\u201d]")
_NEXT_SENTENCE = re.compile(r"(?:[.!?\n]\s+|[\u3002\uff01\uff1f]\s*)(?=\S)")


def begins_with_refusal(text: str) -> bool:
    """Whether one of the first sentences of a text begins as assistants refuse, by a list of phrases in ten languages.

    It misses polite evasions and other languages; a person's "I'm sorry, I can't come" and a text that begins by
    quoting such a phrase count.

    >>> begins_with_refusal("Hello! I'm sorry, but I can't help."), begins_with_refusal("As an AI, I do not swim.")
    (True, True)
    >>> begins_with_refusal("I am sorry for your loss."), begins_with_refusal("As an AI engineer, I build models.")
    (False, False)
    """
    head = text.lstrip()[:_READ].lower()
    if _REFUSAL.match(head) is not None:
        return True
    ends = (found.end() for found in islice(_NEXT_SENTENCE.finditer(head, 0, STARTS_WITHIN), MOST_SENTENCES))
    if any(_REFUSAL.match(head, end) is not None for end in ends):
        return True
    late = _BUT_REFUSES.search(head)
    return late is not None and late.start() < STARTS_WITHIN and _QUOTES.search(head, 0, late.start()) is None
