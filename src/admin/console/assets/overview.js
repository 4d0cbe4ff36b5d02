// What passes through: rates, latency, costs and what routing saves, by model, tier and client.

import { ask, poll } from "./api.js";
import { bar, card, count, counted, dollars, duration, empty, fill, h, muted, named, percent, rate, share, stack, table } from "./dom.js";
import { spark } from "./charts.js";
import { between, by, histogram, quantile, sum } from "./series.js";

const PAUSE = 2000;
const MINUTE = 60;
const DURATION = "pointsman_request_duration_seconds";
const DECISIONS = "pointsman_decisions_total";
const FIRST_BYTE = "pointsman_first_byte_seconds";

const readings = [];
let range = "minute";

export const enter = (place) => {
  const cards = h("div", { class: "figures" });
  const body = h("div", { class: "stack-gap" });
  const choose = (name) => { range = name; draw(cards, body, switcher); };
  const switcher = h("div", { class: "segmented", role: "group", "aria-label": "Time" },
    [["minute", "Last minute"], ["start", "Since start"]].map(([name, text]) => h("button", { type: "button", data: { range: name }, onclick: () => choose(name) }, text)));
  place.append(h("div", { class: "page-head" }, h("h1", {}, "Overview"), switcher), cards, body);
  draw(cards, body, switcher);
  return poll(async (signal) => {
    const reading = await ask("/api/overview", { signal });
    if (readings.length && readings.at(-1).started !== reading.started) readings.length = 0; // another process
    readings.push(reading);
    while (readings.at(-1).now - readings[0].now > MINUTE + 2 * (PAUSE / 1000)) readings.shift();
    draw(cards, body, switcher);
  }, PAUSE);
};

const draw = (cards, body, switcher) => {
  switcher.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.range === range)));
  const now = readings.at(-1);
  if (!now) {
    fill(cards, figures(null, {}, 0));
    return;
  }
  const before = range === "minute" && readings.length > 1 ? readings[0] : null;
  const seconds = before ? now.now - before.now : now.now - (now.started ?? now.now);
  const shown = before ? between(before.series, now.series) : now.series;
  fill(cards, figures(now, shown, seconds));
  const total = sum(now.series, DURATION);
  fill(body, total === 0 ? welcome(now) : [models(now, shown), tiers(now, shown), savings(shown), now.clients.length ? clients(now, shown) : null]);
};

const rates = () => readings.slice(1).map((reading, index) => {
  const earlier = readings[index];
  return (sum(reading.series, DURATION) - sum(earlier.series, DURATION)) / Math.max(0.1, reading.now - earlier.now);
});

const net = (series) => {
  const [baseline, paid] = [sum(series, "pointsman_baseline_cost_usd_total"), sum(series, "pointsman_policy_cost_usd_total")];
  const [judges, shadows] = [sum(series, "pointsman_judge_cost_usd_total"), sum(series, "pointsman_shadow_answer_cost_usd_total")];
  return { baseline, paid, judges, shadows, saved: baseline - paid - judges - shadows };
};

const figure = (title, value, note, picture) => h("section", { class: "figure" }, h("h2", {}, title), h("p", { class: "figure-value" }, value), h("p", { class: "figure-note" }, note), picture);

