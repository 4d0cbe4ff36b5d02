// The policies: rules, live shares, thresholds on the scores that come, and the switch that takes one out of service.

import { ask, poll, tell } from "./api.js";
import { chip, confirmed, count, counted, empty, fill, h, muted, named, number, percent, stack, table, toast } from "./dom.js";
import { curve, scores } from "./charts.js";
import { by, of } from "./series.js";

const PAUSE = 3000;

let cards = new Map();
let view = null;

export const enter = (place) => {
  cards = new Map();
  const search = h("input", { type: "search", placeholder: "Search policies and rules", "aria-label": "Search", data: { search: "" }, oninput: filter });
  const all = h("button", { class: "button", type: "button", data: { needs: "operate" } }, "Kill switch");
  const notes = h("div", {});
  const list = h("div", { class: "stack-gap" });
  view = { search, all, notes, list, reading: null };
  place.append(h("div", { class: "page-head" }, h("h1", {}, "Policies"), h("div", { class: "tools" }, search, all)), notes, list);
  const leave = poll(async (signal) => { view.reading = await ask("/api/policies", { signal }); draw(); }, PAUSE);
  return () => { leave(); view = null; };
};

const filter = () => {
  const words = view.search.value.toLowerCase();
  for (const [name, card] of cards) card.root.hidden = !`${name} ${card.root.textContent}`.toLowerCase().includes(words);
};

const turn = async (policy, killed) => {
  const what = policy ?? "every policy";
  const text = killed ? `Requests of ${what} go to the model under "otherwise" until it is turned back. Nothing is reloaded.` : `${what} decides again.`;
  if (!(await confirmed(killed ? `Take ${what} out of service?` : `Put ${what} back into service?`, text, killed ? "Take out" : "Put back"))) return;
  try {
    await tell("/kill-switch", "PUT", policy ? { killed, policy } : { killed });
    view.reading = await ask("/api/policies");
    draw();
  } catch (error) { toast(error.message, "bad"); }
};

const draw = () => {
  const { reading, notes, list, all } = view;
  all.textContent = reading.killed.all ? "Put all back" : "Take all out of service";
  all.className = reading.killed.all ? "button primary" : "button danger-quiet";
  all.onclick = () => turn(null, !reading.killed.all);
  fill(notes, reading.killed.all ? h("p", { class: "banner bad" }, "Every policy is out of service: “otherwise” serves all requests.") : null, reading.warnings.length ? warnings(reading.warnings) : null);
  if (!reading.policies.length) {
    fill(list, empty("No policy is configured", "Every request passes through to the default provider as it is."));
    return;
  }
  const names = reading.policies.map((policy) => policy.name);
  if (names.join() !== [...cards.keys()].join()) {
    cards = new Map(reading.policies.map((policy) => [policy.name, made(policy)]));
    list.replaceChildren(...[...cards.values()].map((card) => card.root));
  }
  reading.policies.forEach((policy) => update(cards.get(policy.name), policy, reading));
  filter();
};

const warnings = (found) => h("section", { class: "card warnings" }, h("div", { class: "card-head" }, h("h2", {}, counted(found.length, "warning")), muted("what is allowed and cannot be meant")), h("ul", {}, found.map((one) => h("li", {}, one.line ? h("a", { href: `#/configuration/${one.line}` }, `line ${one.line}`) : null, " ", h("code", {}, one.path), " ", one.message))));

const made = (policy) => {
  const parts = { head: h("div", { class: "card-head" }), live: h("div", {}), rules: h("div", {}), heads: h("div", { class: "heads" }), state: h("div", {}) };
  const kill = h("button", { class: "button", type: "button", data: { needs: "operate" } });
  const root = h("section", { class: "card policy", id: `policy-${policy.name}` }, h("div", { class: "policy-head" }, parts.head, kill), parts.live, parts.rules, parts.heads, parts.state);
  return { root, kill, ...parts };
};

const update = (card, policy, reading) => {
  const section = policy.section;
  const killed = reading.killed.all || reading.killed.policies.includes(policy.name);
  card.kill.textContent = killed ? "Put back" : "Take out of service";
  card.kill.className = killed ? "button primary" : "button danger-quiet";
  card.kill.disabled = reading.killed.all;
  card.kill.onclick = () => turn(policy.name, !killed);
  const match = Object.entries(section.match ?? {}).filter(([, value]) => (Array.isArray(value) ? value.length : Object.keys(value).length));
  fill(card.head, h("h2", {}, policy.name), chip(policy.kind.replaceAll("_", " ")), section.mode === "route" ? null : chip(section.mode, "warn"), killed ? chip("out of service", "bad") : null, section.rollout < 1 ? chip(`rollout ${percent(section.rollout)}`) : null,
    h("span", { class: "muted match" }, match.length ? ["for ", match.map(([name, value], index) => [index ? ", " : "", `${name} `, h("code", {}, Array.isArray(value) ? value.join(" ") : JSON.stringify(value))])] : "for every request"));
  fill(card.live, live(policy, reading));
  fill(card.rules, rules(policy, reading));
  fill(card.heads, policy.heads.map((head) => picture(policy, head, reading)));
  fill(card.state, target(policy, reading), bandit(policy, reading));
};

