"""Divides a reflection into sentences and clauses of tagged words.

A clause ends where its stance may change: at a comma, before ``but``, ``because``, ``instead of`` and the like. Quoted
text is never divided. Names that are known are masked first, so that no word of a name is read as English.
"""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache

from retro_gym_envs.english.lexicon import WORDS, Link, Tag
from retro_gym_envs.english.naming import find_mentions
from retro_gym_envs.english.phrases import PHRASES

__all__ = ["NOUN", "Masked", "Piece", "Token", "mask", "plain_words", "sentences"]

NOUN = re.compile("[\ue000-\uf8ff]")
"""A masked name or quotation: one character of Unicode's private use area."""
_FIRST_NOUN, _MOST_NOUNS = 0xE000, 6_400

_CONTRACTIONS = (
    (re.compile(r"\bcan(?:'t|not)\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bshan't\b"), "shall not"),
    (re.compile(r"\bain't\b"), "is not"),
    (re.compile(r"\b(do|does|did|is|was|are|were|has|have|had|should|would|could|must|need)n'?t\b"), r"\1 not"),
    (re.compile(r"\b(i|you|we|they|he|she|it|that|there|what|who)'ll\b"), r"\1 will"),
    (re.compile(r"\b(i|you|we|they|should|would|could|must|might)'ve\b"), r"\1 have"),
    (re.compile(r"'d (?=(?:better|already|been|just|never|only|gone|(?!need|proceed|succeed)\w+ed)\b)"), " had "),
    (re.compile(r"\b(i|you|we|they|it|he|she|that|there)'d\b"), r"\1 would"),
    (re.compile(r"\b(you|we|they)'re\b"), r"\1 are"),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"\b(it|that|there|he|she|what|here)'s\b"), r"\1 is"),
    (re.compile(r"\blet's\b"), "let us"),
)  # fmt: skip
_QUOTE_MARKS = str.maketrans({"’": "'", "‘": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
                              "→": " -> ", "⇒": " -> ", "…": "...", "\u00a0": " ", "\t": " ", "\r": "\n"})  # fmt: skip


def plain_words(text: str) -> str:
    """Returns a text in lower case, with plain quotes and dashes and without contractions.

    >>> plain_words("I’ll look there, but don't stop.")
    'i will look there, but do not stop.'
    """
    return _expanded(_plain_marks(text))


@lru_cache(maxsize=1_024)
def _plain_marks(text: str) -> str:
    text = NOUN.sub(" ", text.lower().translate(_QUOTE_MARKS))
    text = re.sub(r"\*+|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)", " ", re.sub(r"(?m)^ *[*•·–—-] +", "- ", text))
    text = re.sub(r"=>|-->|->|>>", " -> ", text)
    text = re.sub(r"(?<=\S) *[–—] *|(?<=\S) +-+ +", " , ", text)
    return re.sub(r"  +", " ", text)


@lru_cache(maxsize=4_096)
def _expanded(text: str) -> str:
    if "'" not in text and "cannot" not in text and "nt" not in text:
        return text
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    return text


@dataclasses.dataclass(frozen=True)
class Masked:
    """A plain text whose names and quotations are masked, each by one character."""

    text: str
    shown: tuple[str, ...]
    """What the text had, by mask."""
    names: tuple[tuple[str, ...], ...]
    """The known names, by mask: one, or those in a quotation."""

    def show(self, text: str) -> str:
        """Returns a part of the text with what the masks stand for."""
        return NOUN.sub(lambda match: self.shown[ord(match[0]) - _FIRST_NOUN], text)

    def names_in(self, text: str) -> tuple[str, ...]:
        """Returns the names in a part of the text, in the order of their first mention."""
        found = (name for noun in NOUN.findall(text) for name in self.names[ord(noun) - _FIRST_NOUN])
        return tuple(dict.fromkeys(found))


_QUOTED = re.compile(
    r'"(?P<double>[^"\n]{1,400})"|`(?P<code>[^`\n]{1,400})`|\[(?P<bracket>[^\]\n]{1,400})\]'
    r"|(?<![\w'])'(?P<single>[^'\n]{1,400})'(?![\w'])"
)
_COMMANDED = re.compile(r"\W*(?:please )?(?:do not|don't|never|avoid|not)\b")
_INNER_MARKS = str.maketrans(".!?;:,", "      ")


