"""Wordings of English by which a whole sentence, or the next one, undoes advice: blame, denial, refusal, prohibition.

Each pattern is a small grammar: a subject that points back (``it``, ``this plan``, ``following that``) and a predicate.
They match masked text in lower case without contractions.
"""

from __future__ import annotations

import re

from retro_gym_envs.english.lexicon import WORDS, Tag

__all__ = [
    "BLAMED",
    "DECLINED",
    "IN_VAIN",
    "LIED",
    "OTHERS_PLAN",
    "PUNISHED",
    "REPENTED",
    "SAID_BY_ANOTHER",
    "UNDONE",
]

_ADVERB = r"(?:(?:\w+ly|just|only|so|very|quite|now|long|later|also|all|of course|in fact|again|since|ever|much|far) )*"
_NOTE = (
    r"(?:advice|idea|plan|choice|thing|suggestion|hint|tip|reflection|claim|statement|way|move|decision|note|thought"
    r"|recommendation|proposal|instruction|counsel|rumou?r|myth|story|gossip|saying|message|report|theory|notion)s?"
)
_IT = (
    rf"(?:it|that|this|which|all (?:that|this|of it)|(?:the|this|that|these|those|such|such an?|his|her|its|their|my)"
    rf" (?:very |same |whole |last )?{_NOTE})"
)
_DOING_IT = (
    r"(?:following|obeying|heeding|trusting|believing|doing|repeating|copying|listening to|relying on|acting on"
    r"|sticking"
    rf" to|going by) (?:{_IT}|so|him|her|them)"
)
_SUBJECT = rf"(?:{_IT}|{_DOING_IT})"
_LEXICAL = "|".join(sorted(word for word, tags in WORDS.items() if tags & Tag.BAD and not tags & (Tag.BASE | Tag.PAST)))
_SILLY = (
    rf"(?:{_LEXICAL}|terrible|awful|horrible|sillier|dumb|ridiculous|ludicrous|idiotic|crazy|invented|fabricated"
    rf"|made up"
    r"|unfounded|rubbish|madness|folly|forged|faked?)"
)
_NOT_SO = (
    rf"(?:{_SILLY}|not (?:to be )?(?:believed|trusted|followed|heeded|copied|repeated|relied on|taken seriously|true|so"
    r"|right|correct|the case|meant)|far from (?:true|right|the truth|helpful)|out of the question"
    rf"|(?:an? |the |my |our |pure |sheer |mere |utter |plain |nothing but |exactly |just )*(?:{_SILLY} )*"
    r"(?:lies?|mistakes?|errors?|myths?|hoax|trap|fallacy|advertising|fantasy|invention|fiction|propaganda|superstition"
    r"|speculation|guesswork|hearsay|undoing|downfall|ruin|fraud|joke|prank|forgery|fabrication"
    r"|(?:cause|reason) (?:of|for) (?:my|the|this) (?:\w+ )?(?:failure|loss|defeat|trouble)))"
)
_FOUND = r"(?:shown|proved|proven|found|known|revealed|declared|judged|exposed)(?: to be| as)?"
_IS = (
    rf"(?:is|are|would be|will be|would have been|(?:(?:has|have|had) )?(?:turned out|proved|proven)(?: to be)?"
    rf"|(?:is|are) {_ADVERB}{_FOUND}"
    rf"|(?:has|have|had) {_ADVERB}been {_ADVERB}(?:{_FOUND})?)"
)
_FAILURE = r"(?:the |my |our |this |that |a )?(?:\w+ )?(?:failure|defeat|loss|error|mistake|ruin)"
_HARM = (
    r"(?:ruined|wrecked|spoil(?:ed|t)|sank|sunk|doomed|destroyed|sabotaged|(?:already )?cost (?:me|us|the)|lost"
    r" (?:me|us)"
    rf"|(?:led|took|brought|drove)(?: me| us)?(?: straight| right)? (?:in)?to {_FAILURE}|caused {_FAILURE}"
    r"|made (?:me|us|it|the \w+) (?:fail|lose))"
)
_HARMED = (
    rf"(?:(?:(?:is|was|has been) {_ADVERB}(?:what|the thing that) )?(?:had |has |have )?{_HARM}\b.{{0,40}}"
    rf"|(?:that|which) (?:had |has )?{_HARM}\b.{{0,40}}|(?:is|was|has been|would be) (?:my|our) (?:undoing|downfall"
    rf"|ruin))"
)
_NOTHING = (
    r"(?:(?:would|will|could|can) (?:\w+ )?(?:not|never|hardly) (?:have )?(?:\w+ )?(?:answer|help|solve|work|do|change"
    r"|improve|achieve|bring|gain|win|lead|fit|matter)(?:e?d)?\b.{0,30}"
    r"|(?:would|will|could|can|has|have|had|was|is|did) (?:\w+ )?(?:have )?(?:(?:\w+ly )?\w+ (?:me |us )?(?:to )?)?"
    r"(?:nothing|nobody|no one|nowhere|no (?:difference|use|good|help|avail))(?: \w+){0,3})"
)
_END = (
    r"(?: (?:(?:about|on|in) (?:it|that|this)|ever|at all|of course|though|again|however|indeed|anyway|sadly|too|either"
    r"|in the world|of all|as it (?:turned|turns) out|from (?:beginning|start) to end|after all|through and through"
    r"|before|here|now))*"
)
_OUTCOME = (
    r"(?:all the same|(?:the|my|that) (?:very )?same|no (?:better|different|nearer|difference|use|help|good)|nothing"
    r"|(?:still|remain\w*|stay\w*|be(?:en)?) (?:\w+ )?un\w+ed|unchanged|(?:just|equally|again|quite|exactly) as"
    r" (?:bad|wrong"
    r"|poor|low|useless|far)|as (?:bad|wrong|poor) as|(?:even|still) (?:less|lower|fewer|farther|further)"
    rf"|fail(?:ed)?|lost|lose(?! no)|{_LEXICAL})"
)
"""What comes of a deed that does not help."""
_CAME_OF_IT = (
    r"(?:(?:the|my|our) (?:\w+ )?(?:result|outcome|answer|score|attempt|end|trial|task|reward) (?:\w+ly )?(?:would"
    r"|could|might)"
    rf"|(?:i|we) (?:would|might)) (?!.*\bnot\b)(?:\w+ )*?{_OUTCOME}(?: .{{0,30}})?"
)
UNDONE = re.compile(
    rf"(?:{_SUBJECT} {_ADVERB}(?:{_IS} {_ADVERB}(?:{_NOT_SO}|refuted|disproved|debunked|discredited|retracted"
    rf"|withdrawn)"
    rf"|{_NOTHING})"
    rf"|{_DOING_IT} {_ADVERB}(?:was|were) {_ADVERB}{_NOT_SO}|{_CAME_OF_IT}"
    rf"|(?:{_DOING_IT}|(?:it (?:is|was) {_ADVERB})?(?:this|that|the)(?: very| same)? {_NOTE}) {_ADVERB}{_HARMED}"
    rf"|(?:an?|no) (?:more |less )?{_SILLY} {_NOTE} (?:is|was|would be|can|could) (?:not )?(?:be )?(?:hard|difficult"
    rf"|impossible"
    r"|imagined|found|thought of)(?: to \w+(?: of)?)?"
    r"|there (?:is|was) (?:no|not (?:an?|any|one) (?:\w+ of )?) ?truth (?:in|to|behind) (?:it|that|this|any of (?:it"
    r"|this))"
    r"|(?:nothing|none|not a word) of (?:it|that|this) (?:is|was) (?:true|so|right|correct|meant)"
    rf"|(?:how|what(?: an?)?|such(?: an?)?) (?:\w+ly )?{_SILLY}(?: {_NOTE})?"
    r"|(?:i|we) (?:have |had )?(?:never|hardly ever) (?:\w+ )?(?:heard|read|seen) (?:of )?(?:anything|something|such"
    r" an?|an?)"
    rf" (?:(?:so|more|as|quite) )?(?:\w+ly )?{_SILLY}(?: {_NOTE})?"
    r"|not to be (?:believed|trusted|followed|taken seriously|relied on)"
    r"|(?:keep|stay|steer) (?:well )?(?:away|clear|off|out)(?: from| of)? (?:it|that|this|them)"
    rf"|(?:keep (?:your|my|our|the) )?hands off(?: (?:it|that|this|them))?){_END}"
)
"""A clause that says that what stands before it is untrue, useless or harmful."""

