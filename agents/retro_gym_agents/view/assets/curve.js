// Training runs: what was measured over the updates, and how the reflections on one task changed with them.
"use strict";

const SHARES = ["reward", "success", "validation_success", "first_success", "last_success"]; // drawn on one axis
const SIZE = { width: 640, height: 180, left: 44, right: 12, top: 10, bottom: 26 };

function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat());
  return made;
}

// With rewards of 0 and 1, two metrics are one line.
const sameLine = (one, other) => JSON.stringify(one.points) === JSON.stringify(other.points);

// Returns the curves of a run.
//   ticks  updates to mark
Retro.curve = function (curve, ticks = []) {
  const { el } = Retro;
  const lines = SHARES.map((name) => ({ name, points: curve.rows.filter((row) => name in row).map((row) => [row.update ?? 0, row[name]]) }))
    .filter((line, place, all) => line.points.length > 0 && !all.slice(0, place).some((each) => sameLine(each, line)));
  if (!lines.length) return null;
  const all = lines.flatMap((line) => line.points);
  const [last, low, high] = [
    Math.max(1, ...all.map(([x]) => x), ...ticks),
    Math.min(0, ...all.map(([, y]) => y)),
    Math.max(1, ...all.map(([, y]) => y)),
  ];
  const { width, height, left, right, top, bottom } = SIZE;
  const x = (update) => left + (update / last) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / (high - low)) * (height - top - bottom);
  const label = (text, attributes) => svg("text", attributes, text);
  const levels = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  const grid = levels.map((value) => [
    svg("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
    label(Retro.number(value), { x: left - 6, y: y(value) + 4, "text-anchor": "end" }),
  ]);
  const marks = ticks.map((update) => svg("line", { class: "tick", x1: x(update), x2: x(update), y1: top, y2: height - bottom }));
  const drawn = lines.map(({ name, points }) => {
    const path = points.map(([at, value], number) => `${number ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    const dots = points.length > 60 ? [] : points.map(([at, value]) =>
      svg("circle", { class: `line-${name}`, cx: x(at), cy: y(value), r: 2.5 }, svg("title", {}, `update ${at}: ${name} ${Retro.number(value, 3)}`)));
    return [svg("path", { class: `line-${name}`, d: path }), dots];
  });
  const said = lines.map(({ name, points }) => `${name} from ${Retro.number(points[0][1])} to ${Retro.number(points.at(-1)[1])}`).join(", ");
  return el(
    "figure",
    { class: "curve" },
    svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Over ${last} updates: ${said}` },
      grid.flat(), marks, drawn.flat(2),
      label("0", { x: left, y: height - 8, "text-anchor": "middle" }),
      label(`update ${last}`, { x: width - right, y: height - 8, "text-anchor": "end" }),
    ),
    el("figcaption", {}, lines.map(({ name }) => el("span", { class: `key key-${name}` }, name.replace("_", " ")))),
  );
};

// Shows how the reflections on one task changed from update to update, beside the curve.
Retro.overUpdates = async function (panel, number) {
  const { el } = Retro;
  const task = panel.rows[number][0];
  const same = panel.rows.map((row, place) => (row[0] === task ? place : -1)).filter((place) => place >= 0);
  const failures = await Promise.all(same.map((place) => Retro.failure(panel, place)));
  const byUpdate = new Map();
  failures.forEach((failure, each) => {
    for (const one of failure.tries.filter((each) => each.trial === 0 && each.update !== null)) {
      if (!byUpdate.has(one.update)) byUpdate.set(one.update, []);
      byUpdate.get(one.update).push({ ...one, place: same[each] });
    }
  });
  const updates = [...byUpdate.keys()].sort((one, two) => one - two);
  if (!updates.length) return null;
  let before = "";
  const rows = updates.map((update) => {
    const tried = byUpdate.get(update);
    const paid = tried.map((one) => one.reward).filter((reward) => reward !== null);
    const counts = new Map();
    for (const one of tried) counts.set(one.text, (counts.get(one.text) || 0) + 1);
    const [text, count] = [...counts].sort((one, two) => two[1] - one[1])[0];
    const fresh = before ? Retro.fresh(text, before) : null;
    before = text;
    const others = tried.filter((one) => one.place !== number);
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, String(update)),
      el("td", {}, paid.length ? Retro.number(paid.reduce((sum, one) => sum + one, 0) / paid.length) : "–"),
      el("td", { dir: "auto" }, Retro.marked(text, null, fresh), tried.length > 1 && el("small", {}, ` ${count} of ${tried.length}`)),
      el("td", {}, others.length ? el("button", { type: "button", class: "small", onclick: () => Retro.openNumber(others[0].place) }, "open") : ""),
    );
  });
  return el(
    "section",
    { class: "updates" },
    el("h3", {}, "This task over the updates"),
    panel.curves.map((curve) => Retro.curve(curve, updates)),
    el(
      "table",
      {},
      el("caption", {}, "The most frequent first reflection of each update; words that the one before did not have are underlined"),
      el("thead", {}, el("tr", {}, ["update", "mean reward", "reflection", ""].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows),
    ),
    updates.length === 1 && el("p", { class: "unknown" }, "This task was played in one update only. Order the list by number of updates to find tasks that came again."),
  );
};