const figures = (now, series, seconds) => {
  const requests = sum(series, DURATION);
  const failed = sum(series, DURATION, { status_class: "5xx" }) + sum(series, DURATION, { status_class: "none" });
  const refused = sum(series, DURATION, { status_class: "4xx" });
  const first = histogram(series, FIRST_BYTE);
  const decide = histogram(series, "pointsman_overhead_seconds", { stage: "decide" });
  const classify = histogram(series, "pointsman_overhead_seconds", { stage: "classify" });
  const money = net(series);
  const lately = rates();
  return [
    figure("Requests a second", now ? rate(seconds > 0 ? requests / seconds : 0) : "–", counted(requests, "request"), spark(lately, "Requests a second over the last minute", MINUTE / (PAUSE / 1000))),
    figure("Saved by routing", now ? dollars(money.saved) : "–", money.baseline > 0 ? `${percent(money.saved / money.baseline)} of ${dollars(money.baseline)}, net of judges and shadows` : "against each policy's dearest model"),
    figure("Paid", now ? dollars(sum(series, "pointsman_cost_usd_total")) : "–", money.judges + money.shadows > 0 ? `and ${dollars(money.judges + money.shadows)} for judges and shadows` : "for answers of the catalog's models"),
    figure("First byte", duration(quantile(first, 0.5)), `p95 ${duration(quantile(first, 0.95))}`),
    figure("Decided in", duration(quantile(decide, 0.5)), `classifier ${duration(quantile(classify, 0.5))}, p95 ${duration(quantile(classify, 0.95))}`),
    figure("Failed", now ? share(failed, requests) : "–", `${count(failed)} failed, ${count(refused)} refused with 4xx`),
  ];
};

const welcome = (now) => {
  const model = now.virtual_models[0] ?? "auto";
  const words = [`export OPENAI_BASE_URL=http://${location.hostname}:PORT/v1`, `# and ask for the model "${model}"`].join("\n");
  return empty("No request has come yet", "Point a client at the data plane and ask for a model that a policy decides for. What comes is counted here at once.", h("pre", {}, words), h("p", {}, "Or ", h("a", { href: "#/playground" }, "try a prompt in the playground"), "."));
};

const models = (now, series) => {
  const requests = by(series, DURATION, "model");
  const whole = [...requests.values()].reduce((all, value) => all + value, 0);
  const names = [...new Set([...now.models.map((own) => own.model), ...requests.keys()])];
  const rows = names.map((name) => ({
    name,
    requests: requests.get(name) ?? 0,
    failed: sum(series, DURATION, { model: name, status_class: "5xx" }),
    input: sum(series, "pointsman_tokens_total", { model: name, direction: "input" }),
    output: sum(series, "pointsman_tokens_total", { model: name, direction: "output" }),
    cost: sum(series, "pointsman_cost_usd_total", { model: name }),
    first: histogram(series, FIRST_BYTE, { model: name }),
    provider: now.models.find((own) => own.model === name)?.provider,
  })).sort((a, b) => b.requests - a.requests || (a.name < b.name ? -1 : 1));
  return card("Models", table([
    { title: "Model", of: (row) => [named(row.name), row.provider ? h("span", { class: "sub" }, row.provider) : null] },
    { title: "Requests", number: true, of: (row) => count(row.requests) },
    { title: "Share", grow: true, bar: true, of: (row) => bar(row.requests, whole) },
    { title: "Tokens in", number: true, hide: true, of: (row) => count(row.input) },
    { title: "out", number: true, hide: true, of: (row) => count(row.output) },
    { title: "Paid", number: true, of: (row) => dollars(row.cost) },
    { title: "First byte", number: true, hide: true, hint: "p50, p95", of: (row) => (row.first?.count ? `${duration(quantile(row.first, 0.5))}, ${duration(quantile(row.first, 0.95))}` : "–") },
    { title: "Failed", number: true, hide: true, of: (row) => share(row.failed, row.requests) },
  ], rows, { label: "Models" }));
};