const live = (policy, reading) => {
  const isWatching = policy.section.mode === "shadow";
  const name = isWatching ? "pointsman_shadow_decisions_total" : "pointsman_decisions_total";
  const decided = by(reading.series, name, "model", { policy: policy.name });
  const whole = [...decided.values()].reduce((all, value) => all + value, 0);
  if (!whole) return h("p", { class: "muted idle" }, "Has decided nothing yet. ", policy.ladder.length ? ["Chooses between ", policy.ladder.map((model, index) => [index ? ", " : "", named(model)]), "."] : null);
  const reasons = [...by(reading.series, name, "reason", { policy: policy.name })].sort((a, b) => b[1] - a[1]);
  const order = [...new Set([...policy.ladder, ...decided.keys()])].filter((model) => decided.has(model));
  return [stack(order.map((model) => [model, decided.get(model)])), h("p", { class: "reasons" }, muted(`${isWatching ? `${count(whole)} watched` : counted(whole, "decision")}: `), reasons.map(([reason, value]) => h("span", { class: "reason" }, reason, " ", h("b", { class: "num" }, percent(value / whole)))))];
};

const rules = (policy, reading) => {
  const own = policy.section.rules ?? [];
  if (!own.length) return null;
  const warned = (index) => reading.warnings.filter((one) => one.path.startsWith(`policies[${reading.policies.indexOf(policy)}].rules[${index}]`));
  const then = (rule) => [rule.use ? ["use ", named(rule.use)] : null, rule.deny ? chip(`deny ${rule.deny.status ?? 403}`, "warn") : null, rule.set && Object.keys(rule.set).length ? h("code", { class: "wrap" }, `set ${JSON.stringify(rule.set)}`) : null, rule.continue ? muted(" and goes on") : null];
  return table([
    { title: "", number: true, narrow: true, of: (_, index) => String(index) },
    { title: "When", grow: true, of: (rule, index) => [h("code", { class: "wrap" }, rule.when), warned(index).map((one) => h("span", { class: "sub warn-text" }, one.message))] },
    { title: "Then", of: then },
  ], own, { label: `Rules of ${policy.name}` });
};

const bins = (series, classifier, head, label) => {
  const found = of(series, "pointsman_score").find((one) => one.labels.classifier === classifier && one.labels.head === head && one.labels.label === label);
  if (!found?.count) return null;
  let before = 0;
  return found.buckets.map(([bound, upTo]) => { const own = [bound, upTo - before]; before = upTo; return own; });
};

const picture = (policy, head, reading) => {
  const labels = head.labels ?? [];
  const moved = reading.targets[policy.name]?.threshold;
  const isThreshold = head.kind === "threshold";
  const steps = isThreshold ? head.steps.map((step) => ({ at: moved !== undefined && step.at_least > 0 && head.steps.length === 2 ? moved : step.at_least, name: step.model })) : [];
  const shown = isThreshold ? [labels.at(-1)] : labels;
  const charts = shown.filter(Boolean).map((label) => {
    const found = bins(reading.series, head.classifier, head.head, label);
    return h("figure", {}, h("figcaption", {}, isThreshold ? ["Scores that came, and ", steps.filter((step) => step.at > 0).length === 1 ? "the threshold" : "thresholds"] : ["Scores of ", chip(label)]), found ? scores(found, isThreshold ? steps : lowest(policy), `Scores of ${head.head}, ${label}`) : h("p", { class: "none" }, "No score yet"));
  });
  const points = head.curve ? head.curve.from.map((from, index) => [from, head.curve.to[index]]) : null;
  const calibration = points ? h("figure", {}, h("figcaption", {}, "Calibrated by a curve: what it says, what comes true"), curve(points, `Calibration of ${head.head}`)) : head.calibration ? h("p", { class: "note" }, head.calibration.temperature ? `Calibrated by temperature ${number(head.calibration.temperature, 2)}.` : "Not calibrated by a curve.") : h("p", { class: "note" }, "The classifier does not serve.");
  return h("div", { class: "head-block" }, h("h3", {}, "Head ", h("code", {}, head.head), " of ", h("code", {}, head.classifier)), steps.length ? h("p", { class: "note" }, head.steps.map((step, index) => [index ? ", " : "", named(step.model), ` from ${number(index && moved !== undefined && head.steps.length === 2 ? moved : step.at_least)}`])) : h("p", { class: "note" }, head.steps.map((step, index) => [index ? ", " : "", `${step.label} → `, named(step.model)])), points ? null : calibration, h("div", { class: "charts" }, charts, points ? calibration : null));
};

const lowest = (policy) => {
  const least = policy.section.strategy.min_confidence;
  return least > 0 ? [{ at: least, name: "min_confidence" }] : [];
};

const target = (policy, reading) => {
  const own = reading.targets[policy.name];
  if (!own) return null;
  return h("div", {}, h("h3", {}, "Target"), h("p", {}, "Threshold ", h("b", { class: "num" }, number(own.threshold)), ", strong share ", h("b", { class: "num" }, percent(own.strong_share)), own.wanted_share !== null ? [" of ", h("b", { class: "num" }, percent(own.wanted_share)), " wanted"] : null, own.frozen ? [" ", chip(`frozen: scores drifted (${number(own.drift, 2)})`, "warn")] : null));
};

const bandit = (policy, reading) => {
  const own = reading.bandits[policy.name];
  if (!own) return null;
  const rows = Object.entries(own.labels).flatMap(([label, arms]) => Object.entries(arms).map(([model, arm]) => ({ label, model, ...arm })));
  const keys = rows.length ? Object.keys(rows[0]).filter((key) => !["label", "model"].includes(key)) : [];
  return h("div", {}, h("h3", {}, "Bandit ", muted(`learnt from ${count(own.rewards)} rewards`), own.frozen ? [" ", chip(`frozen: ${own.frozen}`, "warn")] : null), table([{ title: "Label", of: (row) => row.label }, { title: "Model", of: (row) => named(row.model) }, ...keys.map((key) => ({ title: key.replaceAll("_", " "), number: true, of: (row) => (typeof row[key] === "number" ? number(row[key], 2) : String(row[key] ?? "–")) }))], rows, { label: "Bandit", none: "Has learnt nothing yet" }));
};

