// The page as a whole: its head, the overview, the keyboard, the address.
"use strict";

const KEYS_HELP = [
  ["j, ↓ / k, ↑", "next, previous task"],
  ["Enter", "open the task"],
  ["Esc", "back to the overview, or out of a field"],
  ["/", "search"],
  ["x", "swap A and B"],
  ["t", "colours: of the system, dark, light"],
  ["?", "this help"],
];

// -- moving ---------------------------------------------------------------------------------------------------------

Retro.choose = function (place) {
  const last = Retro.list.found.length - 1;
  Retro.state.chosen = Math.min(Math.max(0, place), Math.max(0, last));
  Retro.list.show();
};

Retro.openChosen = function () {
  const number = Retro.list.found[Retro.state.chosen];
  if (number !== undefined) Retro.openNumber(number);
};

Retro.openNumber = function (number) {
  Retro.state.open = number;
  const place = Retro.list.found.indexOf(number);
  if (place >= 0) Retro.state.chosen = place;
  Retro.list.show();
  document.body.classList.add("opened");
  remember();
  return Retro.detail.show(number);
};

Retro.close = function () {
  Retro.state.open = -1;
  document.body.classList.remove("opened");
  Retro.list.draw();
  remember();
  overview();
};

Retro.move = function (step) {
  Retro.choose(Retro.state.chosen + step);
  if (Retro.state.open >= 0) Retro.openChosen();
};

Retro.resetFilter = function () {
  Retro.state.filter = {};
  document.getElementById("search").value = "";
  Retro.list.redrawFilters();
  Retro.list.update();
};

// -- overview ---------------------------------------------------------------------------------------------------------

function overview() {
  const { el } = Retro;
  const panel = Retro.panel();
  Retro.refill(
    Retro.detail.box,
    el(
      "article",
      {},
      el("h2", {}, "Overview"),
      Retro.panels.length > 1 &&
        el("p", { class: "note" }, `This file holds ${Retro.panels.length} panels. Only what was measured on one panel is set beside each other.`),
      panel.notes.map((note) => el("p", { class: "note" }, Retro.seen(note))),
      standing(panel),
      panel.curves.map((curve) => el("section", {}, el("h3", {}, Retro.seen(curve.name)), Retro.curve(curve) || el("p", { class: "unknown" }, "no curve"))),
      el(
        "details",
        { class: "settings" },
        el("summary", {}, "Settings and files"),
        el("dl", {}, [["files", panel.files.join(", ")], ...panel.settings].map(([name, value]) => [el("dt", {}, name), el("dd", {}, Retro.seen(String(value)))])),
      ),
    ),
  );
}

// Success by trial of each policy, and what A has won and lost against it.
function standing(panel) {
  const { el, state } = Retro;
  const trials = Array.from({ length: panel.rounds + 1 }, (_, trial) => trial);
  const share = (policy, trial) => {
    const known = panel.rows.map((row) => Retro.outcome(panel, row, policy)).map((each) => (each ? each[0][trial] : null)).filter((each) => each !== null);
    return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
  };
  const against = (policy) => {
    if (policy === state.a) return ["", ""];
    const pairs = panel.rows.map((row) => [Retro.score(panel, row, state.a), Retro.score(panel, row, policy)]).filter(([one, two]) => one !== null && two !== null);
    return [pairs.filter(([one, two]) => one > two).length, pairs.filter(([one, two]) => one < two).length].map(String);
  };
  const several = panel.policies.length > 1;
  const head = ["policy", ...trials.map((trial) => `trial ${trial}`), ...(several ? ["A won", "A lost"] : [])];
  const rows = panel.policies.map((name, policy) => {
    const letter = policy === state.a ? "A" : policy === state.b ? "B" : "";
    const figures = trials.map((trial) => el("td", {}, Retro.percent(share(policy, trial))));
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, letter && el("span", { class: "letter" }, letter), Retro.seen(name)),
      figures,
      several && against(policy).map((count) => el("td", {}, count)),
    );
  });
  return el(
    "table",
    { class: "standing" },
    el("caption", {}, several ? `Solved by trial, and tasks won and lost by A by trial ${state.trial}` : "Solved by trial"),
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows),
  );
}

