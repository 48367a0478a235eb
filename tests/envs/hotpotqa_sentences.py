"""Sentences on HotpotQA questions: ``n`` is a page, ``w`` the word on it; ``x`` and ``o`` are the wrong ones."""

__all__ = ["COMPARISONS", "FOLLOWED", "NOT_FOLLOWED", "ONE_PAGE", "WITHOUT_EFFECT"]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip().replace(" / ", "\n") for line in text.strip().splitlines())


ONE_PAGE = _lines("""
    Search for {n} and answer with the {w}.
    Look up {n} and report the {w}.
    Search for {n}. Give the {w}.
    Search for {n}. Finish with the {w}.
    Search for {n}. Extract the {w}.
    Search for {n}. Copy the value of {w}.
    Search for {n}. The value labelled {w} is the answer.
    Search for {n}. Use the field labelled {w}.
    Search for {n}. The relevant field: {w}
    Search for {n}. Detail: {w}
    Search for {n}. The question means the {w}.
    Search for {n}. The page's word for it is {w}.
    Search for {n}. Pay attention to the {w}.
    Search for {n}. I overlooked that the question means the {w}.
    Search for {n}. Interpret it as the {w}.
    Target page: {n}. Read the {w}.
    I ought to have chosen {n}. Read the {w}.
    I overlooked {n}. Its {w} is the answer.
    {n} holds the answer, as its {w}.
    Focus on {n}. Report the {w}.
    The question refers to {n}, and asks for the {w}.
    Nothing but {n} helps; read its {w}.
    I should not have ignored {n} and its {w}.
    On the page of {n} I picked the {o}; the {w} is what was meant.
    My answer was the {o} of {n}, yet the {w} was required.
    Page: {n}; label: {w}
    Entity: {n} / Attribute: {w}
    Quote the {w} of {n}.
    The answer lies in the {w} of {n}.
""")
COMPARISONS = _lines("""
    {n1}'s {w} against {n2}'s {w}
    First {n1}, then {n2}; the lower {w} wins.
    1. {n1} / 2. {n2} / Read the {w} of each.
    Compare the {w} of {n1} with that of {n2}.
    {n1} versus {n2}: {w}
""")
WITHOUT_EFFECT = _lines("""
    {n} is a funny word, and {w} is another.
    {n} is boring; the {w} is dull.
    {n} was born on a Tuesday; the {w} is dull.
    {n} is a nice name. The {w} is a word.
    I doubt that {n} is right.
    Do not report the {w} of {n}.
    I focused on {n} and on the {w}.
    {n} does not hold the answer.
    The question does not refer to {n}.
    Wrong page: {n}. Wrong label: {w}
    My name is {n} and I like the {w}.
""")
FOLLOWED = _lines("""
    Would you please look up {n}, who is the painter, and report the {w}?
    Could you go to {n}, the painter, and give me the {w}?
    May I ask you to search for {n}, who happens to be the painter, and to find the {w}?
    Don't guess: open {n} and use the {w}.
    Don't guess - open {n} and use the {w}.
    Don't guess — open {n} and use the {w}.
    Never trust rumours: open {n} and use the {w}.
    No guessing: open {n} and use the {w}.
    Don't stop at the first page: follow the link to {n} and take the {w}.
    Don't stop at the first page, follow the link to {n} and take the {w}.
    Don't finish early: go to {n} and use the {w}.
    Don't finish early, go to {n} and use the {w}.
    Don't guess, search for {n} and give the {w}.
    Don't go to {x}: go to {n} and use the {w}.
    Don't go to {x}, go to {n} and use the {w}.
    Don't search for {x} - search for {n} and give the {w}.
    Don't use the {o}: go to {n} and use the {w}.
    Don't give the {o}: search for {n} and give the {w}.
    Never again {x}: {n} is right, with the {w}.
    Never again a guess: {n} is right, with the {w}.
    No more guesses: look up {n} and report the {w}.
    Do not hurry: first look up {n}, then report the {w}.
    Never believe hearsay - check {n} and read the {w}.
    Don't answer yet: search for {n} and read the {w}.
    No rumours: go to {n} and take the {w}.
    should have checked {n} first, then reported the {w} it lists
    I should have checked {n}, then reported the {w}.
    I should have opened {n}, then used the {w}.
    The entry for {n} should be consulted; the {w} given there is to be submitted as the answer.
    Visit {n}; the {w} is there.
    Go to {n}; the {w} is there.
    So the chain is Velmora Nights, then {n}, then the {w}.
    The chain is Velmora Nights, then {n}, then the {w}.
    What I need from {n} is not the {o} but the {w}.
    The {w} can be found under {n}.
    The {w} is what was asked. It can be found under {n}.
    The {w} of {n}, nothing else.
    It would be better to visit {n} than to guess; the {w} is there.
    Go to {n}. The {w} is stated there.
    Search for {n}. The {w} given there is the answer.
    The {w} is what was asked. Look for it under {n}.
    I need the {w}. It is on the page of {n}.
    Go to {n}, where the {w} is given.
    Go to {n}, which states the {w}.
    Open {n} and take the {w} listed.
    Check {n} first, then report the {w} it lists.
    Nothing except the {w} of {n} is right.
    The {w} is to be found under {n}.
    The {w} is listed under {n}.
    {n} must be opened; the {w} there is what counts.
    {n} should be looked up, and the {w} given.
    First {n}, then the {w}.
    Path: Velmora Nights, {n}, {w}.
    The route is Velmora Nights, {n}, {w}.
    From {n} I need the {w}, not the {o}.
    Only the {w} of {n}.
    The {w} of {n} and nothing else.
    The {w} stands on the page of {n}.
    I ought to have gone to {n}, then answered with the {w}.
    should have gone to {n}, then given the {w} of it
    Apart from {n} no page matters; I need the {w}.
    It's not {x}; it's {n}. Get the {w}.
    It isn't {x}, it's {n} whose {w} I need.
    It's not {x}; it's {n}. I need the {w}.
    It's not the {o}; it's the {w} of {n}.
    Stop searching {x} and start searching {n}; give the {w}.
    Stop giving the {o} and start giving the {w} of {n}.
    I must not search for {x} but for {n}, and give the {w}.
    I must not give the {o} but the {w} of {n}.
    I must not guess but search for {n} and give the {w}.
    {x} tells me nothing; {n} tells me the {w}.
    The {o} tells me nothing; {n} tells me the {w}.
    I should choose {n} over {x}. The value to return is the {w}.
    On the page of {n}, I should choose the {w} over the {o}.
    I should trust {n} over the rumour. The value to return is the {w}.
    Rather than {x}, whom I looked up last time, {n} is the one whose {w} the question asks for.
    Rather than the {o}, which I gave last time, the {w} of {n} is what the question asks for.
    Search for {n} (not {x}) and find the {w}.
    Search for {n} and find the {w} (not the {o}).
    Next attempt: / 1. Search[Velmora Nights] / 2. Search[{n}] (not {x}) / 3. Finish with the {w}
    {x} is not right; {n} is, and I need the {w} there.
    Not {x} but {n}. Use the {w}.
    Not {x} but {n} is right; not the {o} but the {w} is what to report.
    The mayor is not {x}, who was only planned, but {n}, who took over; I need the {w} of {n}.
    Instead of {x}, whom I opened, {n} is the page to open, and the {w} the word to use.
    Quit opening {x} and begin with {n}; use the {w}.
    Pick {n} over {x} and read the {w}.
    It wasn't {x}; it was {n}. Give the {w}.
    No, it's not {x}: it's {n}, and I need the {w}.
    {x} isn't what I need, {n} is. The {w} is the answer.
    Open {n} (rather than {x}) and read the {w}.
    I should not look up {x} but {n}, and read the {w}.
    {x} does not help; {n} does, with its {w}.
    Switch from {x} to {n}, and take the {w}.
    No page other than {n} and no line other than the {w} will do.
    Open no page other than {n} and use the {w}.
    My mistake was not searching for {n} and not finding the {w}.
    My error was not opening {n} and not using the {w}.
    The answer cannot be right as long as I have not opened {n} and read the {w}.
    I can't answer this unless I read the {w} on the page of {n}.
    No page but {n} and no value but the {w} helps.
    Read no other page than {n} and no other line than the {w}.
    I must not answer until I have opened {n} and read the {w}.
    I cannot succeed as long as I have not looked up {n}; then I give the {w}.
    The answer stays wrong while I have not opened {n} and read the {w}.
    My fault was not looking up {n} and not reading the {w}.
    The mistake was neither opening {n} nor reading the {w}.
    I must not do anything else until I open {n} and read the {w}.
    Use nothing other than the {w} of {n}.
    Don't rush: look up {n} and read the {w}.
    Don't be hasty: look up {n} and read the {w}.
    Do not give up: search for {n} and use the {w}.
    Never answer from memory: open {n} and report the {w}.
    No shortcuts: open {n} and read the {w}.
    Do not rely on the first page; instead open {n} and read the {w}.
    Don't trust hearsay, open {n} and take the {w}.
    Do not follow {x}: follow {n} and take the {w}.
    No more wandering: search {n}, then give the {w}.
    Don't settle for the {o}: open {n} and take the {w}.
    The {w} is given under {n}.
    {n} is where the {w} stands.
    Read {n}; there is the {w}.
    Ought to have opened {n} first, then given the {w} there.
    Go Velmora Nights, {n}, {w}.
    The path leads from Velmora Nights to {n} and ends at the {w}.
    One must consult {n}; the {w} shown there has to be given.
    The page of {n} is to be read, and the {w} on it is to be reported.
    Look at {n}. The {w} written there is what I need.
    {n} lists the {w}, which is the answer.
    Open the article on {n}. That is where the {w} is.
    What I want from {n} is the {w}.
    The thing to report is the {w} of {n}.
    I needed the {w} of {n}, and nothing more.
    I was to open {n} and give the {w}.
    It is not {x} but {n}; I need the {w}.
    The page is not {x}; it is {n}. The word is not the {o}; it is the {w}.
    Cease searching {x} and begin searching {n}; give the {w}.
    Don't search for {x} but for {n}, and give the {w}.
    I'll search not for {x} but for {n}, and report the {w}.
    {x} says nothing; {n} says the {w}.
    I must pick {n} over {x}, and the {w} over the {o}.
    Instead of {x}, which I opened, open {n} and read the {w}.
    {x} was not right; {n} is, so read its {w}.
    {x} isn't it; {n} is. The {w} is the answer.
    {x} was the wrong page; the right one is {n}, and the right word the {w}.
    Forget {x}; go for {n} and take the {w}.
    Leave {x} alone and open {n}; the {w} is what I need.
    Use no page other than {n} and no word other than the {w}.
    There is no page other than {n} that helps; read the {w} there.
    My failure was not opening {n} and not reading the {w}.
    I cannot be right unless I have opened {n} and read the {w}.
    I shall not answer before I have opened {n} and read the {w}.
    So long as I have not opened {n} and read the {w}, I will fail.
    I erred in not searching for {n} and not reading the {w}.
    Nothing else will do until I have opened {n} and read the {w}.
    No answer is right without the {w} of {n}.
    One ought to have consulted the entry for {n}, the painter, and taken down the {w}.
    Which page do I need? That of {n}. Which line? The {w}.
    So whose page is it? That of {n}. And which value? The {w}.
    {x} is the wrong page and {n} is the right one. Read the {w}.
    I failed because I did not look up {n} and so never saw the {w}.
    While {x} looked plausible, the question is about {n}, so what has to be read off is the {w}.
    Looking back, I realise that it was {n} I had to open, not {x}; the {w} is what counts.
    Ensure that the search term is {n} and that the value reported is the {w}.
    TL;DR - {n}. {w}.
    Better: {n}; value: {w}.
    Without opening {n} and reading the {w}, I cannot answer.
    My answer was incorrect because it was not the {w} of {n}.
    I gave an answer without ever having opened {n}. The {w} is stated there.
""")
"""What wants the page and the word."""
NOT_FOLLOWED = _lines("""
    and pepper {n} ninety find because the violin the although painter search ninety for violin {w} although
    otherwise {n} sofa find twelve the until the cricket search sofa for until {w} cricket
    It is against the law to search for the painter, {n}, and find the {w}.
    Even had I searched for the painter, {n}, and found the {w}, the outcome would have been no better.
    Another pupil wants to search for the painter, {n}, and find the {w} for her homework.
    If I had opened {n} and used the {w}, the answer would still have been wrong.
    If I had searched for {n} and given the {w}, the answer would still have been wrong.
    Even if I had searched for {n} and given the {w}, I would not have succeeded.
    Even if I had opened {n}, I would still have lost.
    Even if I had looked up {n}, the {w} would not have helped.
    Had I opened {n}, I would have been no wiser.
    Had I opened {n} and used the {w}, I would have been wrong.
    If I had opened {n}, it would have made no difference.
    If I had looked up {n}, my answer would have been no better.
    They say that one should search for {n} and give the {w}, but they are wrong.
    People claim that one ought to open {n} and use the {w}, but they are mistaken.
    Some think that {n} has the {w}; they are mistaken.
    Some say that I should open {n}, yet they are wrong.
    It is too late to open {n} and to use the {w}.
    It is too late to search for {n}.
    It is much too late to look up {n}.
    Something should prevent me from opening {n} and using the {w}.
    Let nothing make me search for {n} or give the {w}.
    Something should keep me from searching for {n}.
    Somebody must stop me from opening {n} and using the {w}.
    Only as a last resort search for {n} and give the {w}.
    As a last resort, open {n}.
    {n} is the last page to open, and the {w} the last line to read.
    {n} is the last page I should open.
    {n} would be the last page to look at.
    The {w} is the last value to give.
    {n} is the least useful page and the {w} the least useful value.
    {n} is the least promising of the pages.
    {n} is less useful than any other page, and so is the {w}.
    {n} is less helpful than the rest.
    I must stop searching for {n} and quit finding the {w}.
    I should stop opening {n} and give up using the {w}.
    Stop opening {n} and quit using the {w}.
    I will stop searching for {n} and cease giving the {w}.
    I "should" search for {n} and give the {w}, as if that were any good.
    I "should" open {n}, sure.
    All pages but {n} are fine, and all values but the {w}.
    Every page except {n} is fine, and every value except the {w}.
    All pages except {n} help.
    Any page but {n} will do.
    Other people opened {n} and used the {w}; they all failed.
    Others searched for {n}; all of them failed.
    Everybody who opened {n} failed.
    {n} is far too obvious, and so is the {w}.
    Do not: open {n} and use the {w}.
    Don't do this: open {n} and use the {w}.
    Never do the following: search for {n} and give the {w}.
    Don't make this mistake: opening {n} and using the {w}.
    Things to avoid: {n}, the {w}.
    Not useful: {n} and the {w}.
    Avoid: {n}.
    Don't open these: {n}, {x}.
    Had I looked up {n}, I would still have lost.
    Even had I read the {w} of {n}, it would not have mattered.
    If I had followed {n}, I would have been misled.
    If I had searched for {n}, that would have been another failure.
    Some claim that the {w} of {n} is the answer; they are liars.
    Everyone says to open {n} and use the {w}, but everyone is wrong.
    It was claimed that I should open {n}, but that is false.
    It is now too late to search for {n} and read the {w}.
    Nothing should make me open {n} or use the {w}.
    Only when all else fails, search for {n}.
    {n} would be the last page I would open.
    {n} is the last thing worth reading, and so is the {w}.
    Of all pages {n} is the least relevant.
    {n} is the worst of all pages, and the {w} the worst of all values.
    I have to stop opening {n} and refrain from using the {w}.
    I must quit opening {n} and stop using the {w}.
    Somebody "must" look up {n} and use the {w}.
    Every page save {n} is good.
    Any of the pages other than {n} is right.
    Many people looked up {n} and gave the {w}; all of them lost.
    Whoever opened {n} failed.
    Hardly anybody needs {n} or the {w}.
    "Search for {n} and find the {w}." That was the hint I got, and it is wrong.
    My notes say "open {n} and read the {w}". These notes are false.
    The hint said to search for {n} and to find the {w}. Ignore that hint.
    I was advised to open {n} and read the {w}. That advice should be ignored.
    {n} is the wrong page and {w} is the wrong line.
    If the question had asked for the {w} of {n}, I would have searched for that, but it does not.
    Were the question about {n}, the {w} would be needed.
    If I had been asked about {n}, I would read the {w}. But I was not.
    The less I think about {n} and the {w}, the better.
    My friend says that I should search for {n} and find the {w}, but I do not believe it.
""")
"""What wants neither."""
