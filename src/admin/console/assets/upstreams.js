// The providers: peers and their circuits, keys and models that rest, and what conversations are held to.

import { ask, poll } from "./api.js";
import { bar, card, chip, count, dollars, duration, empty, fill, h, muted, named, share, table } from "./dom.js";
import { by, histogram, quantile, sum } from "./series.js";

const PAUSE = 2000;

export const enter = (place) => {
  const body = h("div", { class: "stack-gap" });
  place.append(h("div", { class: "page-head" }, h("h1", {}, "Upstreams")), body);
  return poll(async (signal) => {
    const reading = await ask("/api/upstreams", { signal });
    fill(body, reading.providers.length ? reading.providers.map((own) => provider(own, reading)) : empty("No provider is configured", "Add one under providers, and models that it serves."), pins(reading));
  }, PAUSE);
};

const circuits = { closed: ["closed", "good"], open: ["open", "bad"], half_open: ["half open", "warn"] };

const health = (peer) => {
  const [text, tone] = circuits[peer.circuit];
  return [peer.is_down ? chip("checks fail", "bad") : null, peer.is_down ? " " : null, chip(text, tone), peer.tried_again_in_s !== null ? muted(` tried again in ${duration(peer.tried_again_in_s)},`) : null, peer.trips > 0 ? muted(` opened ${peer.trips === 1 ? "once" : `${peer.trips} times`}`) : null];
};

const provider = (own, { series, default_provider: standard }) => {
  const attempts = by(series, "pointsman_upstream_attempts_total", "outcome", { provider: own.name });
  const whole = [...attempts.values()].reduce((all, value) => all + value, 0);
  const failures = [...attempts].filter(([outcome, value]) => outcome !== "success" && value > 0).sort((a, b) => b[1] - a[1]);
  const ejected = (peer) => [...by(series, "pointsman_upstream_ejections_total", "cause", { provider: own.name, peer: peer.address })].filter(([, value]) => value > 0);
  const troubled = own.peers.some((peer) => peer.is_down || peer.circuit !== "closed");
  return h("section", { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, own.name), own.is_up ? (troubled ? chip("partly up", "warn") : chip("up", "good")) : chip("down", "bad"), own.name === standard ? chip("default") : null, h("code", { class: "match" }, own.base_url)),
    h("p", { class: "reasons" }, h("span", { class: "reason" }, "in flight ", h("b", { class: "num" }, count(own.in_flight)), own.max_concurrent ? ` of ${count(own.max_concurrent)}` : ""), h("span", { class: "reason" }, "attempts ", h("b", { class: "num" }, count(whole))), whole ? h("span", { class: "reason" }, "good ", h("b", { class: "num" }, share(attempts.get("success") ?? 0, whole))) : null, failures.map(([outcome, value]) => h("span", { class: "reason" }, chip(outcome.replaceAll("_", " "), "warn"), " ", h("b", { class: "num" }, count(value))))),
    table([
      { title: "Peer", of: (peer) => h("code", {}, peer.address) },
      { title: "Circuit", of: health },
      { title: "In flight", number: true, of: (peer) => count(peer.in_flight) },
      { title: "Ejected", hide: true, of: (peer) => { const list = ejected(peer); return list.length ? list.map(([cause, value], index) => `${index ? ", " : ""}${count(value)} × ${cause.replaceAll("_", " ")}`) : "–"; } },
    ], own.peers, { label: `Peers of ${own.name}` }),
    own.keys.length ? table([
      { title: "Key", of: (key) => h("code", {}, key.name) },
      { title: "State", of: (key) => (key.rests_for_s !== null ? [chip(key.is_refused ? "refused" : "rests", key.is_refused ? "bad" : "warn"), muted(` ${duration(key.rests_for_s)} more`)] : key.refused_models.length ? [chip("ready", "good"), muted(` not for ${key.refused_models.join(", ")}`)] : chip("ready", "good")) },
      { title: "Requests", number: true, of: (key) => count(sum(series, "pointsman_provider_key_requests_total", { provider: own.name, key: key.name })) },
    ], own.keys, { label: `Keys of ${own.name}` }) : null,
    table([
      { title: "Model", of: (model) => [named(model.model), model.upstream_name !== model.model ? h("span", { class: "sub" }, model.upstream_name) : null] },
      { title: "State", of: (model) => (model.rests_for_s !== null ? [chip("rests", "warn"), muted(` ${duration(model.rests_for_s)} more`)] : chip("ready", "good")) },
      { title: "In / 1M", number: true, of: (model) => (model.price ? dollars(model.price.input) : "–") },
      { title: "Out / 1M", number: true, of: (model) => (model.price ? dollars(model.price.output) : "–") },
      { title: "Window", number: true, hide: true, of: (model) => count(model.context) },
      { title: "First byte", number: true, hide: true, of: (model) => duration(quantile(histogram(series, "pointsman_first_byte_seconds", { model: model.model }), 0.5)) },
      { title: "Tokens/s", number: true, hide: true, of: (model) => { const value = quantile(histogram(series, "pointsman_tokens_per_second", { model: model.model }), 0.5); return value === null ? "–" : count(value); } },
    ], own.models, { label: `Models of ${own.name}`, none: "No model of the catalog is served here" }));
};

const pins = ({ pins: held, states, series }) => {
  const kinds = by(series, "pointsman_state_total", "outcome");
  return card("Pins and kept state",
    held.length ? table([
      { title: "Policy", of: (row) => row.policy },
      { title: "Conversations held", number: true, of: (row) => count(row.held) },
      { title: "Of", grow: true, bar: true, of: (row) => bar(row.held, row.most) },
    ], held, { label: "Pins" }) : h("p", { class: "muted" }, "No policy holds conversations to a model."),
    h("p", { class: "note" }, `${count(states)} names of state that providers keep are remembered here`, kinds.size ? `; looked up: ${[...kinds].map(([outcome, value]) => `${count(value)} ${outcome}`).join(", ")}` : "", "."));
};
