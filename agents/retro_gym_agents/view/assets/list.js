// The list of failures. Only the rows in sight are on the page.
"use strict";

const ROW = 52; // height in pixels, as in page.css
const MORE = ["cause", "end", "leak", "named", "least", "most"]; // filters that are seldom used
const BEYOND = 6; // rows above and below those in sight

Retro.list = { found: [] };

Retro.list.make = function () {
  const { el } = Retro;
  const self = Retro.list;
  self.space = el("div", { class: "space", role: "presentation" });
  self.box = el(
    "div",
    { id: "rows", class: "rows", role: "grid", tabindex: "0", "aria-label": "Tasks", onscroll: () => self.draw() },
    self.space,
  );
  self.count = el("p", { class: "count", role: "status", "aria-live": "polite" });
  self.head = el("div", { class: "head", "aria-hidden": "true" });
  new ResizeObserver(() => self.draw()).observe(self.box);
  return el("section", { id: "list", "aria-label": "List of tasks" }, filters(), self.count, self.head, self.box);
};

// Sets what the list holds, after a change of filter, order or panel.
Retro.list.update = function (keep = false) {
  const self = Retro.list;
  const panel = Retro.panel();
  const before = self.found[Retro.state.chosen];
  self.found = Retro.filtered();
  Retro.state.chosen = keep ? Math.max(0, self.found.indexOf(before)) : 0;
  self.space.style.height = `${self.found.length * ROW}px`;
  self.box.setAttribute("aria-rowcount", self.found.length);
  if (!keep) self.box.scrollTop = 0;
  const all = panel.rows.length;
  const waits = Retro.state.filter.text && !Retro.words ? " (searching in titles until the texts are read)" : "";
  self.count.textContent = `${self.found.length.toLocaleString("en")} of ${all.toLocaleString("en")} tasks${waits}`;
  const names = Retro.shown().map((policy) => Retro.el("span", { class: "chip-name" }, Retro.seen(panel.policies[policy])));
  self.head.replaceChildren(Retro.el("span", { class: "head-task" }, "task"), ...names);
  self.draw();
};

Retro.list.draw = function () {
  const self = Retro.list;
  const { scrollTop, clientHeight } = self.box;
  const from = Math.max(0, Math.floor(scrollTop / ROW) - BEYOND);
  const to = Math.min(self.found.length, Math.ceil((scrollTop + clientHeight) / ROW) + BEYOND);
  const rows = [];
  for (let place = from; place < to; place += 1) rows.push(rowAt(place));
  if (!self.found.length) rows.push(Retro.el("p", { class: "empty" }, "No task passes the filter."));
  self.space.replaceChildren(...rows);
  const chosen = `row-${Retro.state.chosen}`;
  if (self.found.length) self.box.setAttribute("aria-activedescendant", chosen);
  else self.box.removeAttribute("aria-activedescendant");
};

function rowAt(place) {
  const { el } = Retro;
  const panel = Retro.panel();
  const number = Retro.list.found[place];
  const row = panel.rows[number];
  const result = Retro.result(panel, row);
  const names = Retro.state.b >= 0 ? Retro.RESULTS : Retro.SINGLE;
  const about = [panel.groups[row[2]], panel.causes[row[3]], seedOf(panel, row)].filter(Boolean);
  const updates = Retro.updates(panel, row);
  if (updates.length && panel.kind === "training") about.push(`update ${updates.join(", ")}`);
  const made = el(
    "div",
    {
      class: `row ${result}`,
      role: "row",
      id: `row-${place}`,
      "aria-rowindex": place + 1,
      "aria-selected": place === Retro.state.chosen ? "true" : "false",
      "data-open": number === Retro.state.open,
      onclick: () => {
        Retro.choose(place);
        Retro.openChosen();
      },
    },
    el("span", { class: "result", role: "gridcell", title: names[result] }, result === "unknown" ? "?" : word(result)),
    el(
      "span",
      { class: "task", role: "gridcell" },
      el("span", { class: "line" }, el("b", {}, Retro.seen(row[0])), " ", el("small", {}, Retro.seen(about.join(" · ")))),
      el("span", { class: "line title", dir: "auto" }, Retro.seen(row[4])),
    ),
    Retro.shown().map((policy) => chip(panel, row, policy)),
  );
  made.style.transform = `translateY(${place * ROW}px)`;
  return made;
}

const WORDS = { won: "solved", some: "some", neither: "failed" }; // of one policy
const word = (result) => (Retro.state.b >= 0 ? result : WORDS[result]);

