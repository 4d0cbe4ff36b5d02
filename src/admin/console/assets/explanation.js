// An explanation of a decision, as people read it: what was chosen, by what, and what was seen on the way.

import { chip, count, dollars, duration, h, muted, named, number, table } from "./dom.js";

const TONES = { matched: "good", failed: "bad" };

const section = (title, ...children) => h("section", { class: "explained" }, h("h3", {}, title), children);

export const explanation = (given) => [
  verdict(given),
  candidates(given),
  rules(given),
  ...(given.classifiers ?? []).map(classifier),
  judges(given),
  similarities(given),
  features(given),
  h("details", { class: "raw" }, h("summary", {}, "As JSON"), h("pre", {}, JSON.stringify(given, null, 2))),
].filter(Boolean);

const verdict = (given) => {
  const chosen = given.denied ? chip(`refused with ${given.denied.status}`, "bad") : given.model ? named(given.model) : muted(`passes to ${given.provider ?? "the default provider"}`);
  const by = given.rule !== null && given.rule !== undefined ? `rule ${given.rule}` : given.strategy ? `strategy ${given.strategy}` : "";
  const facts = [
    ["Chosen", [chosen, given.applied === false ? [" ", chip("only watched")] : null]],
    ["Because", [h("b", {}, given.reason), by ? muted(` by ${by}`) : null]],
    given.denied ? ["Message", given.denied.message] : null,
    given.policy ? ["Policy", given.policy] : null,
    given.label ? ["Label", [chip(given.label), given.label_from ? muted(` of ${given.label_from.replaceAll("_", " ")}`) : null]] : null,
    typeof given.score === "number" ? ["Score", number(given.score)] : null,
    given.flip ? ["Would change", flip(given.flip)] : null,
    given.pin ? ["Pin", pin(given.pin)] : null,
    given.budget ? ["Budget nearly used up", h("code", {}, given.budget)] : null,
    given.quota ? ["Quota", h("code", {}, JSON.stringify(given.quota))] : null,
    given.degraded ? ["Degraded", chip(given.degraded, "warn")] : null,
    given.set && Object.keys(given.set).length ? ["Set by rules", h("code", {}, JSON.stringify(given.set))] : null,
    given.cost_usd ? ["Judges cost", dollars(given.cost_usd)] : null,
    given.ask ? ["Ask", `${given.ask.source?.replaceAll("_", " ")}${given.ask.left_out?.length ? `, ${given.ask.left_out.length} envelopes left out` : ""}`] : null,
    given.timings_us ? ["Time", Object.entries(given.timings_us).filter(([, time]) => time > 0).map(([stage, time]) => `${stage} ${duration(time / 1e6)}`).join(", ") || "–"] : null,
    ["Generation", String(given.generation)],
  ].filter(Boolean);
  return section("Decision", h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
};

const flip = (own) => [`if ${own.of.replaceAll("_", " ")}${own.label ? ` of ${own.label}` : ""} (${number(own.value)}) crossed ${number(own.threshold)}`, own.model ? [": ", named(own.model)] : null];

const pin = (own) => [own.outcome?.replaceAll("_", " "), own.model ? [" ", named(own.model)] : null, own.last && own.last !== own.model ? muted(` last ${own.last}`) : null];

const candidates = (given) => {
  if (!given.candidates?.length) return null;
  const rows = given.candidates;
  return section("Candidates", table([
    { title: "Model", of: (row) => named(row.model) },
    { title: "Fits", of: (row) => (row.fits ? chip("yes", "good") : chip(`lacks ${String(row.lacks).replaceAll("_", " ")}`, "warn")) },
    { title: "In / 1M", number: true, of: (row) => (row.price ? dollars(row.price.input) : "–") },
    { title: "Out / 1M", number: true, of: (row) => (row.price ? dollars(row.price.output) : "–") },
    { title: "Translation", hide: true, of: (row) => (row.translation ? `${row.translation.from} → ${row.translation.to ?? "?"}${row.translation.summary ? `: ${row.translation.summary}` : ""}` : "–") },
  ], rows, { label: "Candidates", row: (row) => ({ class: row.model === given.model ? "chosen" : null }) }));
};

const rules = (given) => {
  if (!given.rules?.length) return null;
  const act = (rule) => (rule.use ? [muted("use "), named(rule.use)] : rule.deny ? chip(`deny ${rule.deny.status ?? ""}`, "warn") : rule.set ? h("code", {}, `set ${Object.keys(rule.set).join(", ")}`) : "–");
  return section("Rules", table([
    { title: "", number: true, narrow: true, of: (rule) => String(rule.index) },
    { title: "When", grow: true, of: (rule) => h("code", { class: "wrap" }, rule.when) },
    { title: "Then", of: act },
    { title: "", of: (rule) => [chip(String(rule.outcome ?? "–").replaceAll("_", " "), TONES[rule.outcome] ?? ""), rule.value !== null && rule.value !== undefined ? muted(` ${rule.value}`) : null, rule.error ? h("span", { class: "sub bad-text" }, rule.error) : null] },
  ], given.rules, { label: "Rules", row: (rule) => ({ class: rule.index === given.rule ? "chosen" : null }) }));
};

const classifier = (own) => section(`Classifier ${own.classifier}`,
  h("p", { class: "note" }, [own.source ? `${own.source.replaceAll("_", " ")}${own.cached ? ", known before" : ""}, ${count(own.tokens)} tokens` : "gave no scores", own.truncated_tokens ? `, ${count(own.truncated_tokens)} cut` : "", own.degraded ? ` (${own.degraded})` : "", own.unfamiliar ? `, unfamiliar: ${own.unfamiliar}` : ""]),
  own.heads.map((head) => h("div", { class: head.read ? "head read" : "head" }, h("h4", {}, head.head, head.read ? null : muted(" not read")), h("ul", { class: "labels" }, head.labels.map((label) => {
    const fillBar = h("span", { class: `meter-fill ${label.label === head.label ? "best" : ""}` });
    fillBar.style.width = `${100 * label.probability}%`;
    return h("li", {}, h("span", { class: "label-name" }, label.label), h("span", { class: "meter" }, fillBar), h("span", { class: "num" }, number(label.probability)));
  })))));

const judges = (given) => (given.judges?.length ? section("Judges", given.judges.map((judge) => h("p", {}, named(judge.judge ?? "judge"), " ", judge.failure ? chip(judge.failure, "bad") : chip(judge.label), judge.confidence ? muted(` confidence ${number(judge.confidence, 2)}`) : null, judge.cached ? muted(" known before") : null, judge.rationale ? h("q", {}, judge.rationale) : null))) : null);

const similarities = (given) => (given.similarities?.length ? section("Similarities", given.similarities.filter(Boolean).map((one) => table([
  { title: "Route", of: (route) => route.route },
  { title: "Model", of: (route) => named(route.model) },
  { title: "Nearness", number: true, of: (route) => number(route.similarity) },
  { title: "Threshold", number: true, of: (route) => number(route.threshold, 2) },
], one.routes, { label: "Similarities" }))) : null);

const features = (given) => {
  const own = Object.entries(given.features ?? {}).filter(([, value]) => value !== null && value !== false && value !== 0 && (typeof value !== "object" || Object.keys(value).length));
  if (!own.length) return null;
  const shown = (value) => (typeof value === "object" ? JSON.stringify(value) : typeof value === "number" && !Number.isInteger(value) ? number(value) : String(value));
  return section("Features", h("dl", { class: "facts dense" }, own.map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", { class: "num" }, shown(value))])));
};
