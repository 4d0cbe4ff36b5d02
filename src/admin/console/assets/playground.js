// A prompt to try: decided at once with all that led there, and sent, if it is asked for, to several models side by side.

import { ask, tell } from "./api.js";
import { chip, count, dollars, duration, empty, h, muted, named, toast } from "./dom.js";
import { explanation } from "./explanation.js";

const KEPT = { prompt: "", system: "", key: "", asked: null, models: null, tokens: 512 };

let view = null;

export const enter = (place) => {
  const prompt = h("textarea", { id: "prompt", rows: "6", placeholder: "What would you ask?", data: { search: "" } });
  prompt.value = KEPT.prompt;
  const system = h("textarea", { id: "system", rows: "2", placeholder: "None" });
  system.value = KEPT.system;
  const asked = h("select", { id: "asked" });
  const client = h("select", { id: "client" });
  const key = h("input", { id: "key", type: "password", autocomplete: "off", placeholder: "Where clients need one" });
  key.value = KEPT.key;
  const tokens = h("input", { id: "tokens", type: "number", min: "1", max: "32000", value: String(KEPT.tokens) });
  const models = h("fieldset", { class: "models" }, h("legend", {}, "Send to"));
  const decide = h("button", { class: "button primary", type: "button", onclick: decided, data: { needs: "decide" } }, "Decide");
  const send = h("button", { class: "button", type: "button", onclick: sent, data: { needs: "decide" } }, "Send");
  const answers = h("div", { class: "answers" });
  const result = h("section", { class: "card" }, empty("Nothing is decided yet", "Decide shows which model would answer, and why. Nothing is sent, counted or kept then."));
  view = { prompt, system, asked, client, key, tokens, models, decide, send, answers, result };
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); decided(); }
  });
  const field = (id, title, input) => h("div", { class: "field" }, h("label", { for: id }, title), input);
  place.append(h("div", { class: "page-head" }, h("h1", {}, "Playground")),
    h("div", { class: "split playground" }, h("form", { class: "card form", onsubmit: (event) => event.preventDefault() },
      field("prompt", "Prompt", prompt), field("system", "System", system),
      h("div", { class: "field-row" }, field("asked", "Asked for", asked), field("client", "As client", client)),
      h("div", { class: "tools" }, decide, muted("Ctrl+Enter")),
      models, h("div", { class: "field-row" }, field("key", "Client key", key), field("tokens", "Longest answer", tokens)),
      h("div", { class: "tools" }, send, muted("goes out as a client's request, and is paid for"))), h("div", { class: "stack-gap" }, answers, result)));
  fillIn();
  return () => {
    Object.assign(KEPT, { prompt: prompt.value, system: system.value, key: key.value, asked: asked.value, tokens: Number(tokens.value) || 512, models: chosen() });
    view = null;
  };
};

const fillIn = async () => {
  const overview = await ask("/api/overview");
  if (!view) return;
  view.prices = new Map(overview.models.map((own) => [own.model, own.price]));
  const virtual = overview.virtual_models;
  const catalog = overview.models.map((own) => own.model);
  const option = (value, text = value) => h("option", { value }, text);
  view.asked.replaceChildren(...[...virtual, ...catalog.filter((name) => !virtual.includes(name))].map((name) => option(name)));
  if (KEPT.asked) view.asked.value = KEPT.asked;
  view.client.replaceChildren(option("", "nobody"), ...overview.clients.map((name) => option(name)));
  view.client.disabled = !overview.clients.length;
  const picked = KEPT.models ?? virtual.slice(0, 1);
  const boxes = [...new Set([...virtual, ...catalog])].map((name) => h("label", { class: "check" }, h("input", { type: "checkbox", value: name, checked: picked.includes(name) }), virtual.includes(name) && !catalog.includes(name) ? h("span", {}, name, muted(" as a policy decides")) : named(name)));
  view.models.replaceChildren(h("legend", {}, "Send to"), ...boxes);
};

const chosen = () => [...view.models.querySelectorAll("input:checked")].map((box) => box.value);

const body = (model) => {
  const system = view.system.value.trim();
  const messages = [...(system ? [{ role: "system", content: system }] : []), { role: "user", content: view.prompt.value }];
  return { model, messages, max_tokens: Number(view.tokens.value) || 512 };
};

const isEmpty = () => {
  if (view.prompt.value.trim()) return false;
  toast("Write a prompt first");
  view.prompt.focus();
  return true;
};

const decided = async () => {
  if (isEmpty()) return;
  const started = performance.now();
  view.decide.disabled = true;
  try {
    const client = view.client.value ? `?client=${encodeURIComponent(view.client.value)}` : "";
    const { max_tokens: _, ...asked } = body(view.asked.value);
    const answer = await tell(`/v1/decide${client}`, "POST", asked);
    if (!view) return;
    const took = performance.now() - started;
    view.result.replaceChildren(h("div", { class: "card-head" }, h("h2", {}, answer.denied ? "Refused" : answer.model ? named(answer.model) : "Passes through"), answer.label ? chip(answer.label) : null, muted(`seen from here in ${duration(took / 1000)}`)), ...explanation(answer));
  } catch (error) {
    if (view) view.result.replaceChildren(empty("It cannot be decided", error.message));
  }
  if (view) view.decide.disabled = false;
};

const sent = async () => {
  const models = chosen();
  if (isEmpty()) return;
  if (!models.length) { toast("Choose a model to send to"); return; }
  view.send.disabled = true;
  const columns = models.map((model) => h("section", { class: "card answer" }, h("div", { class: "card-head" }, h("h2", {}, model)), h("p", { class: "muted" }, "Waiting for the answer")));
  view.answers.replaceChildren(...columns);
  view.answers.dataset.count = String(columns.length);
  await Promise.all(models.map(async (model, index) => {
    try {
      answer(columns[index], model, await tell("/api/playground", "POST", { body: body(model), key: view.key.value || null }));
    } catch (error) {
      columns[index].replaceChildren(h("div", { class: "card-head" }, h("h2", {}, model), chip("not sent", "bad")), h("p", {}, error.message));
    }
  }));
  if (view) view.send.disabled = false;
};

// By the catalog's price: what was cached or written to a cache may cost otherwise.
const cost = (model, usage) => {
  const price = view?.prices.get(model);
  return price && usage.prompt_tokens !== undefined ? `about ${dollars((usage.prompt_tokens * price.input + (usage.completion_tokens ?? 0) * price.output) / 1e6)}` : "–";
};

const answer = (place, model, given) => {
  const by = given.headers["x-pointsman-model"];
  const isGood = given.status < 400;
  const said = given.body?.choices?.[0]?.message;
  const text = said?.content ?? given.body?.error?.message ?? JSON.stringify(given.body, null, 2);
  const usage = given.body?.usage ?? {};
  const facts = [by ? ["Answered by", named(by)] : null, given.headers["x-pointsman-reason"] ? ["Because", given.headers["x-pointsman-reason"]] : null, ["Took", duration(given.took_ms / 1000)], usage.prompt_tokens !== undefined ? ["Tokens", `${count(usage.prompt_tokens)} in, ${count(usage.completion_tokens)} out`] : null, ["Costs", cost(by, usage)]].filter(Boolean);
  place.replaceChildren(h("div", { class: "card-head" }, h("h2", {}, model), chip(given.status, isGood ? "good" : "bad")), h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])), h("pre", { class: "answer-text" }, text || "(no text)"));
};

