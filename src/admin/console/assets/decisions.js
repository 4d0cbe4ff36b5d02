// The stream of recent decisions. Few of many are shown; all are counted.

import { ask, poll } from "./api.js";
import { chip, clock, count, counted, dollars, duration, empty, fill, h, muted, named, number, percent, rate } from "./dom.js";
import { explanation } from "./explanation.js";

const PAUSE = 1000;
const MOST = 200;
const KEPT = { hit: "kept answer", semantic: "kept answer, same meaning", joined: "shared answer" };

let rows = [];
let after = 0;
let decided = null;
let at = 0;
let speed = null;
let paused = false;
let view = null;

export const enter = (place, [number]) => {
  const search = h("input", { type: "search", placeholder: "Search these decisions", "aria-label": "Search", data: { search: "" }, oninput: () => draw() });
  const stop = h("button", { class: "button", type: "button", onclick: toggle }, "Pause");
  const status = h("p", { class: "stream-state", role: "status" });
  const list = h("div", { class: "rows", role: "listbox", tabindex: "0", "aria-label": "Decisions", onkeydown: move });
  const detail = h("dialog", { class: "drawer", "aria-label": "Decision" });
  detail.addEventListener("click", (event) => { if (event.target === detail) detail.close(); });
  detail.addEventListener("close", () => { if (location.hash !== "#/decisions") history.replaceState(null, "", "#/decisions"); if (document.activeElement === document.body) list.focus({ preventScroll: true }); }); // whoever typed on meanwhile keeps the focus
  view = { search, stop, status, list, detail, active: null, texts: false };
  place.append(h("div", { class: "page-head" }, h("h1", {}, "Decisions"), h("div", { class: "tools" }, search, stop)), status, h("div", { class: "row row-head", "aria-hidden": "true" }, ["Time", "Model", "Why", "Policy", "Tokens", "Paid", "Took", ""].map((text, index) => h("span", { class: `k${index}` }, text))), list, detail);
  draw();
  if (number) show(Number(number));
  const leave = poll(look, PAUSE);
  return () => { leave(); if (detail.open) detail.close(); view = null; };
};

export const arrive = ([number]) => { if (number && view) show(Number(number)); else view?.detail.close(); };

export const key = (event) => {
  if (event.key === "p") toggle();
  else if (event.key === "ArrowDown" || event.key === "ArrowUp" || event.key === "Home" || event.key === "End") view.list.focus();
  else return false;
  return true;
};

const toggle = () => {
  paused = !paused;
  view.stop.textContent = paused ? "Go on" : "Pause";
  view.stop.setAttribute("aria-pressed", String(paused));
  draw();
};

const look = async (signal) => {
  if (paused) return;
  const answer = await ask(`/api/decisions?after=${after}`, { signal });
  const now = performance.now();
  if (decided !== null && answer.decided < decided) [rows, after] = [[], 0]; // another process
  if (decided !== null) speed = (1000 * (answer.decided - decided)) / Math.max(1, now - at);
  [decided, at] = [answer.decided, now];
  for (const row of answer.rows) after = Math.max(after, row.number);
  rows = [...answer.rows.toReversed(), ...rows].slice(0, MOST);
  if (view) { view.texts = answer.texts; view.fresh = answer.rows.length; draw(); }
};