def mask(text: str, names: tuple[str, ...]) -> Masked:
    """Masks the known names in a reflection, and quotations that hold none of them."""
    plain = _plain_marks(text)
    shown: list[str] = []
    owners: list[tuple[str, ...]] = []

    def noun(covered: str, names: tuple[str, ...]) -> str:
        if len(shown) == _MOST_NOUNS:
            return covered
        shown.append(covered)
        owners.append(names)
        return chr(_FIRST_NOUN + len(shown) - 1)

    parts, end = [], 0
    for mention in find_mentions(names, plain):
        parts += [plain[end : mention.start], noun(plain[mention.start : mention.end], (mention.name,))]
        end = mention.end
    covered = "".join((*parts, plain[end:]))

    def quotation(match: re.Match[str]) -> str:
        content = next(group for group in match.groups() if group is not None)
        alone = covered[: match.start()].rstrip(" ")[-1:] in ("", "\n", ":", ".", ",") and (
            content[-1] in ".!?" or covered[match.end() :].lstrip(" .!")[:1] in ("", "\n")
        )
        if alone and match["bracket"] is None and " " in content.strip():
            return f" {content} "  # a whole sentence in quotes
        if NOUN.fullmatch(content.strip()) or _COMMANDED.match(content):
            return match[0].translate(_INNER_MARKS)
        inside = [ord(each) - _FIRST_NOUN for each in NOUN.findall(content)]
        whole = NOUN.sub(lambda each: shown[ord(each[0]) - _FIRST_NOUN], match[0])
        return noun(whole, tuple(name for each in inside for name in owners[each]))

    return Masked(re.sub(r"  +", " ", _expanded(_QUOTED.sub(quotation, covered))), tuple(shown), tuple(owners))


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A word, a phrase or a mark."""

    text: str
    start: int
    end: int
    tags: int
    """Bits of ``Tag``."""
    link: Link | None = None
    """What a conjunction ties its clause with."""


@dataclasses.dataclass(slots=True)
class Piece:
    """A clause: its words, and what ties it to the others."""

    link: Link
    tokens: list[Token]
    sentence: int
    line: int
    """Index of its line in the text."""
    mark: str
    """The mark that ends its sentence."""
    heads: bool = False
    """Whether a colon follows."""


_TOKENS = re.compile(r"[\ue000-\uf8ff]|->|\w+(?:['.-]\w+)*|[.!?;:,\n()]")
_BULLETS = re.compile(r"(?m)^[ >#]*(?:[-+] |\(?(?:\d{1,2}|[a-z])[.)](?= )|step \d+ ?[:.)]?(?= )|#+ )? *")
_WRAPPED = re.compile(r"(?<=[^\n.!?:;]{50})\n(?=[a-z\ue000-\uf8ff])")
_SHORT_FORMS = frozenset(("e.g", "i.e", "eg", "ie", "vs", "etc", "no", "nr", "approx", "cf", "mr", "mrs", "dr", "st"))
_LONGEST_SENTENCE = 200  # in words; what is longer is no sentence, and would take long to read
_PARENTHESIS = re.compile(r"\(([^()\n]{1,200})\)")


def _beside(match: re.Match[str]) -> str:
    """Returns a text in parentheses as part of its clause if it is short, otherwise between commas."""
    return f" {match[1]} " if match[1].count(" ") < 2 else f", {match[1]},"


def sentences(masked: str) -> tuple[str, list[list[Piece]]]:
    """Returns the text that tokens refer to, and its clauses by sentence."""
    text = _WRAPPED.sub(" ", _BULLETS.sub("", _PARENTHESIS.sub(_beside, masked)))
    found: list[list[Piece]] = []
    tokens: list[Token] = []
    line = 0

    def close(mark: str) -> None:
        if tokens:
            found.append(_pieces(tokens, len(found), mark, line))
            tokens.clear()

    for token in _tagged(text):
        if token.text in (".", "!", "?", ";", "\n"):
            if not (token.text == "." and tokens and tokens[-1].text in _SHORT_FORMS):
                close(token.text)
            line += token.text == "\n"
        else:
            tokens.append(token)
            if len(tokens) == _LONGEST_SENTENCE:
                close(".")
    close(".")
    return text, [pieces for pieces in found if pieces]


def _tagged(text: str) -> list[Token]:
    """Returns the tokens of a text, with phrases as one token."""
    raw = [(match[0], match.start(), match.end()) for match in _TOKENS.finditer(text)]
    words = [each[0] for each in raw]
    found: list[Token] = []
    index = 0
    while index < len(raw):
        word, start, end = raw[index]
        width, tags, link = 1, WORDS.get(word, 0), None
        for rest, tags_of_phrase, link_of_phrase in PHRASES.get(word, ()):
            if words[index + 1 : index + 1 + len(rest)] == rest:
                width, tags, link = 1 + len(rest), tags_of_phrase or (0 if rest else tags), link_of_phrase
                end = raw[index + len(rest)][2]
                break
        found.append(Token(" ".join(words[index : index + width]), start, end, tags, link))
        index += width
    return found


def _pieces(tokens: list[Token], sentence: int, mark: str, line: int) -> list[Piece]:
    """Divides a sentence into clauses."""
    found = [Piece(Link.START, [], sentence, line, mark)]
    for index, token in enumerate(tokens):
        link, keeps = _link(tokens, index)
        if link is Link.COLON:
            found[-1].heads = bool(found[-1].tokens)
        if link is None:
            found[-1].tokens.append(token)
            continue
        kept = [token] if keeps else []
        if found[-1].tokens:
            found.append(Piece(link, kept, sentence, line, mark))
        else:
            stronger = found[-1].link in (Link.START, Link.COMMA, Link.AND) or link not in (Link.COMMA, Link.AND)
            if stronger and not (found[-1].link is Link.START and link in (Link.COMMA, Link.AND, Link.BUT, Link.WHICH)):
                found[-1].link = link
            found[-1].tokens += kept
    return [piece for piece in found if piece.tokens]


_OPENS_CLAUSE = (
    Tag.BASE
    | Tag.PAST
    | Tag.ING
    | Tag.FINITE
    | Tag.PERSON
    | Tag.AUXILIARY
    | Tag.MODAL
    | Tag.COULD
    | Tag.AVOID
    | Tag.NOT
)


def _link(tokens: list[Token], index: int) -> tuple[Link | None, bool]:
    """Returns how a clause that begins at a token is tied to the text before, and whether the token belongs to it."""
    token = tokens[index]
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    if token.text == ",":
        return Link.COMMA, False
    if token.text == ":":
        return Link.COLON, False
    if token.text in ("and", "or", "nor") and _starts_clause(tokens, index + 1):
        return Link.AND, token.text == "nor"
    if token.text == "not" and after is not None and _is_contrast(before, after):
        return Link.NOT, False
    if (
        token.text in ("with", "by", "for", "to", "over")
        and (swapped := _swapped(tokens[:index], token.text)) is not None
    ):
        return swapped, False
    if token.text == "where" and before is not None and NOUN.match(before.text):
        return Link.AND, False
    if token.text == "been" and after is not None and _is_corrected(tokens[:index], after):
        return Link.REPLACING, False
    if token.text in ("by", "on") and after is not None and after.tags & Tag.ING:
        return Link.AFTER, False
    if token.tags & Tag.PERSON and before is not None and NOUN.match(before.text):
        return Link.COMMA, True
    if token.text == "that" and after is not None and after.tags & Tag.PERSON and _is_consequence(tokens[:index]):
        return Link.AND, False
    link = token.link
    if link is None:
        return None, False
    if link is Link.AFTER and token.text in ("having", "while", "when", "once", "after", "upon"):
        return _after(token, before, after), token.text == "having"
    if token.text == "then" and before is not None and before.tags & Tag.PERSON:
        return None, False
    if token.text in ("so", "then", "yet", "though") and not _starts_clause(tokens, index + 1):
        free = before is not None and before.text in (",", "and")
        return (link if token.text == "then" or free else None), False
    if link is Link.WHICH:
        return (Link.WHICH, True) if before is not None else (None, False)
    return link, link is Link.HAD


def _is_consequence(before: list[Token]) -> bool:
    """Returns whether ``that`` follows upon ``so`` or ``such`` (``so busy that I …``)."""
    return any(token.text in ("so", "such") for token in before)


def _swapped(before: list[Token], word: str) -> Link | None:
    """Returns how a preposition ties what it governs after verbs like *replace Y with X* and *prefer X to Y*."""
    said = [token.text for token in before]
    if word in ("with", "by", "for"):
        return Link.REPLACING if _REPLACING.intersection(said) else None
    if word == "to" and "from" in said and _SWITCHING.intersection(said):
        return Link.REPLACING
    nouns = sum(NOUN.match(text) is not None for text in said)
    return Link.INSTEAD if _PREFERRING.intersection(said) and nouns else None


def _is_corrected(before: list[Token], after: Token) -> bool:
    """Returns whether one thing is corrected to another (``X should have been Y``)."""
    said = [token.text for token in before]
    return said[-2:] == ["should", "have"] and NOUN.match(after.text) is not None and NOUN.match(said[0]) is not None


_REPLACING = frozenset(("replace", "replaces", "replacing", "swap", "swapping", "exchange", "exchanging"))
_SWITCHING = frozenset(("switch", "switching", "change", "changing"))
_PREFERRING = frozenset(("prefer", "preferred", "preferring", "favour", "favor", "preferable"))


def _after(token: Token, before: Token | None, after: Token | None) -> Link | None:
    """Returns the link of ``after``, ``when`` and the like: none inside a verb phrase (``without having …``)."""
    if token.text == "having" and before is not None and before.tags & Tag.NOT:
        return None
    if token.text == "once" and (after is None or not after.tags & _OPENS_CLAUSE):
        return None
    return Link.AFTER


def _starts_clause(tokens: list[Token], index: int) -> bool:
    """Returns whether a new clause, and no mere noun, begins at a token."""
    while index < len(tokens) and tokens[index].tags & Tag.ADVERB and not tokens[index].tags & _OPENS_CLAUSE:
        index += 1
    if index >= len(tokens):
        return False
    tags = tokens[index].tags
    following = tokens[index + 1].tags if index + 1 < len(tokens) else 0
    if tags & Tag.IT or tags & Tag.THEM:
        return bool(following & (Tag.AUXILIARY | Tag.BE | Tag.PAST | Tag.FINITE | Tag.NOT))
    return bool(tags & _OPENS_CLAUSE) or tokens[index].link is not None


def _is_contrast(before: Token | None, after: Token) -> bool:
    """Returns whether ``not`` sets one thing against another (``use X, not Y``), and negates no verb."""
    if before is None or after.tags & (Tag.BASE | Tag.PAST | Tag.MODAL):
        return False
    return before.text in (",", "and", "but", "so") or NOUN.match(before.text) is not None