// -- head -------------------------------------------------------------------------------------------------------------

function head() {
  const { el, select, state } = Retro;
  const focused = document.activeElement.id;
  const unfolded = document.querySelector("details.also")?.open;
  const panel = Retro.panel();
  const names = panel.policies.map((name, number) => [number, Retro.seen(name)]);
  const set = (name) => (value) => {
    state[name] = Number(value);
    changed();
  };
  const also = panel.policies.map((name, number) =>
    number === state.a || number === state.b
      ? null
      : el(
          "label",
          { class: "check" },
          el("input", {
            type: "checkbox",
            id: `also-${number}`,
            checked: state.also.has(number),
            onchange: (event) => {
              if (event.target.checked) state.also.add(number);
              else state.also.delete(number);
              changed();
            },
          }),
          Retro.seen(name),
        ),
  );
  const several = panel.policies.length > 1;
  const trials = Array.from({ length: panel.rounds + 1 }, (_, trial) => [trial, `trial ${trial}`]);
  Retro.refill(
    document.getElementById("top"),
    el("h1", {}, "retro-gym", el("span", {}, " view")),
    Retro.panels.length > 1 &&
      select("Panel", Retro.panels.map((each, number) => [number, Retro.seen(`${each.env_id} · ${each.files[0]}`)]), state.panel, (value) => enter(Number(value)), { id: "panel" }),
    el("div", { class: "pair", role: "group", "aria-label": "Policies to set beside each other" },
      several && select("A", names, state.a, set("a"), { id: "policy-a" }),
      several && select("B", [[-1, "(none)"], ...names], state.b, set("b"), { id: "policy-b" }),
      several && el("button", { type: "button", title: "Swap A and B (x)", "aria-label": "Swap A and B", onclick: swap }, "⇄"),
      also.some(Boolean) && el("details", { class: "also", open: unfolded }, el("summary", {}, state.also.size ? `beside them ${state.also.size}` : "beside them"), el("div", {}, also)),
      select("Judged by", trials, state.trial, set("trial"), { id: "judged" }),
    ),
    el("span", { class: "spring" }),
    el("input", {
      id: "search",
      type: "search",
      placeholder: "Search task, actions, reflections ( / )",
      "aria-label": "Search in tasks, actions and reflections",
      value: state.filter.text || "",
      oninput: (event) => {
        state.filter.text = event.target.value;
        Retro.list.update();
      },
    }),
    el("button", { type: "button", id: "theme", title: "Colours (t)", onclick: turnTheme }, `◐ ${theme()}`),
    el("button", { type: "button", title: "Keys (?)", "aria-label": "Keys", onclick: help }, "?"),
  );
  if (focused) document.getElementById(focused)?.focus(); // the head was drawn anew
}

function swap() {
  if (Retro.state.b < 0) return;
  [Retro.state.a, Retro.state.b] = [Retro.state.b, Retro.state.a];
  changed();
}

// After a change of what is set beside each other.
function changed() {
  const { state } = Retro;
  if (state.b === state.a) state.b = -1;
  head();
  Retro.list.redrawFilters();
  Retro.list.update();
  remember();
  if (state.open >= 0) Retro.openNumber(state.open);
  else overview();
}

function enter(number, known = {}) {
  const { state } = Retro;
  const panel = Retro.panels[number];
  const names = panel.policies;
  Object.assign(state, { panel: number, open: -1, filter: {}, also: new Set(), trial: panel.rounds, sort: "result", up: true });
  [state.a, state.b] = panel.pair;
  for (const name of ["a", "b", "trial"]) {
    const most = name === "trial" ? panel.rounds : names.length - 1;
    if (Number.isInteger(known[name]) && known[name] >= (name === "b" ? -1 : 0) && known[name] <= most) state[name] = known[name];
  }
  const tasks = new Map();
  for (const row of panel.rows) tasks.set(row[0], (tasks.get(row[0]) || 0) + 1);
  panel.seeds = Math.max(0, ...tasks.values());
  document.body.classList.remove("opened");
  head();
  Retro.list.redrawFilters();
  Retro.list.update();
  overview();
  if (Number.isInteger(known.task) && panel.rows[known.task]) Retro.openNumber(known.task);
}

