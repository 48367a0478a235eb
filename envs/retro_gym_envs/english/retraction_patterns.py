"""Wordings of English that take advice back, mock it, or put it into somebody else's mouth.

They match masked text in lower case without contractions.
"""

from __future__ import annotations

import re

from retro_gym_envs.english.links import NOUN

__all__ = [
    "APPROVED",
    "CORRECTED",
    "DENIED",
    "FAULT_DONE",
    "FICTION",
    "JOINED",
    "LEADING",
    "MYTH",
    "NOT_ASKED",
    "NOT_MEANT",
    "NOT_TO_SUCCEED",
    "OTHERS_SAY",
    "OTHERS_WRONG",
    "PRAISED",
    "PRESENTED",
    "REJECTED",
    "SOMEBODY_ELSE",
    "UNKNOWN",
]

_ADVERB = (
    r"(?:(?:all|just|only|really|so|very|quite|simply|clearly|obviously|of course|surely|probably|again|totally"
    r"|completely|absolutely|entirely|definitely|certainly|plainly|actually|in fact|perhaps|also|most|utterly) )*"
)
_WHO = r"(?:i|we|you|one|they|the (?:agent|actor|player|model))"
_ADVICE = (
    r"(?:advice|idea|plan|choice|thing|suggestion|hint|tip|reflection|claim|statement|way|move|decision|note"
    r"|recommendation|proposal|instruction|counsel)"
)
_POOR = r"(?:bad|worst|poor|terrible|awful|horrible|wrong|stupid|silly|foolish|dumb|useless|false|misleading|mistaken)"
_GOOD = r"(?:true|right|correct|so|the case|good|wise|serious|real|meant|helpful|useful|sensible|advisable)"
_SAID = r"(?:said|wrote|suggested|claimed|advised)"
_SUCH = rf"(?:this|that|these|those|(?:any )?such|my) {_ADVICE}s?"
_SUBJECT = (
    r"(?:that|this|it|which|these|the (?:above|rumou?r|myth|legend|story|gossip|opposite of that"
    rf"|(?:previous |last )?{_ADVICE}s?)|{_SUCH}|what (?:i|we) (?:just )?{_SAID}"
    rf"|(?:everything|all)(?: of)?(?: the| this| that)?(?: above| before)?(?: (?:that )?(?:i|we) (?:just )?{_SAID})?)"
)
_IS_NOW = r"(?:is|are|would be|will be|would have been|sounds|seems|turned out(?: to be)?|proved(?: to be)?|can not be)"
_ENDING = (
    r"(?: (?:(?:about|on|in) (?:it|that|this)|ever|at all|of course|though|again|however|indeed|anyway|sadly|too|either"
    r"|in the world|of all))*"
)
_FAULTY = (
    rf"(?:not (?:to be (?:followed|trusted|done|believed)|{_GOOD}|(?:a |my )?(?:{_GOOD} )?{_ADVICE})"
    rf"|(?:the |an? |my )?(?:{_POOR} )+{_ADVICE}(?: (?:that )?i (?:have )?(?:ever )?(?:gave|given|heard|had|got))?"
    rf"|{_POOR}|incorrect|untrue|nonsense|rubbish|bogus|(?:an? |my )?(?:lie|mistake|myth|hoax|trap|error|fallacy)"
    r"|what not to do|how to (?:fail|lose))"
)
_TRIED = r"(?:was|were|got|had been|has been)"
_REFUSED = r"(?:rejected|refused|declined|denied|turned down|not accepted|in vain|useless|of no use)"
_DO_NOT = r"(?:please )?(?:do not|never)(?: ever)? (?:do|follow|believe|trust|try|take|listen to|use|heed)"

_IGNORED = (
    r"(?:ignored|disregarded|discarded|dismissed|rejected|forgotten|not (?:be )?(?:followed|trusted|believed|heeded))"
)
_IGNORE = (
    rf"(?:(?:please|{_WHO} (?:will|shall|should|must|had better|would|can|may|am going to|have to)|let us)"
    r" (?:just |simply |rather |now |therefore |better )?)?"
    r"(?:forget|ignore|disregard|discard|dismiss|reject|never mind|pay no (?:attention|heed) to)(?: about)?"
)

