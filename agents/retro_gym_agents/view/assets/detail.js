// One failure: the failed trial, and beside each other what each policy reflected and what came of it.
"use strict";

Retro.detail = {};

Retro.detail.make = function () {
  Retro.detail.box = Retro.el("section", { id: "detail", tabindex: "-1", "aria-label": "Detail" });
  return Retro.detail.box;
};

Retro.detail.show = async function (number) {
  const panel = Retro.panel();
  const failure = await Retro.failure(panel, number);
  if (Retro.state.open !== number || Retro.panel() !== panel) return; // another one was opened meanwhile
  const box = Retro.detail.box;
  Retro.refill(box, await content(panel, number, failure));
  box.scrollTop = 0;
};

async function content(panel, number, failure) {
  const { el } = Retro;
  const row = panel.rows[number];
  const first = failure.trials.findIndex((trial) => trial.number === 0);
  const shown = Retro.shown();
  const tries = failure.tries.filter((one) => shown.includes(panel.policies.indexOf(one.policy)));
  const names = namesByTrial(failure, tries);
  const numbers = [...new Set(tries.map((one) => one.trial))].sort((one, two) => one - two);
  const about = [panel.env_id, panel.groups[row[2]], panel.causes[row[3]] && `cause: ${panel.causes[row[3]]}`, `seed ${row[1]}`];
  return el(
    "article",
    {},
    el(
      "div",
      { class: "detail-head" },
      el("h2", {}, Retro.seen(row[0])),
      el("span", { class: "about" }, Retro.seen(about.filter(Boolean).join(" · "))),
      el("span", { class: "spring" }),
      el("button", { type: "button", class: "small", title: "Previous task (k)", onclick: () => Retro.move(-1) }, "↑ previous"),
      el("button", { type: "button", class: "small", title: "Next task (j)", onclick: () => Retro.move(1) }, "↓ next"),
      el("button", { type: "button", class: "small", title: "Back to the overview (Esc)", onclick: () => Retro.close() }, "✕"),
    ),
    failure.task && el("pre", { class: "task-text", dir: "auto", tabindex: "0", "aria-label": "Task" }, Retro.seen(failure.task)),
    verdict(panel, row),
    Object.entries(failure.lost).map(([policy, error]) => el("p", { class: "error" }, Retro.seen(`${policy}: the actor failed: ${error}`))),
    first >= 0 && failedTrial(panel, failure, first, names),
    panel.curves.length > 0 && (await Retro.overUpdates(panel, number)),
    numbers.map((trial) => round(panel, failure, tries.filter((one) => one.trial === trial), trial, names)),
    !tries.length && el("p", { class: "unknown" }, "No reflection was written here by the policies that are shown."),
  );
}

function verdict(panel, row) {
  const { a, b } = Retro.state;
  if (b < 0) return null;
  const result = Retro.result(panel, row);
  const gain = Retro.gain(panel, row);
  return Retro.el(
    "p",
    { class: `verdict ${result}` },
    Retro.el("b", {}, result === "unknown" ? "not scored by both" : result),
    ` by trial ${Retro.state.trial}: A ${Retro.seen(panel.policies[a])}, B ${Retro.seen(panel.policies[b])}`,
    gain === null ? "" : `, reward A − B ${Retro.signed(gain)}`,
  );
}

// For each failed trial the names in the reflections on it: by A, by B, or by both or others.
function namesByTrial(failure, tries) {
  const panel = Retro.panel();
  const letters = new Map([[panel.policies[Retro.state.a], "a"]]);
  if (Retro.state.b >= 0) letters.set(panel.policies[Retro.state.b], "b");
  const found = new Map();
  for (const one of tries) {
    const trial = failure.trials[one.before];
    if (!trial) continue;
    if (!found.has(one.before)) found.set(one.before, new Map());
    const names = found.get(one.before);
    for (const name of Retro.names(one.text, Retro.textsOf(failure, trial)).keys()) {
      if (!names.has(name)) names.set(name, { by: new Set(), letters: new Set() });
      names.get(name).by.add(one.policy);
      names.get(name).letters.add(letters.get(one.policy) || "more");
    }
  }
  for (const names of found.values()) {
    for (const about of names.values()) {
      about.class = `name by-${about.letters.size === 1 ? [...about.letters][0] : "more"}`;
      about.title = Retro.seen(`named by ${[...about.by].join(", ")}`);
    }
  }
  return found;
}

