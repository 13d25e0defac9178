"""Words, sentences and reading time of a text, in the writing systems of the world.

Nothing here knows that it runs as a plugin: ``plugin.py`` connects it.
"""

import re
import sys
import unicodedata
from collections import Counter
from dataclasses import dataclass

# Silent reading of English prose: 238 words a minute, the mean of 190 studies (Brysbaert 2019).
WORDS_A_MINUTE = 238
# Chinese and Japanese, by characters.
CHARACTERS_A_MINUTE = 500

# Abbreviations whose point ends no sentence, in lower case.
ABBREVIATIONS = frozenset(
    "approx bzw ca cf dr eg etc fig ie jr mr mrs ms no nr prof sr st usw vgl vs z.b e.g i.e d.h u.a".split()
)

# Characters before a point that are looked at. Without a bound, a text of nothing but initials would be read
# over and over.
LONGEST_TOKEN = 16


@dataclass(frozen=True)
class Summary:
    """What a text has. See ``wit/wordcount.wit``."""

    words: int
    sentences: int
    paragraphs: int
    characters: int
    reading_seconds: int
    top: list[tuple[str, int]]


def count(text: str, top: int) -> Summary:
    """Counts what ``text`` has, and names its ``top`` most frequent words."""
    text = unicodedata.normalize("NFC", text)
    words = [word for word in WORD.findall(text) if word.strip("_")]
    ideographs = sum(1 for word in words if IDEOGRAPH.match(word))
    paragraphs = [paragraph for paragraph in EMPTY_LINES.split(text) if has_word(paragraph)]
    return Summary(
        words=len(words),
        sentences=sum(map(sentences, paragraphs)),
        paragraphs=len(paragraphs),
        characters=len(text),
        reading_seconds=reading_seconds(len(words) - ideographs, ideographs),
        top=most_frequent(words, top),
    )


def reading_seconds(words: int, ideographs: int) -> int:
    """Seconds for a silent reader, rounded up. In whole numbers: no float decides about a second."""
    minutes_over = words * CHARACTERS_A_MINUTE + ideographs * WORDS_A_MINUTE
    return -(-60 * minutes_over // (WORDS_A_MINUTE * CHARACTERS_A_MINUTE))


def most_frequent(words: list[str], top: int) -> list[tuple[str, int]]:
    """The ``top`` most frequent words without regard to case; those that are equal by their letters."""
    counted = Counter(word.casefold().replace("\u2019", "'") for word in words)
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:top]


def sentences(paragraph: str) -> int:
    """Sentences of a paragraph that has a word. What follows the last end is one too, as in a heading."""
    found = 0
    start = 0
    for end in SENTENCE_END.finditer(paragraph):
        space_behind = not paragraph[end.end() : end.end() + 1].strip()
        if end.group()[0] not in WIDE and not space_behind:
            continue
        if is_abbreviation(paragraph[max(start, end.start() - LONGEST_TOKEN) : end.start()], end.group()):
            continue
        if has_word(paragraph[start : end.start()]):
            found += 1
        start = end.end()
    return found + has_word(paragraph[start:])


def is_abbreviation(before: str, end: str) -> bool:
    """Whether a single point belongs to the word before it: ``Dr.``, ``e.g.``, the initial in ``J. Smith``."""
    if not end.startswith(".") or end.startswith(".."):
        return False
    last = LAST_TOKEN.search(before)
    if last is None:
        return False
    token = last.group()
    initial = len(token) == 1 and token.isalpha() and token.isupper() and token != "I"
    return initial or token.lower() in ABBREVIATIONS


def has_word(text: str) -> bool:
    """Whether a text has a letter, digit or mark."""
    return any(word.strip("_") for word in map(re.Match.group, WORD.finditer(text)))


def ranges(belongs) -> str:
    """All characters of a kind, as the inside of a character class."""
    parts = []
    start = None
    # One more than there are, so that a last range is closed as well.
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and belongs(code)
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            parts.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return "".join(parts)


def is_ideograph(code: int) -> bool:
    """Han and kana: written without spaces, so each counts as a word. Not ``々`` and ``ー``, which go with one."""
    return (
        0x3041 <= code <= 0x3096
        or 0x30A1 <= code <= 0x30FA
        or 0x3400 <= code <= 0x4DBF
        or 0x4E00 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFD
    )


def is_word_part(code: int) -> bool:
    """Letters, digits and their marks. ``re`` leaves marks out of ``\\w``, which would cut Hindi to pieces."""
    if is_ideograph(code) or code in (0x3005, 0x30FC):
        return False
    character = chr(code)
    return character == "_" or character.isalnum() or unicodedata.category(character)[0] == "M"


# Made once, when the component is built: its memory is stored with these in it.
_IDEOGRAPH = f"[{ranges(is_ideograph)}][\u3005\u30fc\u3099\u309a]*"
_PART = f"[{ranges(is_word_part)}]+"
IDEOGRAPH = re.compile(_IDEOGRAPH)
# An apostrophe joins where it stands between letters, and so does a point or comma between digits.
WORD = re.compile(f"{_IDEOGRAPH}|{_PART}(?:['\u2019]{_PART}|(?<=[0-9])[.,](?=[0-9]){_PART})*")
EMPTY_LINES = re.compile(r"\n[^\S\n]*\n")
# Marks that can end a sentence, with what closes behind them. What follows is looked at apart: in here, a text
# of nothing but points would be read over and over.
SENTENCE_END = re.compile(
    "[.!?\u2026\u061f]+[\"'\u201d\u2019\u00bb)\\]]*|[\u3002\uff01\uff1f\u0964\u0965]+[\u300d\u300f\u201d)]*"
)
# Those of them that need no space after them.
WIDE = "\u3002\uff01\uff1f\u0964\u0965"
LAST_TOKEN = re.compile(r"[^\W_]+(?:\.[^\W_]+)*$")
