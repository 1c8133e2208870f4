"""Keys, tokens and passwords: those with a form of their own, and those that a name in front gives away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.privacy.found import Found, has_mixed_signs


def secrets(text: str) -> Iterator[Found]:
    """Keys of well-known services, JSON web tokens, private key blocks, and what is assigned to "password" or such.

    A value assigned by a name counts when it looks like one: not a call, a variable, a type, a placeholder, or a word
    of prose.
    """
    if _may_hold_key(text):
        for match in _KEY.finditer(text):
            if match.lastgroup != "loose" or has_mixed_signs(match[0]):
                yield Found("secret", match.start(), match.end(), match[0])
    lower = text.lower()
    if _may_hold_name(lower):
        for match in _ASSIGNED.finditer(text):
            start, end = match.span("quoted") if match["quoted"] is not None else match.span("bare")
            if end > start and _is_secret(match, text[start:end]):
                yield Found("secret", start, end, text[start:end])
    if "bearer " in lower or "authorization" in lower:
        for match in _HEADER.finditer(text):
            if has_mixed_signs(match[1]):
                yield Found("secret", *match.span(1), match[1])


def _may_hold_key(text: str) -> bool:
    """A cheap test before the patterns: most texts have no underscore, and one sign is found fast or is not there."""
    return (
        ("_" in text and _has_any(text, _SIGNS_WITH_UNDERSCORE))
        or ("-" in text and _has_any(text, _SIGNS_WITH_HYPHEN))
        or ("J" in text and "eyJ" in text)
        or ("K" in text and "AKIA" in text)
        or ("z" in text and "AIza" in text)
        or ("9" in text and "ya29." in text)
        or ("G" in text and "SG." in text)
        or (":" in text and ":AA" in text)
        or "ASIA" in text
        or "hooks.slack" in text
    )


def _may_hold_name(lower: str) -> bool:
    return (
        _has_any(lower, _NAME_SIGNS)
        or ("pass" in lower and _has_any(lower, _PASS_SIGNS))
        or ("key" in lower and _has_any(lower, _KEY_NAMES))
    )


def _has_any(text: str, signs: tuple[str, ...]) -> bool:
    for sign in signs:  # noqa: SIM110 - this runs on every text, and a generator takes twice the time
        if sign in text:
            return True
    return False


def _is_secret(match: re.Match[str], value: str) -> bool:
    is_quoted = match["quoted"] is not None
    is_weak = match["weak"] is not None
    if len(value) < (_LEAST_OF_WEAK if is_weak else _LEAST) or _SAMPLE.search(value) or len(set(value)) <= 2:
        return False
    if is_weak or not is_quoted:
        # Without quotes a name like "max_tokens" or "hash_password" is a word too; a secret mixes its signs.
        return _is_mixed(value) and not _EXPRESSION.search(value)
    return match["sign"] != "is" or _is_mixed(value)


def _is_mixed(value: str) -> bool:
    has_symbol = any(not sign.isalnum() and sign not in "_.-" for sign in value[:-1])
    has_letter = any(sign.isalpha() for sign in value)
    return has_mixed_signs(value) or (has_letter and has_symbol) or (value.isdigit() and len(value) >= _LEAST_DIGITS)


_LEAST = 4
_LEAST_OF_WEAK = 12
_LEAST_DIGITS = 6

_SIGNS_WITH_UNDERSCORE = ("gh", "_live_", "_test_", "hf_", "npm_", "dop_v1_", "shp")
_SIGNS_WITH_HYPHEN = ("-----BEGIN", "sk-", "glpat-", "xox", "xapp-", "pypi-", "GOCSPX-")
_KEY = re.compile(
    r"(?P<block>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]|-(?!-)){0,20000}-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:\s*[A-Za-z0-9+/=]{16,}){0,200}))"
    r"|(?<![A-Za-z0-9_])(?:"
    r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"  # JSON web token
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,}|glpat-[\w-]{20,}"  # GitHub, GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"  # Google
    r"|[spr]k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|pypi-[\w-]{50,}|dop_v1_[0-9a-f]{64}"
    r"|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|SG\.[\w-]{16,32}\.[\w-]{16,64}"
    r"|[0-9]{8,10}:AA[\w-]{33}"  # Telegram
    r"|(?P<loose>sk-(?:[a-z0-9]{2,8}-){0,3}[\w-]{20,})"  # OpenAI and those that followed it
    r")"
    r"|(?<=hooks\.slack\.com/services/)T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{20,}"
)

_NAME_SIGNS = ("pwd", "secret", "token", "contrase", "kennwort", "senha", "wachtwoord")
_PASS_SIGNS = ("passw", "passp", "passc", "mot de passe")
_KEY_NAMES = ("_key", "-key", "apikey", "api key", "access key", "accesskey")
_ASSIGNED = re.compile(
    r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:(?P<weak>token|secret)|"
    r"pass(?:word|wd|phrase|code)|pwd|passwort|kennwort|contraseña|mot de passe|senha|wachtwoord|api[_ -]?key|"
    r"(?:secret[_ -]?)?access[_ -]?key|(?:client|app|api|shared|consumer)[_ -]?secret|secret[_ -]?key|"
    r"(?:access|auth|refresh|api|session|bearer|bot)[_ -]?token|private[_ -]?key)"
    r"[\"'`]?\s{0,3}(?P<sign>:=|=>|==?|:|\bis\b)\s{0,3}"
    r"(?:(?P<quote>[\"'`])(?P<quoted>(?:(?!(?P=quote))[^\n]){1,200})(?P=quote)"
    r"|(?P<bare>[^\s\"'`,;<>]{0,199}[^\s\"'`,;<>.?)\]}]))"
)
_HEADER = re.compile(
    r"(?i:bearer|authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:basic|token))\s{1,3}([A-Za-z0-9+/_.~-]{16,}=*)"
)

# What manuals write where a secret belongs.
_SAMPLE = re.compile(
    r"^(?i:[<{$%(*\[]|\.\.\.|your|(?:my|the|some|enter|insert|new|old|user|db|database|admin)?[_-]?(?:super)?[_-]?(?:secret|api)?"
    r"[_-]?(?:pass(?:word|wd)?|secret|token|value|key|here)$|change[_-]?(?:me|this|it)|example|sample|placeholder|redacted"
    r"|hidden|todo\b|none\b|null\b|true\b|false\b|undefined\b|string\b|str\b|required\b|optional\b|process\.env|os\.|env\."
    r"|config\.|self\.|this\.|request\.|req\.|user\.|input\b)|^[A-Z][A-Z_]+$|(?i:[x*#.]{4,}|_here$)|\[[A-Z_]+_[0-9]+\]"
)
_EXPRESSION = re.compile(r"\w[(\[]|^[A-Za-z_]+(?:\.[A-Za-z_]+)+$|^https?:")
