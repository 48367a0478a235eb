// Which failures the list holds, and in which order.
"use strict";

Retro.RESULTS = {
  won: "won: solved by A, not by B",
  lost: "lost: solved by B, not by A",
  both: "both solved it",
  neither: "neither solved it",
  unknown: "not played or not scored by both",
};
Retro.SINGLE = { won: "solved", some: "solved by some reflections", neither: "not solved", unknown: "not scored" };
const ORDER = { won: 0, lost: 1, some: 1, neither: 2, both: 3, unknown: 4 };

Retro.SORTS = {
  result: "won and lost first",
  task: "task",
  kind: "kind of task",
  cause: "cause of failure",
  reward: "reward of A",
  gain: "reward of A − B",
  tries: "number of reflections",
  update: "update",
};

// Returns the share that a policy has solved by the trial that counts, null if the actor failed or it did not play.
Retro.score = function (panel, row, policy) {
  const outcome = policy < 0 ? null : Retro.outcome(panel, row, policy);
  return outcome ? outcome[0][Math.min(Retro.state.trial, outcome[0].length - 1)] : null;
};

// Returns won, lost, both, neither or unknown; of one policy won, some, neither or unknown.
Retro.result = function (panel, row) {
  const { a, b } = Retro.state;
  const one = Retro.score(panel, row, a);
  if (one === null) return "unknown";
  if (b < 0) return one === 1 ? "won" : one > 0 ? "some" : "neither";
  const two = Retro.score(panel, row, b);
  if (two === null) return "unknown";
  if (one === two) return one > 0 ? "both" : "neither";
  return one > two ? "won" : "lost";
};

const reward = (panel, row, policy) => {
  const outcome = policy < 0 ? null : Retro.outcome(panel, row, policy);
  return outcome ? outcome[1] : null;
};

Retro.gain = function (panel, row) {
  const [one, two] = [reward(panel, row, Retro.state.a), reward(panel, row, Retro.state.b)];
  return one === null || two === null ? null : one - two;
};

const KEYS = {
  result: (panel, row) => ORDER[Retro.result(panel, row)],
  task: () => 0,
  kind: (panel, row) => panel.groups[row[2]],
  cause: (panel, row) => panel.causes[row[3]],
  reward: (panel, row) => -(reward(panel, row, Retro.state.a) ?? -Infinity),
  gain: (panel, row) => -(Retro.gain(panel, row) ?? -Infinity),
  tries: (panel, row) => -(Retro.outcome(panel, row, Retro.state.a)?.[5] ?? -1),
  update: (panel, row) => Retro.updates(panel, row)[0] ?? Infinity,
};

function passes(panel, row, number, filter, words) {
  const outcome = Retro.outcome(panel, row, Retro.state.a);
  if (filter.result) {
    const result = Retro.result(panel, row);
    if (filter.result === "differ" ? !["won", "lost"].includes(result) : result !== filter.result) return false;
  }
  if (filter.kind && String(row[2]) !== filter.kind) return false;
  if (filter.cause && String(row[3]) !== filter.cause) return false;
  if (filter.end && (!outcome || String(outcome[2]) !== filter.end)) return false;
  if (filter.leak && (!outcome || String(outcome[3]) !== filter.leak)) return false;
  if (filter.named && (!outcome || String(outcome[4]) !== filter.named)) return false;
  const paid = outcome ? outcome[1] : null;
  if (Number.isFinite(filter.least) && (paid === null || paid < filter.least)) return false;
  if (Number.isFinite(filter.most) && (paid === null || paid > filter.most)) return false;
  if (words.length) {
    const text = Retro.words ? Retro.words[Retro.state.panel][number] : `${row[0]} ${row[4]}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) return false;
  }
  return true;
}

// Returns the words of a search; a part in quotation marks is one word.
Retro.searched = (text) =>
  [...(text || "").toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map((found) => found[1] || found[2]).filter((word) => word !== '"');

// Returns the numbers of the failures that pass the filter, in order.
Retro.filtered = function () {
  const panel = Retro.panel();
  const { filter, sort, up } = Retro.state;
  const words = Retro.searched(filter.text);
  const found = [];
  panel.rows.forEach((row, number) => {
    if (passes(panel, row, number, filter, words)) found.push({ number, row, key: KEYS[sort](panel, row) });
  });
  const sign = up ? 1 : -1;
  const compare = (one, two) => (one < two ? -1 : one > two ? 1 : 0);
  found.sort(
    (one, two) =>
      sign * compare(one.key, two.key) || sign * compare(one.row[0], two.row[0]) || compare(one.row[1], two.row[1]),
  );
  return found.map((each) => each.number);
};
