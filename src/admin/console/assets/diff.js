// The lines by which two texts differ: a shortest edit script (Myers 1986), shown with some lines around each change.

import { h } from "./dom.js";

const AROUND = 3;
const MOST_EDITS = 4000;

// Returns [kind, line] with kind " ", "-" or "+"; null where the texts have too little in common.
export const edits = (before, after) => {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const middle = script(a.slice(start, a.length - end), b.slice(start, b.length - end));
  if (!middle) return null;
  const same = (line) => [" ", line];
  return [...a.slice(0, start).map(same), ...middle, ...a.slice(a.length - end).map(same)];
};

const script = (a, b) => {
  const most = Math.min(a.length + b.length, MOST_EDITS);
  const trace = [];
  let furthest = new Map([[1, 0]]);
  for (let d = 0; d <= most; d += 1) {
    trace.push(new Map(furthest));
    for (let k = -d; k <= d; k += 2) {
      let x = k === -d || (k !== d && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1)) ? furthest.get(k + 1) : furthest.get(k - 1) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) [x, y] = [x + 1, y + 1];
      furthest.set(k, x);
      if (x >= a.length && y >= b.length) return back(a, b, trace);
    }
  }
  return null;
};

const back = (a, b, trace) => {
  let [x, y] = [a.length, b.length];
  const found = [];
  for (let d = trace.length - 1; d >= 0; d -= 1) {
    const furthest = trace[d];
    const k = x - y;
    const from = k === -d || (k !== d && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1)) ? k + 1 : k - 1;
    const [px, py] = [furthest.get(from), furthest.get(from) - from];
    while (x > px && y > py && x > 0 && y > 0) { found.push([" ", a[x - 1]]); [x, y] = [x - 1, y - 1]; }
    if (d > 0) found.push(x === px ? ["+", b[y - 1]] : ["-", a[x - 1]]);
    [x, y] = [px, py];
  }
  return found.reverse();
};

export const difference = (before, after) => {
  if (before === after) return h("p", { class: "muted" }, "The texts are the same.");
  const all = edits(before, after);
  if (!all) return h("p", { class: "muted" }, "The texts have too little in common to compare.");
  const near = new Set();
  all.forEach(([kind], index) => { if (kind !== " ") for (let at = index - AROUND; at <= index + AROUND; at += 1) near.add(at); });
  const lines = [];
  let [old, fresh, skipped] = [0, 0, false];
  all.forEach(([kind, line], index) => {
    if (kind !== "+") old += 1;
    if (kind !== "-") fresh += 1;
    if (!near.has(index)) { skipped = true; return; }
    if (skipped && lines.length) lines.push(h("div", { class: "diff-gap", "aria-hidden": "true" }, "⋯"));
    skipped = false;
    const name = { "+": "added", "-": "removed", " ": "same" }[kind];
    lines.push(h("div", { class: `diff-line ${name}` }, h("span", { class: "diff-number" }, String(kind === "-" ? old : fresh)), h("span", { class: "diff-mark" }, kind), h("span", { class: "diff-text" }, line)));
  });
  const [added, removed] = ["+", "-"].map((kind) => all.filter(([own]) => own === kind).length);
  return h("div", { class: "diff", tabindex: "0", role: "region", "aria-label": `${added} lines added, ${removed} removed` }, h("p", { class: "diff-head" }, h("span", { class: "good-text" }, `+${added}`), " ", h("span", { class: "bad-text" }, `−${removed}`)), h("div", { class: "diff-lines" }, lines));
};