// -- address, colours, help --------------------------------------------------------------------------------------------

function remember() {
  const { panel, a, b, trial, open } = Retro.state;
  const parts = { panel, a, b, trial, ...(open >= 0 ? { task: open } : {}) };
  history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
}

function recalled() {
  const found = {};
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    if (/^-?\d{1,9}$/.test(value)) found[name] = Number(value);
  }
  return found;
}

const THEMES = ["auto", "dark", "light"];
const theme = () => document.documentElement.dataset.theme || "auto";

function turnTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  document.getElementById("theme").textContent = `◐ ${next}`;
}

function help() {
  const { el } = Retro;
  const box = document.getElementById("help");
  Retro.refill(
    box,
    el("h2", { id: "help-title" }, "Keys"),
    el("dl", {}, KEYS_HELP.map(([keys, what]) => [el("dt", {}, keys), el("dd", {}, what)])),
    el("p", {}, "Marked words of a failed trial are named by the reflection of ", el("mark", { class: "name by-a" }, "A"), ", ", el("mark", { class: "name by-b" }, "B"), " or ", el("mark", { class: "name by-more" }, "both"), ". Underlined words of a reflection are not in the one beside it. A search looks through tasks, actions and reflections."),
    el("button", { type: "button", onclick: () => box.close() }, "Close"),
  );
  box.showModal();
}

// -- keyboard ----------------------------------------------------------------------------------------------------------

function pressed(event) {
  const field = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && field) {
    field.blur();
    Retro.list.box.focus();
    return;
  }
  if (field || event.ctrlKey || event.metaKey || event.altKey || document.getElementById("help").open) return;
  const inList = event.target === document.body || event.target === Retro.list.box;
  const page = Math.max(1, Math.floor(Retro.list.box.clientHeight / ROW) - 1);
  const actions = { j: () => Retro.move(1), k: () => Retro.move(-1), x: swap, t: turnTheme, "?": help, Escape: back, "/": search };
  if (inList) {
    Object.assign(actions, {
      ArrowDown: () => Retro.move(1),
      ArrowUp: () => Retro.move(-1),
      PageDown: () => Retro.choose(Retro.state.chosen + page),
      PageUp: () => Retro.choose(Retro.state.chosen - page),
      Home: () => Retro.choose(0),
      End: () => Retro.choose(Retro.list.found.length - 1),
      Enter: () => {
        Retro.openChosen();
        Retro.detail.box.focus();
      },
    });
  }
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
}

function search() {
  document.getElementById("search").focus();
}

function back() {
  Retro.close();
  Retro.list.box.focus();
}

// -- start -------------------------------------------------------------------------------------------------------------

async function start() {
  const main = document.getElementById("main");
  if (!("DecompressionStream" in window)) {
    main.textContent = "This browser cannot unpack the page's data. Open it with one of 2023 or later.";
    return;
  }
  Retro.panels = await Retro.unpack(document.getElementById("index"));
  Retro.place(Retro.panels);
  Retro.refill(main, Retro.list.make(), Retro.detail.make());
  const known = recalled();
  enter(Retro.panels[known.panel] ? known.panel : 0, known);
  main.setAttribute("aria-busy", "false");
  document.addEventListener("keydown", pressed);
  Retro.list.box.focus();
  requestAnimationFrame(() => performance.mark("first-row"));
  await Retro.parsed;
  Retro.words = await Retro.unpack(document.getElementById("words"));
  if (Retro.state.filter.text) Retro.list.update();
  document.documentElement.dataset.ready = "true";
}

start();