const found = () => {
  const words = view.search.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return rows;
  return rows.filter((row) => {
    const text = [row.model, row.answered_by, row.policy, row.reason, row.label, row.client, row.request_id, row.status, row.error, row.text].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
};

const draw = () => {
  if (!view) return;
  const shown = found();
  const sentence = paused ? "Paused." : speed === null ? "Listening." : speed > 0 && view.fresh < speed * (PAUSE / 1000) - 1 ? `${rate(speed)} decisions a second; ${view.fresh} of them are shown.` : `${rate(speed)} decisions a second.`;
  fill(view.status, sentence, " ", muted(view.texts ? "Prompts are shown as the decision log writes them." : "Prompts are not shown: the decision log does not keep their text."));
  if (!shown.some((row) => row.number === view.active)) view.active = shown[0]?.number ?? null;
  if (!shown.length) {
    fill(view.list, rows.length ? empty("None of these decisions fits", "Search for a model, policy, reason, label, client, status or request id.") : empty("No decision has been seen yet", "Decisions show up here while this page is open. Nothing is recorded while nobody looks."));
    view.list.removeAttribute("aria-activedescendant");
    return;
  }
  const known = new Map([...view.list.children].filter((child) => child.dataset?.number).map((child) => [child.dataset.number, child]));
  view.list.replaceChildren(...shown.map((row) => known.get(String(row.number)) ?? line(row)));
  mark();
};

const mark = () => {
  for (const child of view.list.children) {
    const isActive = child.dataset.number === String(view.active);
    child.classList.toggle("active", isActive);
    child.setAttribute("aria-selected", String(isActive));
    if (isActive) view.list.setAttribute("aria-activedescendant", child.id);
  }
};

const saved = (row) => (row.cost_usd !== null && row.baseline_cost_usd > 0 ? 1 - row.cost_usd / row.baseline_cost_usd : null);

const line = (row) => {
  const model = row.answered_by ?? row.model;
  const moved = row.answered_by && row.model && row.answered_by !== row.model;
  const tokens = row.input_tokens === null ? "–" : `${count(row.input_tokens)} → ${count(row.output_tokens)}`;
  const status = row.status === null ? chip("left", "warn") : row.status >= 500 ? chip(row.status, "bad") : row.status >= 400 ? chip(row.status, "warn") : chip(row.status, "good");
  return h("div", { class: "row", id: `decision-${row.number}`, role: "option", data: { number: String(row.number) }, onclick: () => show(row.number) },
    h("span", { class: "k0" }, clock(row.at)),
    h("span", { class: "k1" }, model ? named(model) : muted("passed through"), moved ? h("span", { class: "sub" }, `chosen: ${row.model}`) : null),
    h("span", { class: "k2" }, row.reason, row.label ? [" ", chip(row.label)] : null, row.score !== null ? [" ", h("span", { class: "num muted" }, number(row.score, 2))] : null, row.applied ? null : [" ", chip("shadow")], KEPT[row.cache] ? [" ", chip(KEPT[row.cache])] : null),
    h("span", { class: "k3" }, row.policy ?? "–", row.client ? h("span", { class: "sub" }, row.client) : null),
    h("span", { class: "k4 num" }, tokens),
    h("span", { class: "k5 num" }, dollars(row.cost_usd), saved(row) > 0.005 ? h("span", { class: "sub good-text" }, `−${percent(saved(row))}`) : null),
    h("span", { class: "k6 num" }, duration(row.duration_ms / 1000)),
    h("span", { class: "k7" }, status),
    row.text ? h("span", { class: "k8" }, row.text.slice(0, 300)) : null);
};

const move = (event) => {
  const shown = found();
  const here = shown.findIndex((row) => row.number === view.active);
  const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: shown.length - 1, PageDown: here + 10, PageUp: here - 10 }[event.key];
  if (event.key === "Enter" && here >= 0) show(view.active);
  else if (next === undefined) return;
  else {
    view.active = shown[Math.max(0, Math.min(shown.length - 1, next))]?.number ?? null;
    mark();
    view.list.querySelector(".active")?.scrollIntoView({ block: "nearest" });
  }
  event.preventDefault();
  event.stopPropagation();
};

const show = async (number) => {
  view.active = number;
  mark();
  const { detail } = view;
  history.replaceState(null, "", `#/decisions/${number}`);
  const close = h("button", { class: "icon-button", type: "button", "aria-label": "Close", onclick: () => detail.close() }, "✕");
  fill(detail, h("div", { class: "drawer-head" }, h("h2", {}, `Decision ${number}`), close), h("p", { class: "muted" }, "Loading"));
  if (!detail.open) detail.showModal();
  let answer;
  try {
    answer = await ask(`/api/decisions/${number}`);
  } catch (error) {
    fill(detail, h("div", { class: "drawer-head" }, h("h2", {}, `Decision ${number}`), close), empty("It is gone", error.message));
    return;
  }
  const again = h("button", { class: "icon-button", type: "button", "aria-label": "Close", onclick: () => detail.close() }, "✕");
  detail.replaceChildren(h("div", { class: "drawer-head" }, h("h2", {}, `Decision ${number}`), again), ...outcome(answer.summary), ...explanation(answer.explanation));
  again.focus();
};

const outcome = (row) => [
  h("dl", { class: "facts" }, [
    ["Request", h("code", {}, row.request_id)],
    ["At", row.at.replace("T", " ").replace("Z", " UTC")],
    ["Path", h("code", {}, row.path)],
    ["Client", row.client ?? "–"],
    ["Answered by", row.answered_by ? [named(row.answered_by), row.provider ? muted(` ${row.provider}`) : null] : "–"],
    ["Status", `${row.status ?? "the client left"}${row.error ? ` ${row.error}` : ""}, ${counted(row.attempts, "attempt")}`],
    ...(row.cache ? [["Response cache", row.cache]] : []),
    ["Tokens", row.input_tokens === null ? "–" : `${count(row.input_tokens)} in, ${count(row.output_tokens)} out`],
    ["Paid", `${dollars(row.cost_usd)}, dearest model ${dollars(row.baseline_cost_usd)}`],
    ["First byte", row.first_byte_ms === null ? "–" : duration(row.first_byte_ms / 1000)],
    ["Took", `${duration(row.duration_ms / 1000)}, of it Pointsman ${duration(row.overhead_us / 1e6)}`],
  ].map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
  row.text ? h("section", {}, h("h3", {}, "Prompt"), h("pre", { class: "prompt" }, row.text)) : null,
].filter(Boolean);