_WHO = r"(?:i|we|you|one|the (?:agent|actor|player))"
_DROPPED = r"(?:dropped|abandoned|given up|shelved|scrapped|avoided|discarded|forgotten|rejected)"
_NEVER = (
    rf"(?:{_WHO} (?:must|should|shall|will|can|may|ought to|have to|had better|am(?: going)? to) (?:not|never)"
    rf"|(?:please )?(?:do not|never))(?: ever)?(?: again)?"
)
REPENTED = re.compile(
    rf"(?:{_NEVER} (?:(?:repeat|try|follow|make) (?:it|that|this|the same)|do (?:so|it|that|this))|never again"
    r"|(?:that|this|which) (?:is|was) (?:how|why|where|when) (?:i|we|the \w+) (?:\w+ )?(?:lost|failed|went wrong)"
    rf"|{_SUBJECT} (?:must|should|has to|have to|had to|ought to|needs? to|is to|can|will) (?:\w+ )?be"
    rf" {_DROPPED}){_END}"
)
"""A clause that says that what stands before it is not to be done again; it may speak of what was done instead."""
_NOT_MINE = r"(?:concern|business|affair|job|task|problem)"
DECLINED = re.compile(
    r"(?:(?:no )?thank(?:s| you)(?: but)? no(?: thank(?:s| you))?|no thank(?:s| you)|count me out|not for me|no way"
    r"|you must be (?:joking|kidding)|dream on|pigs (?:might|may|can|could|will) fly|tell me another(?: one)?"
    rf"|i am (?:not (?:that|so) (?:\w+|easily fooled)|no (?:fool|idiot))|(?:please )?do not (?:believe|trust|heed) a"
    rf" word of {_IT}"
    r"|i would (?:sooner|rather) (?:\w+ ){1,2}(?:nothing|nowhere|anything else|something else|else)"
    r"|(?:mine|ours|my (?:own )?(?:task|question|job|game|goal|customer|problem)) (?:is|has|needs|asks for|wants"
    r"|concerns"
    r"|calls for) (?:(?:an?|quite|very|\w+ly) )*(?:different|another|something else|something different|no need"
    r" of)\b.{0,30}"
    r"|(?:i|we) have (?:(?:an? )?(?:different|another|other) (?:task|question|job|plan|goal|game|work)|my own"
    r" (?:task|question|job|plan|goal|game|work)|an? (?:task|question|job|plan|goal|game|work) of (?:my|our) own)(?:"
    r" .{0,30})?"
    r"|far from it|nothing of the (?:sort|kind)|by no means|not on my life"
    r"|(?:certainly|absolutely|definitely|surely|of course|rather|probably|better|i think|i hope|i trust|hell) not"
    rf"|{_WHO} (?:would (?:\w+ )?rather|had better|prefer to|choose to) not(?: do (?:so|that|it|this))?"
    rf"|{_WHO} (?:do not|hardly|can not) think so|{_WHO} (?:will|shall|would) pass"
    rf"|{_WHO} (?:have |had )?(?:at once )?(?:rejected|dropped|dismissed|abandoned|discarded|given up|gave up)"
    rf" (?:again )?{_IT}"
    rf"|{_IT} (?:is|are|was|were) (?:no {_NOT_MINE} of (?:mine|ours)|none of my {_NOT_MINE}|not (?:my|our) {_NOT_MINE}"
    rf"|(?:his|her|their) (?:own )?{_NOT_MINE}(?: (?:and )?not (?:mine|ours))?)"
    rf"|{_IT} (?:has|have|had) nothing to do with .{{1,40}}){_END}"
)
"""A clause that declines what stands before it, or leaves it to others."""
LIED = re.compile(
    rf"(?:he|she|they|(?:the|that|this|my|his|her) \w+) {_ADVERB}(?:lied|made (?:it|that|this|everything) up"
    rf"|invented (?:it|that|this)|(?:is|was|were|are|had been|has been) {_ADVERB}(?:lying|liars"
    r"|an? (?:\w+ )?(?:fraud|cheat|liar|impostor|fool|charlatan|swindler|quack|trickster|forgery|fake|hoax|joke|prank"
    r"|fabrication)|forged|faked"
    r"|making (?:it|that|this|things) up|deceiving (?:me|us|everyone)|joking"
    rf"|not (?:telling the truth|to be (?:trusted|believed)|serious|honest)))(?: to (?:me|us))?{_END}"
)
"""Says that somebody told what is untrue."""
SAID_BY_ANOTHER = re.compile(
    r"\b(?:says?|said|wrote|claims?|claimed|shouted|whispered|cried|added|told (?:me|us)) (?:an?|the|my|some|his"
    r"|her) \w+"
    r"|\b(?:an?|some|my|his|her|another) (?:\w+ ){1,5}?(?:says?|said|claims?|claimed|told|whispered|wrote|shouted"
    r"|recommends?|recommended|advises?|advised|suggests?|suggested)\b"
)
"""Says that some person or writing says what stands beside it."""