DENIED = re.compile(
    rf"(?:{_SUBJECT} {_ADVERB}(?:{_IS_NOW} {_ADVERB}{_FAULTY}|{_TRIED} {_ADVERB}{_REFUSED})"
    rf"|(?:it|that|this) is not|(?:a |the )?{_POOR} {_ADVICE}|wrong|false|untrue|incorrect|nonsense|rubbish"
    r"|(?:the|quite the|just the) (?:opposite|contrary|reverse)(?: (?:is|holds|would be) .*)?"
    rf"|{_DO_NOT} (?:that|this|it|so|such (?:a thing|advice)|(?:the|this|that|my) {_ADVICE}|any of (?:that|this)))"
    rf"{_ENDING}"
)
"""A clause that says that what stands before it is wrong."""
FAULT_DONE = re.compile(rf"{_SUBJECT} {_ADVERB}(?:was|were) {_ADVERB}(?!my ){_FAULTY}{_ENDING}")
"""The same in the past tense, which may speak of what was done instead."""
NOT_MEANT = re.compile(
    r"(?:(?:i (?:am|was) )?(?:just |only |merely )?(?:kidding|joking|lying)(?: .*)?|as if|yeah right|not really|not"
    r"|(?:this|that|it) (?:is|was) (?:just |only |merely |meant as )*(?:an? )?(?:joke|irony|sarcasm|ironic|sarcastic)"
    r"|(?:i|we) (?:did|do) not mean (?:it|that|this)|i take (?:that|it|this) back|scratch that|strike that"
    rf"|{_WHO} (?:do not|can not|will not|would not|never) (?:really )?(?:believe|trust|buy|accept|agree with|share)"
    rf"(?: a word of)? (?:it|that|this|him|her|them|{_SUCH})"
    rf"|{_IGNORE} (?:it|that|this|the above|what i (?:just )?{_SAID}|{_SUCH})"
    rf"|{_SUBJECT} (?:should|must|can|may|has to|have to|ought to|(?:is|are) (?:best|better|to be))"
    rf" (?:simply |just |rather )?(?:be )?{_IGNORED}"
    rf"|{_WHO} (?:(?:will|can|may|must|should|shall) not|never will|can not|refuse)(?: do (?:so|that|it|this))?"
    rf"|(?:it|that|this) (?:will|would|can) not(?: be)?|ha ha(?: ha)?){_ENDING}"
)
"""A clause that takes back what stands before it, without saying that it is wrong."""
PRESENTED = re.compile(
    rf"(?:(?:that|this|it|these|those|so|such) (?:is|was|are|were) {_ADVERB}"
    rf"(?:(?:the|an?|my|one|some|some(?:body|one)'s) (?:\w+ ){{0,2}}?{_ADVICE}s?\b"
    rf"|what (?:\w+ ){{1,2}}(?:was|were|been|{_SAID}|told)\b)"
    rf"|(?:that|this|so|thus) (?:i|\w+body|someone|people|they) (?:\w+ )?(?:{_SAID}|told)\b).{{0,40}}"
)
"""A clause that says nothing of what stands before it but whose advice it is."""
LEADING = re.compile(
    r"^(?:(?:but|and|yet|though|although|however|no(?!,? thank)|oh|sorry|well|except that|only|ha|so|of course(?! not)"
    r"|surely(?! not)|precisely|exactly|just(?= th)|in fact|alas)\b[ ,]*)+"
)
"""Words that may stand before such a clause."""
JOINED = re.compile(r",|\b(?:but|and|yet|though|although|however)\b|(?=\bwhich\b)")
"""Where a clause may begin that takes back the one before it."""

