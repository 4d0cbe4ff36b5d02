// The classifiers: the rung of the degrade ladder, the queue, latency, drift, and where a shadow differs.

import { ask, poll } from "./api.js";
import { chip, count, counted, dollars, duration, empty, fill, h, muted, number, percent, share, stack } from "./dom.js";
import { between, by, histogram, mean, of, quantile, sum } from "./series.js";

const PAUSE = 2500;
const DRIFTED = 0.25;
const DRIFTING = 0.1;

const readings = [];

export const enter = (place) => {
  const body = h("div", { class: "stack-gap" });
  place.append(h("div", { class: "page-head" }, h("h1", {}, "Classifiers")), body);
  return poll(async (signal) => {
    const reading = await ask("/api/classifiers", { signal });
    readings.push({ at: performance.now(), ...reading });
    while (readings.length > 25) readings.shift();
    fill(body, draw(readings.at(-1), readings[0]));
  }, PAUSE);
};

const draw = (now, before) => {
  const names = Object.keys(now.states);
  if (!names.length) return empty("No classifier is configured", "Policies decide by rules, judges or fixed shares alone. A classifier reads each prompt in milliseconds.");
  const recent = now === before ? now.series : between(before.series, now.series);
  return names.map((name) => one(name, now, recent));
};

const tones = { ready: "good", degraded: "warn", unavailable: "bad" };

const one = (name, now, recent) => {
  const [state, details] = [now.states[name], now.details.find((own) => own.name === name) ?? {}];
  const wanted = { classifier: name };
  const sources = [...by(now.series, "pointsman_classifier_answers_total", "source", wanted)].filter(([, value]) => value > 0);
  const [wait, run, batch] = ["queue_wait_seconds", "run_seconds", "batch_size"].map((end) => histogram(recent, `pointsman_classifier_${end}`, wanted));
  const whole = histogram(now.series, "pointsman_classifier_run_seconds", wanted);
  const waiting = sum(now.series, "pointsman_classifier_queue_depth", wanted);
  const cache = by(now.series, "pointsman_classifier_cache_total", "outcome", wanted);
  const cached = (cache.get("hit") ?? 0) + (cache.get("joined") ?? 0);
  const looked = [...cache.values()].reduce((all, value) => all + value, 0);
  const degraded = [...by(now.series, "pointsman_classifier_degraded_total", "reason", wanted)].filter(([, value]) => value > 0);
  const lately = (given, of) => (given?.count ? of(given) : null);
  const facts = [
    ["Bundle", state.bundle ? [`${state.bundle} ${state.version ?? ""} `, h("code", { title: state.sha256 }, (state.sha256 ?? "").slice(0, 12))] : "–"],
    ["Device", state.device ?? "–"],
    ["Deadline", details.deadline_ms ? duration(details.deadline_ms / 1000) : "–"],
    ["Queue", `${count(waiting)} of ${count(details.queue)}`],
    ["Waited", lately(wait, (own) => `${duration(quantile(own, 0.5))}, p95 ${duration(quantile(own, 0.95))}`) ?? "–"],
    ["Run", lately(run ?? whole, (own) => `${duration(quantile(own, 0.5))}, p95 ${duration(quantile(own, 0.95))}`) ?? "–"],
    ["Prompts a run", lately(batch, (own) => number(mean(own), 1)) ?? "–"],
    ["Known before", looked ? `${share(cached, looked)} of ${count(looked)}` : "–"],
    ["Workers", details.stats ? `${details.stats.workers}, ${count(details.stats.failures)} failed runs, ${count(details.stats.skipped)} skipped` : "–"],
  ];
  return h("section", { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, name), chip(state.state, tones[state.state]), state.detail ? muted(state.detail) : null),
    h("dl", { class: "facts columns" }, facts.map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value)))),
    h("h3", {}, "Where scores come from"),
    sources.length ? stack(sources.map(([source, value]) => [source.replaceAll("_", " "), value])) : h("p", { class: "muted" }, "No prompt has been judged yet."),
    degraded.length ? h("p", { class: "reasons" }, muted("The encoder did not answer: "), degraded.map(([reason, value]) => h("span", { class: "reason" }, chip(reason.replaceAll("_", " "), "warn"), " ", h("b", { class: "num" }, count(value))))) : null,
    drift(name, now.series),
    shadow(name, state, now.series));
};