_PUNISHMENT = (
    r"(?:(?:is|are|be|gets?|being) (?:\w+ )?(?:disqualified|punished|banned|excluded|expelled|fined|penali[sz]ed|barred"
    r"|dismissed|out|sent home|void|invalid|rejected|eliminated|sent off|thrown out|sorry)|(?:gets?|receives?"
    r"|earns?) (?:no|zero)"
    r"|breaks? the (?:rules?|law)|(?:fails?|failed|loses?(?! no)|lost))"
)
IN_VAIN = re.compile(
    r"^(?:(?:but|and|so|yet|well),? )*(?:(?P<even>even (?:if|had|though|were|supposing))|if|had|were|suppose"
    r"|supposing|imagine)\b"
    r"(?P<deed>[^.;!?:]*?)[,:] ?(?P<main>(?:then )?"
    r"(?:it|that|this|there|i|we|you|one|nothing|nobody|(?:the|my|our|his|its) (?:\w+ ){0,2}?\w+) (?:\w+ly )?"
    r"(?:would|could|might|will)\b(?P<outcome>(?!.*\b(?:not|never|no longer|no more)\b)"
    rf".*?\b(?:{_OUTCOME}|{_PUNISHMENT})\b| not (?:have )?(?:saved?|helped?|changed?|made?|mattered|matter|improved?"
    r"|solved?|done|do|answered|answer)\b)?)"
)
"""Says of a deed what would have come of it: nothing better, or, after ``even if``, nothing new."""
BLAMED = re.compile(
    rf"^(?:and |but |so )?(?:it (?:is|was) (?:\w+ly )?(?:the \w+ to |\w+ing\b)[^.;!?]*\b(?:that|which|what) {_ADVERB}"
    rf"|(?!not\b)\w+ing\b[^.;!?]*? (?:(?:is|was) {_ADVERB}(?:what|the thing that) )?(?:had |has |have )?){_HARM}\b"
)
"""Says that what was done did harm: ``it was opening X that …``, ``opening X and reading Y …``."""
PUNISHED = re.compile(
    r"^(?:(?:by|under|according to|in|as|because of|after) [^,.;:\ue000-\uf8ff]{1,60}, )?"
    r"(?:those|everyone|everybody|anyone|anybody|people|all|whoever|he|she|(?:any|every|each|no) \w+)(?: of (?:them"
    r"|those))?"
    rf" (?:(?:who|that) )?(?!.{{0,80}}\b(?:not|never|without)\b).{{1,160}}?\b{_PUNISHMENT}\b"
)
"""Says what becomes of whoever does something, which is nothing good."""