function seedOf(panel, row) {
  return panel.seeds > 1 ? `seed ${row[1]}` : "";
}

// Says how a policy did on a task: solved at which trial, not solved, or the actor failed.
function chip(panel, row, policy) {
  const name = Retro.seen(panel.policies[policy]);
  const made = (kind, text, about) =>
    Retro.el("span", { class: `chip ${kind}`, role: "gridcell", title: `${name}: ${about}`, "aria-label": `${name}: ${about}` }, text);
  const outcome = Retro.outcome(panel, row, policy);
  if (!outcome) return made("none", "·", "did not play");
  const solved = outcome[0].slice(0, Retro.state.trial + 1);
  const last = solved.at(-1);
  const leak = outcome[3] ? ", with a leak" : "";
  const sign = outcome[3] ? " ⚑" : "";
  if (last === null) return made("lost-actor", `!${sign}`, `the actor failed${leak}`);
  if (last === 0) return made("bad", `✗${sign}`, `not solved by trial ${solved.length - 1}${leak}`);
  if (last < 1) return made("part", Retro.number(last) + sign, `solved with ${Retro.percent(last)} of the reflections${leak}`);
  const trial = solved.indexOf(1);
  return made("good", `✓ ${trial}${sign}`, `solved at trial ${trial}${leak}`);
}

// -- filters --------------------------------------------------------------------------------------------------------

function filters() {
  Retro.list.filters = Retro.el("div", { class: "filters", role: "group", "aria-label": "Filter and order" });
  return Retro.list.filters;
}

// Draws the filters anew: what there is to choose from depends on the panel.
Retro.list.redrawFilters = function () {
  const { el, select, state } = Retro;
  const panel = Retro.panel();
  const set = (name) => (value) => {
    state.filter[name] = value;
    Retro.list.update();
  };
  const any = ["", "any"];
  const numbered = (names) => [any, ...names.map((name, number) => [String(number), Retro.seen(name) || "(none)"])];
  const yes = (one, two) => [any, ["1", one], ["0", two]];
  const has = (place) => panel.rows.some((row) => panel.policies.some((_, policy) => Retro.outcome(panel, row, policy)?.[place] != null));
  const figure = (name, label) =>
    el(
      "label",
      { class: "field" },
      el("span", {}, label),
      el("input", {
        type: "number",
        step: "any",
        value: state.filter[name] ?? "",
        oninput: (event) => set(name)(event.target.value === "" ? undefined : Number(event.target.value)),
      }),
    );
  const results = state.b >= 0 ? [["differ", "won or lost"], ...Object.entries(Retro.RESULTS)] : Object.entries(Retro.SINGLE);
  Retro.refill(
    Retro.list.filters,
    select("Result", [any, ...results], state.filter.result, set("result"), { id: "filter-result" }),
    panel.groups.length > 1 && select("Kind", numbered(panel.groups), state.filter.kind, set("kind"), { id: "filter-kind" }),
    select("Order", Object.entries(Retro.SORTS), state.sort, (value) => {
      state.sort = value;
      Retro.list.update();
    }, { id: "order" }),
    el(
      "button",
      {
        type: "button",
        title: "Reverse the order",
        "aria-label": "Reverse the order",
        onclick: () => {
          state.up = !state.up;
          Retro.list.update();
        },
      },
      "⇅",
    ),
    el("button", { type: "button", onclick: () => Retro.resetFilter() }, "Reset"),
    el(
      "details",
      { class: "more", open: MORE.some((name) => state.filter[name] !== undefined && state.filter[name] !== "") },
      el("summary", {}, "more filters"),
      panel.causes.length > 1 && select("Cause", numbered(panel.causes), state.filter.cause, set("cause"), { id: "filter-cause" }),
      panel.ends.length > 1 && select("End of A", numbered(panel.ends), state.filter.end, set("end"), { id: "filter-end" }),
      has(3) && select("Leak of A", yes("with a leak", "without"), state.filter.leak, set("leak"), { id: "filter-leak" }),
      has(4) && select("Cause named by A", yes("named", "not named"), state.filter.named, set("named"), { id: "filter-named" }),
      figure("least", "Reward of A from"),
      figure("most", "to"),
    ),
  );
};

// Scrolls the chosen row into sight and marks it.
Retro.list.show = function () {
  const { box } = Retro.list;
  const top = Retro.state.chosen * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
  Retro.list.draw();
};
