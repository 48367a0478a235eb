// What the other scripts share: elements, the data of the page, and the state.
"use strict";

const Retro = {};

// Returns an element. Texts become text nodes, never markup.
Retro.el = function (name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  Retro.fill(made, children);
  return made;
};

Retro.fill = function (element, children) {
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

// Gives an element other children.
Retro.refill = function (element, ...children) {
  element.replaceChildren();
  return Retro.fill(element, children);
};

// Characters that are not seen, or that change the order of others, are shown by their numbers.
const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

Retro.seen = function (text) {
  return text.replace(UNSEEN, (one) => "⟨U+" + one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + "⟩");
};

Retro.number = function (value, digits = 2) {
  if (value === null || value === undefined) return "–";
  return value.toFixed(digits).replace("-", "−");
};

Retro.percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

Retro.signed = (value, digits = 2) => (value > 0 ? "+" : "") + Retro.number(value, digits);

Retro.select = function (label, options, value, onchange, attributes = {}) {
  const choice = Retro.el(
    "select",
    { "aria-label": label, ...attributes, onchange: (event) => onchange(event.target.value) },
    options.map(([key, name]) => Retro.el("option", { value: key, selected: String(key) === String(value) }, name)),
  );
  return Retro.el("label", { class: "field" }, Retro.el("span", { "aria-hidden": "true" }, label), choice);
};

// -- data ---------------------------------------------------------------------------------------------------------

Retro.unpack = async function (element) {
  const letters = atob(element.textContent.trim());
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};

const KEPT = 60; // blocks that are kept unpacked
const blocks = new Map();

Retro.parsed = new Promise((resolve) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => resolve());
  else resolve();
});

async function blockOf(number) {
  await Retro.parsed; // the blocks stand behind the scripts
  if (!blocks.has(number)) {
    blocks.set(number, Retro.unpack(document.getElementById(`block-${number}`)));
    if (blocks.size > KEPT) blocks.delete(blocks.keys().next().value);
  }
  return blocks.get(number);
}

// Numbers the failures within their blocks, in which they stand one after the other.
Retro.place = function (panels) {
  const counts = new Map();
  for (const panel of panels) {
    panel.within = panel.rows.map((row) => {
      const count = counts.get(row[5]) || 0;
      counts.set(row[5], count + 1);
      return count;
    });
  }
};

// Returns everything that is known of a failure.
Retro.failure = async function (panel, number) {
  return (await blockOf(panel.rows[number][5]))[panel.within[number]];
};

Retro.outcome = (panel, row, policy) => row[6 + policy];
Retro.updates = (panel, row) => row[6 + panel.policies.length];

// -- state --------------------------------------------------------------------------------------------------------

Retro.state = {
  panel: 0,
  a: 0,
  b: -1,
  also: new Set(), // further policies that are shown
  trial: 0, // by which a policy is judged
  sort: "result",
  up: true,
  filter: {},
  chosen: 0, // position in the list
  open: -1, // number of the failure that is shown
};

Retro.panel = () => Retro.panels[Retro.state.panel];

// The policies that are shown, A and B first.
Retro.shown = function () {
  const { a, b, also } = Retro.state;
  const first = b >= 0 ? [a, b] : [a];
  return [...first, ...[...also].filter((each) => !first.includes(each)).sort((one, two) => one - two)];
};
