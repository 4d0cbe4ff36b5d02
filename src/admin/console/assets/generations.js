// The generations that served: what changed between them, and the way back.

import { ask, poll, tell } from "./api.js";
import { chip, confirmed, counted, fill, h, moment, muted, toast } from "./dom.js";
import { difference } from "./diff.js";

const PAUSE = 4000;

let view = null;

export const enter = (place) => {
  const back = h("button", { class: "button danger-quiet", type: "button", disabled: true, data: { needs: "operate" } }, "Roll back");
  const reload = h("button", { class: "button", type: "button", onclick: again, data: { needs: "operate" } }, "Read it again");
  const source = h("p", { class: "muted" });
  const held = h("p", { class: "muted", hidden: true, "aria-live": "polite" });
  const list = h("div", { class: "card rows generations", role: "listbox", tabindex: "0", "aria-label": "Generations", onkeydown: move });
  const detail = h("section", { class: "card", "aria-live": "polite" });
  view = { back, source, held, list, detail, reading: null, chosen: null };
  place.append(h("div", { class: "page-head" }, h("h1", {}, "Generations"), h("div", { class: "tools" }, reload, back)), source, held, h("div", { class: "split" }, list, detail));
  const leave = poll(async (signal) => { await look(signal); }, PAUSE);
  return () => { leave(); view = null; };
};

const look = async (signal) => {
  view.reading = await ask("/api/generations", { signal });
  if (!view) return;
  view.chosen ??= key(view.reading.records[0]);
  draw();
};

const key = (record) => `${record.generation}-${record.at}`;

const versionOf = (version) => version?.commit?.slice(0, 12) ?? version?.etag ?? version?.last_modified ?? "";

const said = (source) => {
  const { kind, name, version, detail } = source;
  const signed = version.signature ? `signed by ${version.signature.key_id}: ${version.signature.comment}` : kind === "http" ? "without a signature" : null;
  const asked = source.checked ? `asked ${moment(Date.parse(source.checked) / 1000)}` : null;
  const parts = [name, versionOf(version) || null, signed, asked].filter(Boolean).join(" · ");
  return [parts, detail ? [" ", chip(detail, "warn")] : null];
};

const draw = () => {
  const { reading, back, list } = view;
  fill(view.source, said(reading.source));
  view.held.hidden = !reading.held;
  fill(view.held, reading.held ? [chip("held back", "warn"), ` Generation ${reading.held.generation} was rolled back ${moment(Date.parse(reading.held.since) / 1000)}. Its text does not serve again by itself: only once it, or its weights, are others, or you read it again.`] : []);
  back.disabled = reading.previous === null;
  back.title = reading.previous === null ? "Nothing served before this generation" : "";
  back.onclick = rollBack;
  const outcomes = { applied: ["applied", "good"], rejected: ["refused", "bad"], rolled_back: ["rolled back", "warn"] };
  fill(list, reading.records.map((record) => {
    const [text, tone] = outcomes[record.outcome] ?? ["started", ""];
    const serves = record.generation === reading.serving && record.outcome !== "rejected";
    return h("div", { class: `row generation ${key(record) === view.chosen ? "active" : ""}`, role: "option", "aria-selected": String(key(record) === view.chosen), data: { key: key(record) } },
      h("span", { class: "num generation-number" }, record.outcome === "rejected" ? "–" : String(record.generation)), h("span", {}, chip(text, tone), serves ? [" ", chip("serves", "accent")] : null, h("span", { class: "sub" }, `${moment(record.at)}, by ${record.trigger}`)), h("code", { title: record.version?.signature?.comment }, versionOf(record.version) || record.fingerprint?.slice(0, 8) || ""));
  }));
  list.onclick = (event) => { const row = event.target.closest("[data-key]"); if (row) choose(row.dataset.key); };
  describe();
};

const choose = (chosen) => { view.chosen = chosen; draw(); };

const move = (event) => {
  const records = view.reading?.records ?? [];
  const here = records.findIndex((record) => key(record) === view.chosen);
  const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: records.length - 1 }[event.key];
  if (next === undefined || !records.length) return;
  event.preventDefault();
  choose(key(records[Math.max(0, Math.min(records.length - 1, next))]));
};

let described = "";

const describe = async () => {
  const { reading, detail, chosen } = view;
  const records = reading.records;
  const here = records.findIndex((record) => key(record) === chosen);
  const record = records[here] ?? records[0];
  const before = records.slice(here + 1).find((own) => own.outcome !== "rejected");
  const about = `${key(record)} ${before?.generation}`;
  if (about === described && detail.childElementCount) return;
  described = about;
  const head = h("div", { class: "card-head" }, h("h2", {}, record.outcome === "rejected" ? "Refused reload" : `Generation ${record.generation}`), muted(record.policies === null ? "" : `${counted(record.policies, "policy", "policies")}, ${counted(record.models, "model")}`));
  if (record.outcome === "rejected") {
    detail.replaceChildren(head, h("p", { class: "muted" }, `Generation ${record.generation} went on serving.`), h("pre", { class: "problem" }, record.error));
    return;
  }
  if (!before) {
    detail.replaceChildren(head, h("p", { class: "muted" }, "The first generation that is kept here: there is none before it to compare with."));
    return;
  }
  try {
    const [old, fresh] = await Promise.all([before, record].map((own) => ask(`/api/generations/${own.generation}`)));
    if (!view || described !== about) return;
    const same = old.text === fresh.text;
    detail.replaceChildren(head, h("h3", {}, `Against generation ${before.generation}`), same ? h("p", { class: "muted" }, "The configuration's text is the same: weights, keys or certificates changed.") : difference(old.text, fresh.text));
  } catch (error) {
    detail.replaceChildren(head, h("p", { class: "muted" }, error.message));
  }
};

const rollBack = async () => {
  const { previous } = view.reading;
  if (!(await confirmed("Roll back?", `What served as generation ${previous} serves again, as a new generation, at once. The file is not touched: what it holds is held back until its text or its weights are others, or somebody reads it again.`, "Roll back"))) return;
  await change("/rollback", "Rolled back");
};

const again = () => change("/reload", "Read again");

const change = async (path, said) => {
  try {
    const answer = await tell(path, "POST", {});
    toast(`${said}: ${answer.outcome.replaceAll("_", " ")}, generation ${answer.generation}`, "good");
  } catch (error) { toast(error.message, "bad"); }
  if (view) { view.chosen = null; await look(); }
};