_WISH = (
    r"(?:wants?|wanted|wish|wishes|like|would like|intends?|plans?|aims?|hopes?|means?|tr(?:y|ies)|am going|prefers?)"
)
_LOSE = (
    r"(?:fail|lose|be wrong|go wrong|repeat (?:my|the|this|that) (?:mistake|failure|error))\b(?! (?:no|less|fewer)\b)"
)
_ENJOYS = (
    r"(?:enjoys?|loves?|likes?|fancy|fancies|feels? like|(?:do|does) not mind|(?:am|are|is) (?:fond of|keen on|into)"
    r"|wants?)"
)
_LOSING = (
    r"(?:losing|failing|failures?|defeats?|wasting|(?:zero|no|low) (?:points?|rewards?|scores?)|a (?:zero|low score))\b"
)
NOT_TO_SUCCEED = re.compile(
    rf"^(?:in order |so as |just )?to (?:surely |certainly )?{_LOSE}|(?<!not )\bin order to {_LOSE}"
    rf"|\b(?:if|when|because|as|since) {_WHO} {_WISH} to {_LOSE}"
    rf"|\b(?:if|when|because|as|since) {_WHO} (?:really |just )?{_ENJOYS} {_LOSING}"
    rf"|\bso that {_WHO} (?:can |will |may )*{_LOSE}"
    r"|\band (?:then )?(?:(?:see|watch) .{1,20} (?:fail|lose))"
    r"|^(?!.*\b(?:otherwise|or|else|unless|if|not|never)\b).*\band (?:then )?(?:fail|lose)(?: again)?$"
    r"|\bfor the sake of (?:fail|los)"
    r"|\b(?:if|when|once|until) (?:pigs|cows|elephants) (?:can |could |will |learn to )?fly\b|\bhell freezes over\b"
    r"|\bin (?:a|my|the|some) (?:\w+ )?(?:dream|dreams|nightmare|fantasy|fairy tale|parallel universe)\b"
    rf"|{NOUN.pattern} (?:just |only )?to (?:fail|lose)(?: again)?$"
    rf"|\bif {_WHO} (?:were|was) (?:an? |\w+ enough )?(?:stupid|mad|crazy|insane|foolish|drunk|idiot|fool|liar)\b"
    r"|\bsupposedly\b|\bpretend(?:ing)? to\b|\bin a million years\b|\bover my dead body\b"
    r"|\bas if (?:that|this|it|any of (?:that|this|it)) (?:had|has|would|could|will|ever|were going to)\b"
    r"|\b(?:according to|said|says|thinks|claims|in the words of) (?:an?|the|every|some|any)"
    r" (?:\w+ )?(?:liar|fool|idiot|loser)"
    r"|(?<!only )\b(?:an?|the|every|some) (?:\w+ )?(?:liar|fool|idiot|loser|madman) (?:\w+ )?"
    r"(?:says|said|claims|claimed|tells|told|thinks|would|will|might)\b"
)
"""Says that a sentence aims at failure, at what never happens, or that a liar says it."""
FICTION = re.compile(
    r"\bonce upon a time\b|\bhappily ever after\b|\bthere (?:once (?:was|lived)|(?:was|lived) once) an?\b"
    r"|\b(?:song|poem|tale|rhyme|ballad|proverb|lyrics?) (?:that )?(?:goes?|begins?|runs?|says?)\b"
    r"|\b(?:dream(?:s|t|ed)?|nightmare|tale|song|ballad|legend|fairy tale) (?:in which|that|of how)\b"
)
"""Tells a story."""
MYTH = re.compile(
    r"\b(?:it|this|that) (?:is|was) (?:(?!not )\w+ )?an? (?:\w+ )?"
    r"(?:myth|lie|rumou?r|hoax|fallacy|misconception|superstition|legend|fairy tale|joke|fable) (?:that|to)\b"
)
"""Says that what follows is untrue."""
PRAISED = re.compile(
    rf"\b{_WHO} (?:am|are|is|was|were|did|felt|feel) {_ADVERB}(?:right|correct|glad|happy|wise|smart|proud|clever|well"
    r"|justified|relieved|lucky|pleased|fortunate) (?:that (?:i|we|it|you) (?:did not|have not|had not|never)"
    r"|(?:in )?not\b|to (?:have )?(?:avoid|skip|ignore)\w*|(?:in |of )?(?:having )?(?:avoid|skipp|ignor)(?:ing|ed))"
    rf"|\bit (?:is|was) {_ADVERB}(?:right|correct|good|wise|fortunate|lucky|a good \w+) that (?:i|we) (?:did not|never)"
    r"|^(?:luckily|fortunately|thankfully|rightly|wisely),? (?:i|we) (?:did not|never)"
)
"""Praises that something was left undone."""
APPROVED = re.compile(
    rf"(?:(?:that|this|it|which) (?:is|was) {_ADVERB}(?:right|correct|good|wise|for the best|(?:the |a )?(?:right|good"
    rf"|wise|correct) {_ADVICE})|(?:and )?rightly so|with good reason){_ENDING}"
)
"""A clause that says that what stands before it was right."""

_QUESTION = r"(?:question|task|goal|instruction|puzzle)s?"
NOT_ASKED = re.compile(
    rf"\bif (?:(?:only )?(?:the|my) {_QUESTION} (?:were|had (?:been|asked|wanted|named|mentioned|required|demanded))\b"
    r"|(?:i|we|one) (?:had been|were) (?:asked|required|supposed)\b"
    rf"|(?:this|that|it|these|those) (?:were|had been) (?:what|the (?:one|{_QUESTION}))\b)"
    rf"|\b(?:were|had) the {_QUESTION}\b|\bhad (?:i|we) been (?:asked|required)\b"
)
"""Says that a sentence would hold if something else had been asked for."""