const drift = (name, series) => {
  const signals = of(series, "pointsman_drift_psi").filter((own) => own.labels.classifier === name).sort((a, b) => b.value - a.value);
  const prompts = sum(series, "pointsman_drift_window_prompts", { classifier: name });
  if (!signals.length) return null;
  return [h("h3", {}, "Drift ", muted(`population stability over ${counted(prompts, "prompt")}`)), h("ul", { class: "labels drift" }, signals.map((own) => {
    const bar = h("span", { class: `meter-fill ${own.value >= DRIFTED ? "bad" : own.value >= DRIFTING ? "warn" : "good"}` });
    bar.style.width = `${Math.min(100, 200 * own.value)}%`;
    return h("li", {}, h("span", { class: "label-name" }, own.labels.signal), h("span", { class: "meter" }, bar), h("span", { class: "num" }, number(own.value)));
  })), h("p", { class: "note" }, "Below 0.1 as before, from 0.25 on other traffic than the bundle was measured on.")];
};

const shadow = (name, state, series) => {
  if (!state.shadow) return null;
  const labels = of(series, "pointsman_classifier_shadow_labels_total").filter((own) => own.labels.classifier === name);
  const heads = [...new Set(labels.map((own) => own.labels.head))];
  const prompts = by(series, "pointsman_classifier_shadow_prompts_total", "outcome", { classifier: name });
  const costs = by(series, "pointsman_classifier_shadow_cost_usd_total", "choice", { classifier: name });
  return [h("h3", {}, "Shadow ", chip(state.shadow.state, tones[state.shadow.state]), " ", muted([state.shadow.version, state.shadow.detail].filter(Boolean).join(" "))),
    h("p", { class: "reasons" }, [...prompts].map(([outcome, value]) => h("span", { class: "reason" }, outcome, " ", h("b", { class: "num" }, count(value)))), costs.size ? h("span", { class: "reason" }, "cost live ", h("b", { class: "num" }, dollars(costs.get("live"))), ", shadow ", h("b", { class: "num" }, dollars(costs.get("shadow")))) : null),
    heads.length ? h("div", { class: "charts" }, heads.map((head) => matrix(head, labels.filter((own) => own.labels.head === head), of(series, "pointsman_classifier_shadow_agreement_ratio").find((own) => own.labels.classifier === name && own.labels.head === head)?.value))) : h("p", { class: "muted" }, "No prompt has been compared yet.")];
};

const matrix = (head, cells, agreement) => {
  const names = [...new Set(cells.flatMap((own) => [own.labels.live, own.labels.shadow]))].sort();
  const at = (live, other) => cells.filter((own) => own.labels.live === live && own.labels.shadow === other).reduce((all, own) => all + own.value, 0);
  const whole = cells.reduce((all, own) => all + own.value, 0);
  const shade = (value) => `heat-${value ? Math.min(5, 1 + Math.floor((5 * value) / whole)) : 0}`;
  return h("figure", { class: "matrix" }, h("figcaption", {}, h("code", {}, head), " ", muted(agreement === undefined ? "" : `agree on ${percent(agreement)}`)),
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "live ╲ shadow"), names.map((own) => h("th", { scope: "col", class: "number" }, own)))), h("tbody", {}, names.map((live) => h("tr", {}, h("th", { scope: "row" }, live), names.map((other) => h("td", { class: `number ${shade(at(live, other))} ${live === other ? "same" : ""}` }, count(at(live, other)))))))));
};

