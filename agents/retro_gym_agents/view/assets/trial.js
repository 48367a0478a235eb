// A trial as a timeline of its turns, with the actor's prompt on demand.
"use strict";

Retro.ending = function (trial) {
  const { el } = Retro;
  const kind = trial.success ? "good" : ["actor error", "budget"].includes(trial.end) ? "lost-actor" : "bad";
  const paid = trial.return === null ? "" : ` · return ${Retro.number(trial.return)}`;
  return el("span", { class: `ending ${kind}` }, `${trial.success ? "✓ " : ""}${Retro.seen(trial.end || "not played")}${paid}`);
};

// Returns the timeline of a trial.
//   names    the names to mark, as in Retro.marked
//   earlier  the trial that it is compared with: turns that are the same are said to be so
//   apart    the number of the first turn in which it parts from the trial beside it, and that trial's policy
Retro.timeline = function (panel, failure, trial, { names, earlier, apart } = {}) {
  const { el } = Retro;
  if (!trial.turns) {
    return el("p", { class: "unknown" }, "The turns of this trial are not in the file that was given.");
  }
  const items = trial.turns.map((turn, number) => {
    const [thought, action, observation, reward, reasoning] = turn;
    const same = earlier && earlier.turns && Retro.sameTurn(turn, earlier.turns[number]);
    const part = (name, text) =>
      text && el("div", { class: `part ${name}` }, el("span", { class: "part-name" }, name), el("div", { class: "said", dir: "auto" }, Retro.marked(text, names)));
    return el(
      "li",
      { class: same ? "turn same" : "turn" },
      el(
        "div",
        { class: "turn-head" },
        el("span", { class: "turn-number" }, `turn ${number + 1}`),
        same && el("span", { class: "tag" }, "as before"),
        apart && apart.turn === number && el("span", { class: "tag apart" }, `from here other than ${apart.policy}`),
        reward ? el("span", { class: "tag" }, `reward ${Retro.number(reward)}`) : null,
        promptButton(panel, failure, trial, number),
      ),
      reasoning && el("details", {}, el("summary", {}, "reasoning"), el("div", { class: "said", dir: "auto" }, Retro.seen(reasoning))),
      part("thought", thought),
      part("action", action),
      part("observation", observation),
    );
  });
  const as = items.findIndex((item) => !item.classList.contains("same"));
  const same = earlier ? (as < 0 ? items.length : as) : 0;
  return el(
    "div",
    {},
    same > 0 && el("details", { class: "before" }, el("summary", {}, `turn${same > 1 ? `s 1–${same}` : " 1"} as before`), el("ol", { class: "timeline" }, items.slice(0, same))),
    el("ol", { class: "timeline" }, items.slice(same)),
    trial.error && el("p", { class: "error", dir: "auto" }, Retro.seen(trial.error)),
  );
};

function promptButton(panel, failure, trial, turn) {
  const { el } = Retro;
  const open = (event) => {
    const head = event.target.closest(".turn-head");
    const shown = head.nextElementSibling;
    if (shown && shown.classList.contains("prompt")) {
      shown.remove();
      event.target.setAttribute("aria-expanded", "false");
      return;
    }
    event.target.setAttribute("aria-expanded", "true");
    const whole = trial.form !== undefined;
    head.after(
      el(
        "div",
        { class: "prompt" },
        !whole && el("p", { class: "unknown" }, "Instruction, examples and reflections are not known: they are in a file of records, which was not given."),
        el("pre", { tabindex: "0", "aria-label": "The actor's prompt" }, Retro.seen(Retro.prompt(panel, failure, trial, turn))),
      ),
    );
  };
  return el("button", { type: "button", class: "small prompt-button", "aria-expanded": "false", onclick: open }, "prompt");
}

// Returns the number of the first turn in which two trials differ; −1 if they do not.
Retro.parting = function (one, two) {
  if (!one || !two || !one.turns || !two.turns) return -1;
  const most = Math.max(one.turns.length, two.turns.length);
  for (let number = 0; number < most; number += 1) {
    if (!Retro.sameTurn(one.turns[number], two.turns[number])) return number;
  }
  return -1;
};

Retro.textsOf = function (failure, trial) {
  const said = (trial.turns || []).flatMap(([thought, action, observation]) => [thought, action, observation]);
  return [trial.task || failure.task, ...said];
};
