"""Advice that is taken back in so many words, and advice that only looks like it."""

__all__ = ["MEANT", "TAKEN_BACK"]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.strip().splitlines() if not line.startswith("#"))


TAKEN_BACK = _lines("""
# What would have come of it.
Even had I opened X, the outcome would have been no better.
Even supposing that I had opened X, the answer would have been marked as incorrect.
If the agent had opened X, the task would still be unsolved.
Had I opened X, my answer would have been just as wrong.
Suppose I had opened X: the outcome would have been exactly the same.
Were I to open X, I would gain nothing.
I could have opened X, but it would have changed nothing.
I might have opened X, but the result would have been the same.
If I had opened X, that would not have saved the attempt.
# Blame.
Opening X was my undoing; I will not do it again.
It was opening X that wrecked the trial.
The plan to open X is what sank my last attempt.
I had planned to open X, and this very plan ruined everything.
"Open X" was the hint which I obeyed, and obeying it was exactly my mistake.
My last note said "open X", and obeying it cost me the game.
Opening X and reading Y spoiled the whole attempt.
The idea to open X led me into the failure, so I must get rid of it.
Opening X, that is how I lost.
# What is called false.
A man on the bus told me, "Open X." He was making it up.
Word goes round that one has to open X. Do not believe a word of it.
Rumour has it that one should open X, but there is not a word of truth in it.
It says on a wall, "Open X!" This has since been proved wrong.
A leaflet claims that you must open X; the claim is false from beginning to end.
"Open X," said a salesman, but he was not telling the truth.
I read somewhere that it is best to open X; that has turned out to be quite untrue.
A fortune teller predicted that I would open X. She was a fraud.
# Irony that is taken back.
What a splendid plan: open X! I would rather not.
Oh sure, open X. Thanks, but no thanks.
Great, open X! How absurd.
Wonderful: open X. I have never heard anything so foolish.
Sure, open X. That would not help at all.
Ha, open X! Of course that would lead to nothing.
Naturally, open X! I am not that stupid.
Fantastic: open X. A more useless plan is hard to imagine.
For a second I thought of opening X, but I dismissed the idea.
# What others plan.
A friend of hers plans to open X tomorrow.
Another player is about to open X in a game of his own.
The gardener has been asked to open X, but that is his affair and not mine.
Two pupils from the village want to open X for their homework.
He is going to open X, but I am not.
Her plan is to open X. I have a task of my own.
Your homework is to open X; mine is something else.
# What is forbidden.
Anybody who dares to open X will be expelled.
By the rules of the house, whoever opens X is out of the game.
Anyone caught opening X is sent home.
It is against the law to open X.
Opening X is a crime.
Keep your hands off X.
Stay away from Y and leave X where it is.
There is a ban on opening X.
If you open X, you will be thrown out.
# Word salad.
and find pepper X ninety the whereas the violin although search the pepper
search walnut the lest X open and because and forty
""")
MEANT = _lines("""
If I use X, I will lose no time.
If I use X, the query will no longer fail.
Had I opened X, I would not have failed.
If I had not ignored X, the trial would not have been lost.
Even if it is far away, go to X.
Even if I had more time, I would open X first.
I never opened X. I must not repeat that mistake.
I should have used X. That is why I lost.
I did not use X. That is how I lost.
I missed X. It was this error that cost me the game.
It was Y that ruined my attempt; use X.
Opening Y ruined the attempt, so open X.
Use X. My last plan ruined everything.
Use X. The old plan was nonsense.
Use X. That will not fail.
Use X. It would not be wrong.
Use X. I was deceived by Y.
Open X. My task needs nothing else.
Open X! Thank you.
The question wants to know X.
The customer wants to buy X.
My next attempt is going to use X.
Another way is to use X.
A better plan is to open X.
Some players open Y, but I will open X.
Those who do not open X are disqualified.
Whoever wants to win must open X.
X is the one to use because it fits.
X is the bank and thus the right page, so open it.
Use X the next time, although it is far.
Could you please open X, which is the right page, and read Y?
May I ask you to open X, which is the right page?
Please would you open X?
""")