_PERSONS = """
    neighbou?r|king|queen|prince|princess|emperor|president|pope|uncle|aunt|mother|father|brother|sister|mum|mom|dad
    |wife|husband|friend|cousin|grandmother|grandfather|grandma|boss|dentist|barber|cat|dog|parrot|goat|horse|donkey
    |monkey|fool|liar|idiot|enemy|rival|stranger|alien|ghost|wizard|witch|pirate|knight|clown|loser|thief|devil
    |colleague|flatmate|roommate|housemate|classmate|teacher|doctor|nephew|niece|landlord|coach|partner
""".replace("\n", "").replace(" ", "")
SOMEBODY_ELSE = re.compile(
    r"^(?:(?:but|and|so|then|maybe|perhaps|tomorrow|one day),? )*"
    rf"(?:(?:the|an?|my|your|his|her|our|some|every) (?:\w+ )?(?:{_PERSONS})s?"
    r"|(?:anyone|anybody|everyone|everybody) else|(?:someone|somebody)(?: else)?|(?:other|some) people"
    r"|others|most) (?:\w+ly )?"
    r"(?:(?:will|would|should|may|might|can|could|must|shall|ought to|has to|have to|needs? to|wants? to|is going to)"
    r"(?! be )|uses?|takes?|opens?|buys?|clicks?|search(?:es)?|chooses?|quer(?:y|ies)|picks?|reads?|likes?|prefers?"
    r"|goes|puts?|took|went|chose|gave|bought|wrote|\w+ed)\b"
    r"|^(?:his|her|their|(?:my|the|an?|some) [\w ]{1,20}'s) (?:\w+ )?(?:plan|idea|job|homework|wish|dream|aim"
    r"|intention|ambition)"
    r" (?:is|was|will be) to\b"
    r"|^(?:(?:my|your|his|her|our|their|the|an?|some|every) (?!(?:agent|actor|player|model|assistant)\b)(?:\w+ ){1,2}"
    r"|(?:he|she|they) )(?:plan|intend|hope|wish|dream|long|swear|vow|mean)s? (?:to|of)\b"
)
"""A subject that is no part of the task, with its verb."""
_SOURCE = (
    r"(?:the|an?|my|your|his|her|our|some|every) (?:\w+ )?"
    rf"(?:{_PERSONS}|forum|internet|manual|blog|guide|newspaper)s?"
)
OTHERS_SAY = re.compile(
    r"\b(?:they|people|some|some people|others|many|somebody|someone|everybody|everyone|most people|it is"
    rf"|{_SOURCE}) (?:(?:\w+ly|always|often|once|keeps?|kept) )?"
    r"(?:says?|said|claims?|claimed|thinks?|thought|believes?|believed|advises?|advised|suggests?|suggested|tells?|told"
    r"|saying|claiming|telling|insisting|insists?|insisted|hold|maintain|recommends?|recommended)\b"
)
"""Says that somebody else says what follows."""
OTHERS_WRONG = re.compile(
    rf"(?:they|these people|people|some|most|many|everyone|everybody|all of them|he|she|{_SOURCE}) (?:all )?{_ADVERB}"
    rf"(?:are|is|were|was) {_ADVERB}"
    r"(?:wrong|mistaken|lying|liars|fools|misled|misinformed|in error|not right|incorrect|deceived)"
    rf"{_ENDING}"
)
"""Says that they are wrong."""
UNKNOWN = re.compile(
    r"\b(?:no (?:idea|clue|evidence|way of knowing|telling|knowing)|not (?:\w+ly |at all |quite |yet )*(?:sure|certain"
    r"|clear|convinced|known|decided|obvious|tell|say)|(?:do|does|did) not know|unclear|unknown|unsure|uncertain"
    r"|undecided|(?:nobody|no one|who) (?:really |ever )?knows?"
    r"|(?:hard|impossible|difficult|too early|not possible) to (?:say|tell|know|judge)|doubtful|questionable"
    r"|open question|question|remains to be seen|anybody's guess|anyone's guess)"
    r"(?: to (?:me|us)| as to| is|,)? (?:whether|if)\b"
)
"""Says that nobody knows whether what follows is so."""
CORRECTED = re.compile(
    r"\bwhen (?:it|this|that|the \w+(?: \w+)?) (?:should have been|ought to have been|had to be|was (?:really|supposed"
    rf" to be|meant to be))(?: the)?[^,]{{0,20}}?(?={NOUN.pattern})"
)
"""``… when it should have been X``, up to the name."""
REJECTED = re.compile(
    r"^(?!.*\b(?:wrongly|mistakenly|by me|by mistake)\b).*\b(?:was|were|got|been) (?:rejected|refused|declined)\b"
)
"""Says that what was tried was not accepted."""
