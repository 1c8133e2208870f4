"""Which language a text is written in, found offline.

Three ways, the cheapest first. A script that one language owns tells it at once (Han, kana, Hangul, Thai, ...).
Function words, several of one language and hardly any of another, tell it too. What is left goes to the model of
py3langid, a naive Bayes classifier over byte n-grams (Lui and Baldwin, 2011), weighted by how common each language is
and by the function words that were seen.

The answer is "und" where nobody could tell: a name, a number, code, a word or two. The model is loaded for the first
text that needs it.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any, NamedTuple

UNDETERMINED = "und"
"""ISO 639-2 for "undetermined": too short, code, numbers, or unsure."""
READ_CHARS = 1_000
"""No more of a text is read: its beginning tells its language."""
MODEL_CHARS = 160
"""No more letters go to the model: its time grows with them, and its answers hardly change."""
LEAST_CONFIDENCE = 0.4
"""Below this a guess of the model is no answer."""
SURE = 0.99
"""The confidence of what the script or the words tell."""


class Guess(NamedTuple):
    """A language, and how sure we are of it."""

    code: str
    """ISO 639-1, as "en" or "zh"; "und" where it cannot be told."""
    confidence: float
    """0 to 1: the share of the best language among all, after weighting; of "und" too."""


def identify(text: str) -> Guess:
    """The language that most of a text's beginning is written in; one text has one answer.

    >>> identify("What is the capital of Australia?").code
    'en'
    >>> identify("17 + 25 = 42").code
    'und'
    """
    sample = _without_noise(text[:READ_CHARS])
    if not sample.isascii():
        code = _of_script(sample)
        if code:
            return Guess(code, SURE)
    is_ascii = sample.isascii()
    data = sample.encode("utf-8", "replace")
    # The same letters become blanks either way; bytes are an order of magnitude quicker.
    letters = data.translate(_ASCII_TO_BLANK).decode() if is_ascii else sample.translate(_TO_BLANK)
    words = set(letters.lower().split())
    votes = _votes(words, _LANGUAGES_OF_WORD if is_ascii else _LANGUAGES_OF_ANY_WORD)
    is_code = len(data) - len(data.translate(None, _CODE_SIGNS)) > _CODE_SHARE * len(sample)
    winner = _clear_winner(votes, num_words=len(words), least=_LEAST_WORDS + is_code)
    if winner:
        return Guess(winner, SURE)
    return Guess(UNDETERMINED, 0.0) if is_code else _of_model(letters, votes, num_words=len(words))


def _without_noise(text: str) -> str:
    """The text without code blocks, tags, addresses of pages and placeholders; each is looked for where its sign is."""
    for sign, pattern in _NOISE:
        if sign in text:
            text = pattern.sub(" ", text)
    return text


def _votes(words: set[str], languages: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """How many different function words of each language were seen."""
    votes: dict[str, int] = {}
    for word in languages.keys() & words:
        for code in languages[word]:
            votes[code] = votes.get(code, 0) + 1
    return votes


def _of_script(text: str) -> str | None:
    """The language of a script that only one language of ours uses, if the text is mostly in it."""
    signs = "".join(_OWNED.findall(text))
    counts = {code: len(found) for code, script in _SCRIPTS.items() if (found := script.findall(signs))}
    if "ja" in counts and "zh" in counts:
        # Japanese mixes kana with Han; a Chinese text may quote a little kana.
        code = "ja" if counts["ja"] >= _LEAST_KANA * counts["zh"] else "zh"
        counts = counts | {"ja": 0, "zh": 0, code: counts["ja"] + counts["zh"]}
    code = max(counts, key=lambda code: counts[code], default="")
    weight = counts.get(code, 0) * _LETTERS_OF_A_SIGN.get(code, 1)
    return code if weight > 1 and weight > len(_LATIN.findall(text)) else None


def _clear_winner(votes: dict[str, int], *, num_words: int, least: int) -> str | None:
    """The language with enough different function words, and three times as many as any other."""
    most = max(votes.values(), default=0)
    if most < max(least, _LEAST_SHARE * min(num_words, _WORDS_OF_SHARE)):
        return None
    # Of two with as many votes neither has three times as many as the other.
    found = [code for code, seen in votes.items() if 3 * seen > most]
    return found[0] if len(found) == 1 else None


def _of_model(letters: str, votes: dict[str, int], *, num_words: int) -> Guess:
    letters = " ".join(letters.split())[:MODEL_CHARS]
    if len(letters) < _LEAST_LETTERS or (letters.isascii() and " " not in letters):
        return Guess(UNDETERMINED, 0.0)
    weights: dict[str, float] = {}
    for label, share in _shares(letters):
        code = _SAME.get(label, label)
        told = math.exp(_WORD_WEIGHT * votes.get(code, 0) / max(num_words, 1))
        weights[code] = weights.get(code, 0.0) + share * _PRIOR.get(code, _RARE) * told
    code = max(weights, key=lambda code: weights[code])
    confidence = round(weights[code] / sum(weights.values()), 4)
    return Guess(code if confidence >= LEAST_CONFIDENCE and len(code) == 2 else UNDETERMINED, confidence)


def _shares(letters: str) -> list[tuple[str, float]]:
    """The labels that the model gives a share worth weighing, the best first: the beginning of its own `rank`, which
    takes as long again to put all labels in order as to score them."""
    import numpy as np

    model = _model()
    scores = model._decide(letters)
    kept = np.flatnonzero(scores >= _LEAST_WEIGHED)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return [(model.nb_classes[label], share) for label, share in zip(kept.tolist(), scores[kept].tolist(), strict=True)]


@cache
def _model() -> Any:
    """The classifier for languages with a code of two letters, and for what is no language, which it calls zxx."""
    import numpy as np
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages([code for code in model.labels if len(code) == 2 or code in _SAME or code == "zxx"])
    # Rows that lie together: what a text is scored with is gathered from some hundred of them.
    model.nb_ptc = np.ascontiguousarray(model.nb_ptc)
    return model


_NOISE = (
    ("```", re.compile(r"```.*?(?:```|\Z)", re.DOTALL)),
    ("<", re.compile(r"<[^<>]{1,200}>")),
    ("://", re.compile(r"\b\w{1,20}://\S+")),
    ("_", re.compile(r"\[[A-Z][A-Z_]{0,30}_\d+\]")),
)
"""What tells nothing of the language, with a sign without which it cannot be there."""
_CODE_SIGNS = rb"{}()[];=<>\|_$#*+^~`"
_CODE_SHARE = 0.08
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_TO_BLANK = {ord(sign): " " for sign in map(chr, range(128)) if not sign.isalpha() and sign != "'"}
_TO_BLANK |= dict.fromkeys(map(ord, "\u00a0¡«·»¿–—“”„…؟،।"), " ")
_TO_BLANK |= {0x2019: "'"}
_ASCII_TO_BLANK = bytes(ord(_TO_BLANK.get(code, chr(code))) if code < 128 else code for code in range(256))
_LEAST_LETTERS = 6
_LEAST_WORDS = 2
_LEAST_SHARE = 0.15
_WORDS_OF_SHARE = 60
_WORD_WEIGHT = 4.0
_LEAST_WEIGHED = 1e-3
_LEAST_KANA = 0.1

_SIGNS = {
    "zh": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", "ja": "\u3041-\u30fa\u31f0-\u31ff",
    "ko": "\u1100-\u11ff\uac00-\ud7af", "th": "\u0e01-\u0e5b", "el": "\u0370-\u03ff\u1f00-\u1fff",
    "he": "\u0590-\u05ff", "ka": "\u10a0-\u10ff", "hy": "\u0530-\u058f", "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f", "kn": "\u0c80-\u0cff", "ml": "\u0d00-\u0d7f", "gu": "\u0a80-\u0aff",
    "pa": "\u0a00-\u0a7f", "or": "\u0b00-\u0b7f", "si": "\u0d80-\u0dff", "km": "\u1780-\u17ff",
    "lo": "\u0e80-\u0eff", "my": "\u1000-\u109f", "am": "\u1200-\u139f", "bo": "\u0f00-\u0fff",
}  # fmt: skip
"""The script that a language owns, as ranges of characters."""
_SCRIPTS = {code: re.compile(f"[{signs}]") for code, signs in _SIGNS.items()}
_OWNED = re.compile(f"[{''.join(_SIGNS.values())}]+")
_LETTERS_OF_A_SIGN = {"zh": 4, "ja": 3, "ko": 2, "am": 2}
"""How many Latin letters say as much as one sign."""

_SAME = {"nn": "no", "wuu": "zh", "yue": "zh", "arz": "ar", "ary": "ar"}
"""What is reported under the code of the language that most of its data is labelled with."""
# What a text is likely to be before a letter of it is read. Without it, short texts go to rare languages.
_COMMON = (
    "en", "es", "fr", "de", "it", "pt", "nl", "pl", "ru", "tr", "sv", "zh", "ja", "ko", "ar", "hi", "id", "vi", "da",
    "no", "fi", "cs", "hu", "ro", "el", "he", "uk", "bg", "th", "fa", "zxx",
)  # fmt: skip
_LESS_COMMON = (
    "ca", "hr", "sk", "lt", "lv", "sl", "sr", "et", "bn", "ta", "te", "ur", "tl", "ms", "sw", "ga", "is", "az", "ka",
    "hy", "kk",
)  # fmt: skip
_PRIOR = dict.fromkeys(_COMMON, 1.0) | dict.fromkeys(_LESS_COMMON, 0.3)
_RARE = 0.1

# Words that are common in one language and rare in most others here. Short English words that several others write
# alike (is, in, on, me, do, to, a, i) are left out.
_FUNCTION_WORDS = {
    code: frozenset(words.split())
    for code, words in {
        "en": """the and what that with are how this you which from they have been their who when why would does should
            there where these those some between because about your into than could it's i'm don't of for were his her
            she can not my our it be by or we if but any all more most other many such used then there's what's""",
        "es": """el los las una del y por para se su al como más pero sus le esta cuando muy también hasta hay donde
            desde todo nos durante otros ese eso ellos esto antes qué unos otro otras ella estar estas algo mi mis tu
            cómo cuál dónde cuándo son está están es lo yo un en con""",
        "fr": """le les une des du et est dans pour pas sur au aux avec ce cette elle ils nous vous je sont ne sa ses
            mais ou où leur était même mon mes quel quelle comment pourquoi qui qu'il c'est d'un d'une plus un""",
        "de": """der das und ist ein eine einen einem einer nicht mit von zu den dem des auf für im ich sie wir sich
            auch wie wer wo wenn aber oder als nach aus werden wird sind hat haben kann mein dein noch nur über bei zum
            zur""",
        "it": """il gli uno di della dei che è per non sono come più ma al alla ne questo questa quale quando dove
            perché cosa ho hai ha mio mia tuo suo nel nella anche delle degli una con un lo si""",
        "pt": """os uma um do da dos das é em na nas por com para não mais como mas ao à você meu minha seu sua ele ela
            eu foi são isso este qual quando onde também já muito pelo pela""",
        "nl": """het een van dat op zijn voor niet aan er om ook maar dan ik je jij hij zij wij wat wie hoe waar wanneer
            mijn kun kan wordt werd heeft heb naar uit bij nog geen deze dit""",
    }.items()
}  # fmt: skip
_ACCENTED_FUNCTION_WORDS = {
    code: frozenset(words.split())
    for code, words in {
        "pl": """się nie jest że jak czy oraz jego jej mój moje gdzie kiedy kto jaki jaka był była było być dla przez
            ale tylko może już więc które który która są tym ich w""",
        "sv": "och är att för inte jag också mycket från ett vad ska",
        "tr": """bir için ile nasıl mı değil çok gibi daha kadar nedir yok olan olarak veya ama hangi nerede neden ve
            bu""",
        "ru": """что это как его её она они был была было быть или если когда только ещё уже мне меня чтобы для из этот
            есть нет можно""",
        "uk": "що це його є та він вона були бути або якщо тільки ще вже цей",
        "ar": "في على إلى هذا هذه أن هل التي الذي كان أو كيف هي ذلك",
        "hi": "है में की से और नहीं क्या यह हैं था थी लिए कैसे",
        "mr": """आहे आणि आहेत हे ही हा नाही होते होता होती मला तुम्ही आम्ही मी काय किंवा पण तर त्या या साठी झाले करा
            का""",
        "ne": """छ र छन् छौं हो हुन् यो त्यो मलाई तपाईं हामी थियो थिए गर्न भएको हुन्छ लागि पनि मेरो तर छैन गर्नुहोस् यस
            के""",
    }.items()
}  # fmt: skip
"""Looked for only in texts with a letter beyond ASCII, which all but a word or two of these languages have."""


def _by_word(*tables: dict[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """The languages of each function word."""
    found: dict[str, tuple[str, ...]] = {}
    for table in tables:
        for code, words in table.items():
            for word in sorted(words):
                found[word] = (*found.get(word, ()), code)
    return found


_LANGUAGES_OF_WORD = _by_word(_FUNCTION_WORDS)
_LANGUAGES_OF_ANY_WORD = _by_word(_FUNCTION_WORDS, _ACCENTED_FUNCTION_WORDS)