function failedTrial(panel, failure, place, names) {
  const { el } = Retro;
  const trial = failure.trials[place];
  return el(
    "details",
    { class: "failed", open: true },
    el("summary", {}, el("b", {}, "Trial 0 "), Retro.ending(trial), trial.source === "bank" && el("span", { class: "tag" }, "from a bank")),
    el("div", { "data-trial": place }, Retro.timeline(panel, failure, trial, { names: names.get(place) })),
  );
}

function round(panel, failure, tries, trial, names) {
  const { el } = Retro;
  const order = (one) => Retro.shown().indexOf(panel.policies.indexOf(one.policy));
  const sorted = [...tries].sort((one, two) => order(one) - order(two) || (two.reward ?? -Infinity) - (one.reward ?? -Infinity));
  const branches = sorted.length > Retro.shown().length;
  const cards = sorted.map((_, number) => card(panel, failure, sorted, number, names, branches));
  const places = sorted.map((one) => panel.policies.indexOf(one.policy));
  return el(
    "section",
    { class: "round", "aria-label": `Reflection ${trial + 1} and trial ${trial + 1}` },
    el("h3", {}, `Reflection ${trial + 1} → trial ${trial + 1}`, branches && el("small", {}, ` ${sorted.length} branches, best reward first`)),
    el("div", { class: "cards" }, branches ? cards : Retro.shown().map((policy) => cards[places.indexOf(policy)] || absent(panel, policy, trial))),
  );
}

// Keeps the column of a policy that wrote no such reflection.
function absent(panel, policy, trial) {
  const { el } = Retro;
  const outcome = Retro.outcome(panel, panel.rows[Retro.state.open], policy);
  const why = !outcome ? "did not play" : outcome[0][trial] === 1 ? `solved at trial ${outcome[0].indexOf(1)}` : "no reflection";
  return el("div", { class: "card absent" }, el("b", {}, Retro.seen(panel.policies[policy])), ` ${why}`);
}

function card(panel, failure, tries, number, names, branches) {
  const { el } = Retro;
  const one = tries[number];
  const other = number ? tries[0] : tries[1];
  const policy = panel.policies.indexOf(one.policy);
  const letter = policy === Retro.state.a ? "A" : policy === Retro.state.b ? "B" : "";
  const after = one.after.length ? failure.trials[one.after[0]] : null;
  const fresh = other && other.text.trim() && other.text !== one.text ? Retro.fresh(one.text, other.text) : null;
  return el(
    "div",
    { class: `card ${letter ? `is-${letter.toLowerCase()}` : ""}` },
    el(
      "div",
      { class: "card-head" },
      letter && el("span", { class: "letter" }, letter),
      el("b", { title: Retro.seen(one.policy) }, Retro.seen(one.policy)),
      one.update !== null && one.policy !== `update ${one.update}` && el("span", { class: "tag" }, `update ${one.update}`),
      el("span", { class: "tag" }, one.reward === null ? "no reward: the actor failed" : `reward ${Retro.number(one.reward)}`),
      one.leak && el("span", { class: "tag leak", title: "The reflection contains the task's answer." }, "⚑ leak"),
      one.named !== null && el("span", { class: one.named ? "tag good" : "tag" }, one.named ? "names the cause" : "does not name the cause"),
    ),
    one.text.trim()
      ? el("blockquote", { class: "reflection", dir: "auto" }, Retro.marked(one.text, names.get(one.before), fresh))
      : el("blockquote", { class: "reflection blank" }, "(a blank reflection: a plain retry)"),
    one.text.trim() && named(failure, one, names.get(one.before)),
    after && attempt(panel, failure, one, after, number ? tries[0] : null, names, branches),
    one.controls.length > 0 && controls(panel, failure, one),
  );
}

