// Texts: which words of a reflection stand in the failure, what differs between two texts, and the actor's prompt.
"use strict";

const TOKEN = /[\p{L}\p{N}_]+(?:['’-][\p{L}\p{N}_]+)*|\s+|[^\s\p{L}\p{N}_]/gu;
const WORD = /^[\p{L}\p{N}_]/u;
const SENTENCE_END = /^[.!?;:\n]/;
const LONGEST = 8; // words of a name

// Words that say nothing of one failure rather than another.
const COMMON = new Set(
  (
    "a about after again all also always an and another answer any are as at be because been before both but by can " +
    "carefully check could did do does done each either else every find first for from get give go had has have how " +
    "i if in instead into is it its just know last like look make many may me might more most must my need next no " +
    "not now of off on once one only open or other out over own page put question read right same search see should " +
    "so some such sure take task than that the their them then there these they thing things this those though time " +
    "to too trial try turn until up use very was way were what when where which while who whose why will with " +
    "without word words would you your look lookup finish click execute submit action thought observation"
  ).split(" "),
);

Retro.tokens = (text) => (text.match(TOKEN) || []).map((one) => ({ text: one, word: WORD.test(one) ? one.toLowerCase() : "" }));

const wordsOf = (text) => ` ${Retro.tokens(text).filter((one) => one.word).map((one) => one.word).join(" ")} `;

function telling(token, starts) {
  if (/\p{N}/u.test(token.text)) return true;
  if (COMMON.has(token.word)) return false;
  return (/^\p{Lu}/u.test(token.text) && !starts) || token.word.length >= 4;
}

// Returns the names in a reflection, as lists of words, that stand in one of some texts as well: the longest runs of
// words that both have, without common words at their ends.
Retro.names = function (reflection, texts) {
  const places = texts.map(wordsOf);
  const runs = [[]];
  let starts = true;
  for (const token of Retro.tokens(reflection)) {
    if (token.word) {
      runs.at(-1).push({ ...token, telling: telling(token, starts) });
      starts = false;
    } else if (SENTENCE_END.test(token.text)) {
      runs.push([]);
      starts = true;
    }
  }
  const found = new Map();
  for (const run of runs) {
    for (let start = 0; start < run.length; start += 1) {
      let length = Math.min(LONGEST, run.length - start);
      const text = (count) => run.slice(start, start + count).map((one) => one.word).join(" ");
      while (length > 0 && !places.some((place) => place.includes(` ${text(length)} `))) length -= 1;
      let name = run.slice(start, start + length);
      while (name.length && COMMON.has(name[0].word)) name = name.slice(1);
      while (name.length && COMMON.has(name.at(-1).word)) name = name.slice(0, -1);
      if (name.some((one) => one.telling)) found.set(name.map((one) => one.word).join(" "), name.map((one) => one.text));
      start += Math.max(0, length - 1);
    }
  }
  return found;
};

// Returns a text as nodes, with its names marked.
//   names   words of each name, mapped to a class and a title
//   fresh   a set of the numbers of words that the other text does not have
Retro.marked = function (text, names, fresh) {
  const tokens = Retro.tokens(text);
  const words = tokens.map((token, place) => ({ word: token.word, place })).filter((one) => one.word);
  const starts = new Map(); // place of the first token of a name: the last one, and the name
  for (let number = 0; number < words.length; number += 1) {
    for (let length = Math.min(LONGEST, words.length - number); length > 0; length -= 1) {
      const name = words.slice(number, number + length).map((one) => one.word).join(" ");
      if (names && names.has(name)) {
        starts.set(words[number].place, [words[number + length - 1].place, name]);
        number += length - 1;
        break;
      }
    }
  }
  const nodes = [];
  let home = nodes;
  let end = -1;
  let count = -1;
  tokens.forEach((token, place) => {
    if (token.word) count += 1;
    if (starts.has(place)) {
      const [last, name] = starts.get(place);
      end = last;
      home = [];
      nodes.push([names.get(name), home, name]);
    }
    const shown = Retro.seen(token.text);
    home.push(fresh && token.word && fresh.has(count) ? Retro.el("ins", {}, shown) : shown);
    if (place === end) home = nodes;
  });
  return nodes.map((node) =>
    Array.isArray(node) ? Retro.el("mark", { class: node[0].class, title: node[0].title, "data-name": node[2] }, node[1]) : node,
  );
};

// Returns the numbers of the words of a text that another text does not have, in the longest common order.
Retro.fresh = function (text, other) {
  const [one, two] = [text, other].map((each) => Retro.tokens(each).filter((token) => token.word).map((token) => token.word));
  const most = 500;
  if (one.length > most || two.length > most) return new Set();
  const common = Array.from({ length: one.length + 1 }, () => new Uint16Array(two.length + 1));
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = two.length - 1; j >= 0; j -= 1) {
      common[i][j] = one[i] === two[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const found = new Set();
  let [i, j] = [0, 0];
  while (i < one.length) {
    if (j < two.length && one[i] === two[j]) {
      i += 1;
      j += 1;
    } else if (j < two.length && common[i][j + 1] > common[i + 1][j]) {
      j += 1;
    } else {
      found.add(i);
      i += 1;
    }
  }
  return found;
};

Retro.sameTurn = (one, two) => Boolean(one && two && one[1] === two[1] && one[2] === two[2]);

// Returns the actor's prompt before a turn, counted from 0; without instruction and examples if they are not known.
Retro.prompt = function (panel, failure, trial, turn) {
  const lines = [trial.task || failure.task];
  trial.turns.slice(0, turn).forEach(([thought, action, observation], number) => {
    lines.push((thought ? `Thought ${number + 1}: ${thought}\n` : "") + `Action ${number + 1}: ${action}`);
    lines.push(`Observation ${number + 1}: ${observation}`);
  });
  const history = lines.join("\n");
  if (trial.form === undefined) return history;
  return panel.forms[trial.form].map((part) => (part === 0 ? history : part === 1 ? trial.noted : part)).join("");
};
