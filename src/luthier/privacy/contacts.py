"""E-mail addresses, addresses of machines (IP), and names with passwords in addresses of pages."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from luthier.privacy.found import WORD, Found, words_nearby


def emails(text: str) -> Iterator[Found]:
    """E-mail addresses with a dot in their domain; not the user of a repository (git@host:path), nor "icon@2x.png"."""
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        is_repository = match[1] in _REPOSITORY_USERS and text[match.end() : match.end() + 1] == ":"
        is_password = _BEFORE_PASSWORD.search(text, max(0, match.start() - 80), match.start())
        if not is_repository and not is_password and not _RETINA.search(match[0]):
            yield Found("email", match.start(), match.end(), match[0], match[0].lower())


def logins(text: str) -> Iterator[Found]:
    """The "user:password" of an address such as "ftp://user:password@host"; not the words user and password."""
    if "://" not in text or "@" not in text:
        return
    for match in _LOGIN.finditer(text):
        user, _, password = match[1].partition(":")
        if not (user.lower() in _SAMPLE_USERS and password.lower() in _SAMPLE_PASSWORDS):
            yield Found("login", *match.span(1), match[1])


def addresses(text: str) -> Iterator[Found]:
    """IPv4 and IPv6 addresses of one machine.

    Left alone: version and section numbers, loopback, multicast, masks, whole networks (ending in .0), the first
    address of a private network (every router's), and the well-known public resolvers.
    """
    if text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            if _stands_alone(text, match) and _is_machine(match[0]) and not _is_version(text, match):
                yield Found("ip", match.start(), match.end(), match[0])
    if "::" in text or text.count(":") >= 7:
        for match in _IPV6.finditer(text):
            value = _ipv6(match[0])
            if value:
                yield Found("ip", match.start(), match.end(), match[0], value)


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    """Whether no word and no further number goes on before or after; a path or a port may follow."""
    return not _GOES_ON_BEFORE.search(text[max(0, match.start() - 2) : match.start()]) and not _GOES_ON.match(
        text, match.end()
    )


def _is_machine(text: str) -> bool:
    numbers = [int(part) for part in text.split(".")]
    if max(numbers) > 255 or any(len(part) > 1 and part[0] == "0" for part in text.split(".")):
        return False
    address = ipaddress.IPv4Address(text)
    if address.is_loopback or address.is_multicast or numbers[0] in (0, 255) or numbers[3] in (0, 255):
        return False
    return text not in _RESOLVERS and not (address.is_private and numbers[3] == 1 and not _is_sample(address))


def _is_sample(address: ipaddress.IPv4Address) -> bool:
    return any(address in network for network in _SAMPLES)


def _is_version(text: str, match: re.Match[str]) -> bool:
    """Whether it is a version or a section: a word says so, or all four numbers are small and no word says address."""
    if _VERSION.search(text[max(0, match.start() - 24) : match.start()]):
        return True
    is_small = max(int(part) for part in match[0].split(".")) < 32
    return is_small and not words_nearby(text, match.start(), match.end(), _ADDRESS_WORDS)


def _ipv6(text: str) -> str:
    """The shortest form of an address of the global or of a private range; "" for anything else with colons."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return ""
    first = int(address) >> 112
    return address.compressed if 0x2000 <= first <= 0x3FFF or 0xFC00 <= first <= 0xFDFF else ""


# Letters of the scripts that addresses are written in; not Han or kana, which stand before an address without a blank.
_LETTER = "A-Za-z0-9_\u00c0-\u024f\u0370-\u04ff"
_EMAIL = re.compile(
    f"(?<![{_LETTER}.+%&-])([{_LETTER}+%&-]{{1,64}}(?:[.'][{_LETTER}+%&-]{{1,64}}){{0,8}})"
    f"@(?:[{_LETTER}](?:[{_LETTER}-]{{0,62}})\\.){{1,6}}(?:xn--[A-Za-z0-9-]{{2,59}}|[A-Za-z\u00c0-\u024f\u0370-\u04ff]"
    f"{{2,24}})(?![{_LETTER}@])"
)
_BEFORE_PASSWORD = re.compile(r"://[^\s/@]*:\Z")
_RETINA = re.compile(r"@[0-9](?:\.[0-9])?x\.\w+$")
_REPOSITORY_USERS = frozenset({"git", "hg", "svn"})

_LOGIN = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,15}://([^\s/@:\"'<>\[\]{}$]{1,64}:[^\s/@\"'<>\[\]{}$]{1,128})@(?=\w)"
)
_SAMPLE_USERS = frozenset({"user", "username", "usr", "name", "login", "myuser", "xxx"})
_SAMPLE_PASSWORDS = frozenset({"password", "pass", "passwd", "pwd", "mypassword", "secret", "xxx", "port"})

_IPV4 = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_GOES_ON_BEFORE = re.compile(rf"[{WORD}.]-?\Z")
_GOES_ON = re.compile(rf"[{WORD}]|\.[0-9]|-[A-Za-z]")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:{1,2}){2,7}[0-9A-Fa-f]{0,4}(?![\w:]|\.[0-9])")
_VERSION = re.compile(
    r"(?:\b(?:v|ver|version|versions|release|build|section|sections|chapter|clause|article|firmware|driver|sdk|rev|revision"
    r"|appendix|figure|table|exercise|update)\.?|\u00a7)\s*[:=#]?\s*$",
    re.IGNORECASE,
)
_ADDRESS_WORDS = re.compile(
    r"\b(?:ips?|ipv4|address\w*|hosts?|servers?|ping|dns|subnet|gateway|clients?|login)\b", re.IGNORECASE
)
_RESOLVERS = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "208.67.222.222", "208.67.220.220"})
_SAMPLES = tuple(ipaddress.IPv4Network(name) for name in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
"""Documentation ranges: what stands for somebody's address is treated like one."""