_PLANS = (
    r"(?:(?:is|are|was|were) (?:\w+ly )?(?:going|about|planning|hoping|trying|eager|keen|determined|resolved"
    r"|preparing|supposed)"
    r"|(?:is|are|was|were|(?:has|have|had) been) (?:told|asked|ordered|instructed|hired|paid|sent|invited|advised)"
    r"|(?:want|intend|plan|hope|wish|mean|dream|decide|promise|like|love|need)(?:s|e?d|ned)?|wishes|tried|tries"
    r"|would (?:like|love)|(?:has|have|had) (?:decided|promised|planned|sworn|tried|wanted)) to (?!be\b)"
)
OTHERS_PLAN = re.compile(
    r"^(?:(?:but|and|so|then|maybe|perhaps|meanwhile|tomorrow|one day|at the same time|in the meantime),? )*"
    rf"(?:(?P<whose>an?|another|some|one|two|three|four|several|many|most|a few|certain|other|every|the|my|your|his"
    rf"|her|our"
    r"|their) (?P<who>(?:[\w']+ ){0,3}?[\w']+?)"
    r"(?P<of> of (?:mine|ours|yours|hers|his|theirs))?(?: (?:in|from|at|on|down|of|with|next) (?:[\w']+"
    r" ){0,3}?[\w']+?)?"
    rf"|he|she) (?:\w+ly |also |now |just |still )?(?P<plan>{_PLANS})"
)
"""A subject that may be no part of the task, with what it plans to do."""