const tiers = (now, series) => {
  const policies = [...new Set(now.tiers.map((tier) => tier.policy))];
  if (!policies.length) return null;
  return card("Tiers", h("div", { class: "tier-grid" }, policies.map((policy) => {
    const decided = by(series, DECISIONS, "model", { policy });
    const places = new Map();
    for (const tier of now.tiers.filter((own) => own.policy === policy)) {
      places.set(tier.model, [...(places.get(tier.model) ?? []), tier.tier]);
    }
    const parts = [...places].map(([model, names]) => [`${names.join(", ")} → ${model}`, decided.get(model) ?? 0, model]);
    const other = [...decided].filter(([model]) => !places.has(model)).reduce((all, [, value]) => all + value, 0);
    if (other > 0) parts.push(["other models", other]);
    const whole = parts.reduce((all, [, value]) => all + value, 0);
    return h("div", {}, h("h3", {}, policy, " ", muted(counted(whole, "decision"))), stack(parts));
  })), h("p", { class: "note" }, "By the model that was chosen: rules, pins and fallbacks included."));
};

const savings = (series) => {
  const names = [...new Set([...by(series, "pointsman_baseline_cost_usd_total", "policy").keys(), ...by(series, "pointsman_policy_cost_usd_total", "policy").keys()])];
  if (!names.length) return null;
  const rows = names.map((policy) => {
    const of = (metric) => sum(series, metric, { policy });
    const [baseline, paid, judges, shadows] = ["pointsman_baseline_cost_usd_total", "pointsman_policy_cost_usd_total", "pointsman_judge_cost_usd_total", "pointsman_shadow_answer_cost_usd_total"].map(of);
    return { policy, baseline, paid, judges, shadows, saved: baseline - paid - judges - shadows, decisions: sum(series, DECISIONS, { policy }) };
  });
  return card("Savings by policy", table([
    { title: "Policy", of: (row) => (row.policy === "none" ? muted("asked by name") : row.policy) },
    { title: "Decisions", number: true, hide: true, of: (row) => count(row.decisions) },
    { title: "Dearest model", number: true, hint: "What the same tokens would have cost with the policy's most expensive model", of: (row) => dollars(row.baseline) },
    { title: "Paid", number: true, of: (row) => dollars(row.paid) },
    { title: "Judges", number: true, hide: true, of: (row) => dollars(row.judges) },
    { title: "Shadows", number: true, hide: true, of: (row) => dollars(row.shadows) },
    { title: "Saved", number: true, of: (row) => h("b", { class: row.saved < 0 ? "bad-text" : "good-text" }, dollars(row.saved)) },
    { title: "", number: true, of: (row) => (row.baseline > 0 ? percent(row.saved / row.baseline) : "–") },
  ], rows, { label: "Savings by policy" }));
};

const clients = (now, series) => {
  const rows = now.clients.map((client) => {
    const answers = sum(series, "pointsman_client_answers_total", { client });
    const outcome = (name) => sum(series, "pointsman_client_requests_total", { client, outcome: name });
    return { client, requests: sum(series, "pointsman_client_requests_total", { client }), answers, strong: sum(series, "pointsman_client_strong_answers_total", { client }), cost: sum(series, "pointsman_client_cost_usd_total", { client }), saved: sum(series, "pointsman_client_net_savings_usd", { client }), limited: outcome("rate_limited"), failed: outcome("failed") };
  }).sort((a, b) => b.requests - a.requests || (a.client < b.client ? -1 : 1));
  const whole = rows.reduce((all, row) => all + row.requests, 0);
  return card("Clients", table([
    { title: "Client", of: (row) => named(row.client) },
    { title: "Requests", number: true, of: (row) => count(row.requests) },
    { title: "Share", grow: true, bar: true, of: (row) => bar(row.requests, whole) },
    { title: "Strong models", number: true, hide: true, of: (row) => share(row.strong, row.answers) },
    { title: "Paid", number: true, of: (row) => dollars(row.cost) },
    { title: "Saved", number: true, hint: "Net of judges and shadow answers", of: (row) => h("b", { class: row.saved < 0 ? "bad-text" : "good-text" }, dollars(row.saved)) },
    { title: "Limited", number: true, hide: true, of: (row) => count(row.limited) },
    { title: "Failed", number: true, hide: true, of: (row) => count(row.failed) },
  ], rows, { label: "Clients", none: "No client is configured" }));
};