// Lists the names of a reflection with the turns where they stand; a button leads there.
function named(failure, one, names) {
  const { el } = Retro;
  const trial = failure.trials[one.before];
  if (!trial || !trial.turns) return null;
  const found = [...Retro.names(one.text, Retro.textsOf(failure, trial))];
  if (!found.length) return el("p", { class: "named" }, "It names nothing that stands in the failed trial.");
  const buttons = found.map(([name, shown]) => {
    const places = trial.turns
      .map((turn, number) => (turn.slice(0, 3).some((text) => holds(text, name)) ? number + 1 : 0))
      .filter(Boolean);
    const where = places.length ? `turn ${places.join(", ")}` : "the task";
    const show = () => Retro.flash(one.before, name);
    return el("button", { type: "button", class: `small ${names.get(name).class}`, onclick: show }, `${Retro.seen(shown.join(" "))} · ${where}`);
  });
  return el("p", { class: "named" }, el("span", {}, "names "), buttons);
}

const holds = (text, name) => ` ${Retro.tokens(text).filter((one) => one.word).map((one) => one.word).join(" ")} `.includes(` ${name} `);

// Brings the first place of a name in a trial into sight.
Retro.flash = function (place, name) {
  const home = Retro.detail.box.querySelector(`[data-trial="${Number(place)}"]`);
  if (!home) return;
  const marks = [...home.querySelectorAll("mark")].filter((mark) => mark.dataset.name === name);
  marks.forEach((mark) => {
    mark.classList.remove("flash");
    void mark.offsetWidth; // starts the animation anew
    mark.classList.add("flash");
  });
  for (let at = marks[0]; at && at !== Retro.detail.box; at = at.parentElement) {
    if (at.tagName === "DETAILS") at.open = true;
  }
  if (marks.length) marks[0].scrollIntoView({ block: "center" });
};

const apartFrom = (lead, one) => (lead.policy === one.policy ? "the first" : `that of ${Retro.seen(lead.policy)}`);

function attempt(panel, failure, one, after, lead, names, branches) {
  const { el } = Retro;
  const beside = lead && lead.after.length ? failure.trials[lead.after[0]] : null;
  const turn = beside ? Retro.parting(after, beside) : -1;
  const apart = turn >= 0 ? { turn, policy: apartFrom(lead, one) } : null;
  const place = one.after[0];
  const made = () => Retro.timeline(panel, failure, after, { names: names.get(place), earlier: failure.trials[one.before], apart });
  const home = el("div", { "data-trial": place });
  const alike = beside && turn < 0 && beside.turns && after.turns;
  const summary = el(
    "summary",
    {},
    el("b", {}, `Trial ${after.number} `),
    Retro.ending(after),
    alike && el("span", { class: "tag" }, `the same as ${apartFrom(lead, one)}`),
    after.turns && el("small", {}, ` ${after.turns.length} turns`),
  );
  const shown = el("details", { class: "attempt", ontoggle: () => shown.open && !home.firstChild && home.append(made()) }, summary, home);
  if (!branches && !alike) {
    home.append(made());
    shown.open = true;
  }
  return shown;
}

function controls(panel, failure, one) {
  const { el } = Retro;
  const figure = (trial) => (trial ? Retro.ending(trial) : "void");
  const rows = one.controls.map((place, pair) => {
    const [played, control] = [failure.trials[one.after[pair]], place < 0 ? null : failure.trials[place]];
    const known = played && control && played.return !== null && control.return !== null;
    const show = control && el("details", {}, el("summary", {}, "turns"), Retro.timeline(panel, failure, control, { earlier: played }));
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, String(pair + 1)),
      el("td", {}, figure(played)),
      el("td", {}, figure(control), show),
      el("td", {}, known ? Retro.signed(played.return - control.return) : "–"),
    );
  });
  return el(
    "table",
    { class: "controls" },
    el("caption", {}, "Control trials: the same seeds without this reflection"),
    el("thead", {}, el("tr", {}, ["pair", "with", "without", "difference"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows),
  );
}
