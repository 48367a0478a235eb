"""Phrases of English that are read as one word."""

from __future__ import annotations

from typing import TypeAlias

from retro_gym_envs.english.lexicon import Link, Tag

__all__ = ["PHRASES", "Phrase"]

# Phrases, by what they are read as; 0 stands for phrases that say nothing for or against.
_PHRASES: dict[int | Link, str] = {
    0: """
        search term; search word; search keyword; search query; search string; search box; search bar; search field;
        query term; query word; query string; as before; like before;
        not again; no more mistakes; no more errors; no more guessing; no mistake; no mistakes; error message;
        never too late; not too late; nothing wrong; nothing is wrong; can not go wrong; not go wrong;
        not disappoint; never disappoints; no alternatives to; problem was that; problem is that; trouble was that;
        trouble is that; mistake was that; mistake is that; error was that; error is that; fault was that;
        fault is that; issue was that; issue is that; reason was that; reason is that; overlooked that;
        overlooked the fact that; missed that; missed the fact that; forgot that; forgot the fact that;
        ignored that; ignored the fact that; not forget that; never forget that; did not realise that;
        did not realize that; did not notice that; did not know that; did not see that; did not understand that;
        failed to notice that; failed to see that; failed to realise that; failed to realize that; not aware that;
        unaware that; thing left; place left; what is left; one left; missing link; missing piece; missing step;
        what was missing; what is missing; missing from my; not only; not just; not merely; not simply; no doubt;
        without doubt; without a doubt; without fail; without delay; without hesitation; no matter; no later than;
        no sooner than; no other than; nothing else; nothing other than; nothing but; nothing else but;
        nothing less than; none but; none other than; no one but; nobody but; no one else; nobody else; not until;
        if not; why not; not least; no wonder; no less than; no more than; needless to say; not to mention;
        nothing except; none except; at once; one and only; by all means; no time to lose; without further ado;
        but also; but rather; sooner or later; no longer than; only if; in order not to fail; so as not to fail;
        at last; look forward to; never mind that; right away; at least; once more; of course; without exception;
        in no time; no question; no question that; not long; can not wait to; not to be missed;
        not to be overlooked; not to be forgotten; not to be skipped; a must; there is no way around;
        there is no getting around; no way around; nothing beats; no substitute for; no alternative to;
        no option but; no choice but; nothing for it but; leave no stone unturned; not enough attention; how come;
        not a myth; no myth; not a rumour; not a rumor
    """,
    Tag.BELIEVED | Tag.PAST: """
        used to think; used to believe; used to assume; was convinced; was sure; was certain;
        was under the impression
    """,
    Tag.MODAL | Tag.NOT: """
        not going to
    """,
    Tag.NOT | Tag.PAST: """
        did nothing with; did nothing about; made no use of; took no notice of; paid no attention to;
        paid no heed to
    """,
    Tag.PAST: """
        was followed by; were followed by; was succeeded by; were succeeded by; has been succeeded by;
        had been succeeded by
    """,
    Tag.NOT: """
        last thing i should; last thing i would; last thing i want; last thing to; last thing you should;
        last place to; last thing anyone should; last place i should; last place i would; stopped short of;
        prevent me from; prevents me from; keep me from; keeps me from; stop me from; stops me from; hinder me from;
        keep us from; prevent us from; stop us from; prevent the agent from; keep the agent from; deter me from;
        stop short of; step short of; just short of; drop the idea; drop the thought; drop the plan;
        give up the idea; forget the idea; abandon the idea; no need; no one; no longer; by no means;
        under no circumstances; on no account; in no case; in no way; at no time; not at all; no attempt;
        no attention; no effort; no reason; no use in; is the last thing; be the last thing; is the last place;
        be the last place; far from; anything but; the opposite of; the contrary of; the reverse of; opposite of;
        reverse of; never ever; never again; not ever; not any longer; not any more; not anymore; no way; keep away;
        stay away; keep clear; stay clear; steer clear; steer away; kept away; staying away; staying clear;
        steering clear; keeping away; stay out of; keep out of; keep off; stay off; hands off;
        keep your hands off; keep my hands off;
        ban on; prohibition of; prohibition on; embargo on; away from; rule out;
        ruled out; ruling out; rules out; give up; gave up; giving up; do without; did without; doing without;
        leave aside; leave alone; leave out; put aside; set aside; cross off; crossed off; turn down; pass over;
        passed over; passing over; pass up; passed up; move on from; moving on from; moved on from; done with;
        through with; devoid of; out of the question; too little attention; too little thought; little attention;
        little thought; never once; not once; get rid of; steered clear; shy away from; shied away from;
        turn a blind eye to; turned a blind eye to; lose sight of; lost sight of
    """,
    Tag.BAD: """
        no point; no sense; only a fool; only an idiot; only fools; no good; no use; no help; no luck; no avail;
        no success; no result; no results; no value; no progress; dead end; dead ends; red herring; waste time;
        out of order; off limits; off the table; not worth; in vain; to no avail; without success; without result;
        without luck; for nothing; sold out; too expensive; not the case; no such; wild goose chase;
        would be the last; little use; little sense; little point; against the rules; beside the point;
        off the list; off my list; off your list; off the menu;
        against the law; against all rules; against the rule;
        break the rules; breaks the rules; break the law; breaks the law; violate the rules; violates the rules;
        what not to do; too much time; too many turns; too long; a pity that; false lead; bad idea; blind alley
    """,
    Tag.HOLD | Tag.FINITE: """
        asked for; asks for; called for
    """,
    Tag.BE: """
        turned out; turned out to be; turn out; turn out to be; turns out; turns out to be
    """,
    Tag.BAD | Tag.BE: """
        made me fail; made me lose; fell for; fall for; to blame; is out; out of stock; led me astray; leads astray;
        led astray; lead me astray; went astray; lead nowhere; leads nowhere; led nowhere; leading nowhere;
        goes nowhere; went nowhere; got me nowhere; gets me nowhere; got nowhere; got us nowhere; did nothing;
        does nothing; did not pay off; cost me; costs me; cost us; costs us; cost the trial; went wrong
    """,
    Tag.MODAL: """
        am going to; are going to; is going to; im going to; 'm going to; gonna; gotta; have got to; has got to;
        have to; has to; had to; had better; supposed to; let us; let me; next time; make sure; be sure; want to;
        plan to; intend to; wish i had; wish we had; wish it had; wish the agent had; wish i would have;
        wish i could have; if only; calls for; aim to; mean to; in future; in the future; from now on;
        the next attempt; the next trial; next attempt; next trial; my next; needed is; needed was; what i was after;
        what we were after; only way;
        must have; how about; needs to; need to; the way to go; what about; worth a; it pays to; i recommend;
        i suggest; i advise; i propose; worth it; had i only; i would rather; would rather; wanna; all i need;
        all that is needed; step one; it is time to; time to; resolve to; resolved to; promise to; commit to;
        ensure; ensure that; see to it that; is to be; are to be; remains to be; remain to be; i was to; we were to
    """,
    Tag.LATE: """
        too late; only later; not early enough; not soon enough; late; only at the end; only briefly
    """,
    Tag.HOPE: """
        is tempting to; was tempting to; be tempting to; seems tempting to; looks tempting to; am tempted to;
        was tempted to; were tempted to; feel tempted to; felt tempted to;
        fingers crossed; with luck; with any luck; good luck
    """,
    Link.INSTEAD: """
        beats; superior to; outperforms; instead of; rather than; in place of; as opposed to; in lieu of;
        in preference to; than; as against; over and above; unlike; in contrast to; contrary to
    """,
    Link.EXCEPT: """
        except; except for; apart from; other than; but for; save for; aside from; excepting
    """,
    Link.BECAUSE: """
        because; because of; since; due to; owing to; on account of; given that; as it is; as it was; for it is;
        for it was; for that is; for this is; now that; thanks to; seeing that
    """,
    Link.AND: """
        ->; and then; then; followed by; as well as; in favour of; in favor of
    """,
    Link.SO: """
        so; so that; therefore; hence; thus; accordingly; consequently; as a result; for that reason; which is why;
        that is why; this is why; and so; which means that;
        which means
    """,
    Link.BUT: """
        but; although; though; even though; whereas; however; yet; nevertheless; nonetheless; when in fact;
        when really; despite the fact that
    """,
    Link.HAD: """
        had i; even had i; had we; had you; had it; had the agent; had the actor; had they; had my; had that; were i to
    """,
    Link.IF: """
        if; in case; provided; provided that; as long as; supposing; even if; whenever; assuming that
    """,
    Link.UNLESS: """
        unless; not unless; except if
    """,
    Link.BEFORE: """
        before; until; till; prior to; before ever; before even; by the time
    """,
    Link.AFTER: """
        after; having; when; while; once; as soon as; upon
    """,
    Link.WHICH: """
        which; who; whom
    """,
}

Phrase: TypeAlias = tuple[list[str], int, "Link | None"]
"""The words after the first one, the tags and the link of a phrase."""


def _phrase_table() -> dict[str, list[Phrase]]:
    table: dict[str, list[Phrase]] = {}
    for reading, phrases in _PHRASES.items():
        tags, link = (0, reading) if isinstance(reading, Link) else (reading, None)
        for phrase in " ".join(phrases.split()).split("; "):
            first, *rest = phrase.split()
            table.setdefault(first, []).append((rest, tags, link))
    for options in table.values():
        options.sort(key=lambda option: -len(option[0]))
    return table


PHRASES = _phrase_table()
"""By first word: the phrases that begin with it, the longest first."""
