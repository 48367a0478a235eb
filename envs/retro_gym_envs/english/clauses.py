"""Divides a reflection into sentences and clauses of tagged words.

A clause ends where its stance may change: at a comma, before ``but``, ``because``, ``instead of`` and the like. Quoted
text is never divided. Names that are known are masked first, so that no word of a name is read as English.
"""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache

from retro_gym_envs.english.lexicon import WORDS, Link
from retro_gym_envs.english.links import NOUN, Token, link_at
from retro_gym_envs.english.naming import find_mentions
from retro_gym_envs.english.phrases import PHRASES
from retro_gym_envs.english.wordings import plainly_worded

__all__ = ["Masked", "Piece", "mask", "plain_words", "sentences"]

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
    (re.compile(r"\b(?:pls|plz|kindly)\b"), "please"),
)  # fmt: skip
_QUOTE_MARKS = str.maketrans({"’": "'", "‘": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
                              "→": " -> ", "⇒": " -> ", "…": "...", "\u00a0": " ", "\t": " ", "\r": "\n"})  # fmt: skip


def plain_words(text: str) -> str:
    """Returns a text in lower case, with plain quotes and dashes and without contractions.

    >>> plain_words("I’ll look there, but don't stop.")
    'i will look there, but do not stop.'
    """
    return _expanded(_plain_marks(text))


_STYLES = re.compile(r"</?(?:b|i|u|em|strong|code|mark|span)>")
_TAGS = re.compile(r"</?[a-z][\w-]{0,30}/?>")
_MARKS = {**dict.fromkeys("✓✔✅☑", "right"), **dict.fromkeys("✗✘❌✖", "wrong")}


def _spelled_out(line: str) -> str:
    """Returns a line with words for its ticks and crosses: before what they judge if the line begins with one."""
    if _MARKS.keys().isdisjoint(line):
        return line
    line = line.replace("\ufe0f", "").replace(" / ", ", ")
    mark = ". {}: " if line.lstrip(" -*.()0123456789")[0] in _MARKS else " {}, "
    line = "".join(mark.format(_MARKS[each]) if each in _MARKS else each for each in line)
    return re.sub(r", *(?=[.,;:!?)\n]|$)", "", line)


@lru_cache(maxsize=1_024)
def _plain_marks(text: str) -> str:
    text = NOUN.sub(" ", text.lower().translate(_QUOTE_MARKS))
    text = "\n".join(map(_spelled_out, _TAGS.sub("\n", _STYLES.sub("", text)).split("\n")))
    text = re.sub(r"\*+|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)", " ", re.sub(r"(?m)^ *[*•·–—-] +", "- ", text))
    text = re.sub(r"=>|-->|->|>>", " -> ", text)
    text = re.sub(r"(?<=\S) *[–—] *|(?<=\S) +-+ +", " , ", text)
    return re.sub(r"  +", " ", text)


@lru_cache(maxsize=4_096)
def _expanded(text: str) -> str:
    if not any(part in text for part in ("'", "cannot", "nt", "pl", "kindly")):
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
_DOUBTED = re.compile(r"(?:should|must|ought|ought to|have to|need to|has to|needs to|can|may)")
"""What the writer does not mean if it stands in quotes by itself."""
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
        if _DOUBTED.fullmatch(content.strip()):
            return f"supposedly {content}"
        if NOUN.fullmatch(content.strip()) or _COMMANDED.match(content):
            return match[0].translate(_INNER_MARKS)
        inside = [ord(each) - _FIRST_NOUN for each in NOUN.findall(content)]
        whole = NOUN.sub(lambda each: shown[ord(each[0]) - _FIRST_NOUN], match[0])
        return noun(whole, tuple(name for each in inside for name in owners[each]))

    return Masked(re.sub(r"  +", " ", _expanded(_QUOTED.sub(quotation, covered))), tuple(shown), tuple(owners))


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
_BULLETS = re.compile(
    r"(?m)^[ >#]*(?:[-+] |\(?(?:\d{1,2}|[a-z])[.)](?= )|step \d+ ?[:.)]?(?= )|#+ |tl ?;? ?dr ?[:,]?(?= ))? *"
)
_NUMBERED = re.compile(r"(?:^|(?<=[.;:!?] ))\(?\d{1,2}\) (?=\S)")
_WRAPPED = re.compile(r"(?<=[^\n.!?:;]{50})\n(?=[a-z\ue000-\uf8ff])")
_SHORT_FORMS = frozenset(("e.g", "i.e", "eg", "ie", "vs", "etc", "no", "nr", "approx", "cf", "mr", "mrs", "dr", "st"))
_LONGEST_SENTENCE = 200  # in words; what is longer is no sentence, and would take long to read
_PARENTHESIS = re.compile(r"\(([^()\n]{1,200})\)")


def _beside(match: re.Match[str]) -> str:
    """Returns a text in parentheses as part of its clause if it is short, otherwise between commas."""
    return f" {match[1]} " if match[1].count(" ") < 2 else f", {match[1]},"


def sentences(masked: str) -> tuple[str, list[list[Piece]]]:
    """Returns the text that tokens refer to, and its clauses by sentence."""
    text = plainly_worded(_WRAPPED.sub(" ", _BULLETS.sub("", _PARENTHESIS.sub(_beside, _NUMBERED.sub("", masked)))))
    found: list[list[Piece]] = []
    tokens: list[Token] = []
    line = 0

    def close(mark: str) -> None:
        if tokens:
            found.append(_pieces(tokens, len(found), mark, line))
            tokens.clear()

    for token in _tagged(text):
        if token.text in (".", "!", "?", ";", "\n"):
            if not (token.text == "." and tokens and _is_short(tokens[-1].text, text[token.end : token.end + 2])):
                close(token.text)
            line += token.text == "\n"
        else:
            tokens.append(token)
            if len(tokens) == _LONGEST_SENTENCE:
                close(".")
    close(".")
    return text, [pieces for pieces in found if pieces]


def _is_short(word: str, following: str) -> bool:
    """Returns whether the full stop after a word is that of a short form (``no. 5``, but not ``X: no. Y: yes.``)."""
    return word in _SHORT_FORMS and (word not in ("no", "nr") or following.lstrip()[:1].isdecimal())


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
        link, keeps = link_at(tokens, index)
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
