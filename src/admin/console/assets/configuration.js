// The configuration: read, edited, checked with its tests, saved as a new generation, and any former text brought back.

import { ask, tell } from "./api.js";
import { chip, confirmed, count, counted, fill, h, muted, toast } from "./dom.js";
import { difference } from "./diff.js";

// The height of a line in the style sheet, in pixels.
const LINE = 20;

let view = null;

export const enter = (place, [line]) => {
  const text = h("textarea", { id: "editor", spellcheck: "false", autocomplete: "off", autocapitalize: "off", wrap: "off", "aria-label": "Configuration", data: { search: "" }, readonly: true });
  const gutter = h("div", { class: "gutter", "aria-hidden": "true" });
  const marks = h("div", { class: "gutter-lines" });
  gutter.append(marks);
  const check = h("button", { class: "button", type: "button", disabled: true, onclick: examine, data: { needs: "edit" } }, "Check");
  const save = h("button", { class: "button primary", type: "button", disabled: true, onclick: () => store(false), data: { needs: "edit" } }, "Save");
  const status = h("p", { class: "editor-state", role: "status" });
  const findings = h("section", { class: "card findings" });
  const versions = h("section", { class: "card" });
  const compare = h("section", { class: "card", hidden: true });
  view = { text, marks, check, save, status, findings, versions, compare, file: null, marked: new Map(), line: Number(line) || null };
  text.addEventListener("input", () => { changed(); draw(); });
  text.addEventListener("scroll", () => { marks.style.transform = `translateY(${-text.scrollTop}px)`; });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && !event.shiftKey && !text.readOnly && !event.altKey) {
      event.preventDefault();
      text.setRangeText("  ", text.selectionStart, text.selectionEnd, "end");
      changed();
    } else if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!save.disabled) store(false);
    }
  });
  const unsaved = (event) => { if (isChanged()) event.preventDefault(); };
  addEventListener("beforeunload", unsaved);
  place.append(h("div", { class: "page-head" }, h("h1", {}, "Configuration"), h("div", { class: "tools" }, check, save)), status, h("div", { class: "split editor-split" }, h("div", { class: "editor" }, gutter, text), h("div", { class: "stack-gap" }, findings, versions)), compare);
  fill(findings, h("div", { class: "card-head" }, h("h2", {}, "Findings")), h("p", { class: "muted" }, "Nothing has been checked yet."));
  load();
  return () => { removeEventListener("beforeunload", unsaved); view = null; };
};

export const arrive = ([line]) => { if (line) go(Number(line)); };

const isChanged = () => view?.file && view.text.value !== view.file.text;

const load = async () => {
  try {
    view.file = await ask("/api/configuration");
  } catch (error) {
    fill(view.status, h("span", { class: "bad-text" }, error.message));
    return;
  }
  if (!view) return;
  view.text.value = view.file.text;
  view.text.readOnly = !view.file.editable;
  view.marked = new Map();
  draw();
  list();
  if (view.line) { go(view.line); view.line = null; }
};

const changed = () => { view.marked = new Map(); };

const draw = () => {
  const { file, text, marks, check, save, status, marked } = view;
  const lines = text.value.split("\n").length;
  const numbers = Array.from({ length: lines }, (_, index) => {
    const found = marked.get(index + 1);
    return h("div", { class: found ? `line ${found.kind}` : "line", title: found?.text }, String(index + 1));
  });
  marks.replaceChildren(...numbers);
  if (!file) return;
  check.disabled = !file.editable || view.busy;
  save.disabled = !file.editable || !isChanged() || view.busy;
  fill(status, h("code", {}, file.file), " ", file.serves && !isChanged() ? chip("serves", "good") : isChanged() ? chip("changed here", "warn") : chip("differs from what serves", "warn"), " ", muted(file.editable ? "Ctrl+S saves. A text is saved only if it would serve." : file.refusal ? file.refusal : ["Read only, and what looks like a secret is hidden. ", h("code", {}, "admin: {console: {edit: true}}"), " in the file lets the console change it, for the role ", h("code", {}, "edit"), " where callers have roles."]));
};

const go = (line) => {
  const { text } = view;
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((all, own) => all + own.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  text.scrollTop = Math.max(0, (line - 1) * LINE - text.clientHeight / 3);
};

const busy = (is) => { if (view) { view.busy = is; draw(); } };

const examine = async () => {
  busy(true);
  fill(view.findings, h("div", { class: "card-head" }, h("h2", {}, "Findings")), h("p", { class: "muted" }, "Checking, and running the tests."));
  try { show(await tell("/api/configuration/check", "POST", { text: view.text.value })); } catch (error) { toast(error.message, "bad"); }
  busy(false);
};

const store = async (despite) => {
  if (!despite && !(await confirmed("Save and serve?", "The text is checked, its tests are run, the file is replaced and the next generation serves. The former text is kept as a version.", "Save"))) return;
  busy(true);
  try {
    const answer = await tell("/api/configuration", "PUT", { text: view.text.value, despite_tests: despite }, { "if-match": view.file.etag });
    if (answer.saved) {
      toast(`Saved: generation ${answer.generation} serves`, "good");
      await load();
      if (view) fill(view.findings, h("div", { class: "card-head" }, h("h2", {}, "Findings"), chip("saved", "good")), h("p", { class: "muted" }, `Generation ${answer.generation} serves this text.`));
    } else {
      show(answer.findings, true);
      toast("Not saved: see the findings", "bad");
    }
  } catch (error) {
    toast(error.message.split("\n")[0], "bad");
    if (view) fill(view.findings, h("div", { class: "card-head" }, h("h2", {}, "Findings"), chip("not saved", "bad")), h("pre", { class: "problem" }, error.message), error.status === 412 ? h("button", { class: "button", type: "button", onclick: load }, "Read the file again, and lose what is typed here") : null);
  }
  busy(false);
};

const show = (found, wasSaving = false) => {
  if (!view) return;
  const failed = found.tests.filter((test) => test.failures.length);
  view.marked = new Map();
  const mark = (kind) => (one) => { if (one.line && !view.marked.has(one.line)) view.marked.set(one.line, { kind, text: one.message }); };
  found.problems.forEach(mark("bad"));
  failed.flatMap((test) => test.failures).forEach(mark("bad"));
  found.warnings.forEach(mark("warn"));
  draw();
  const item = (kind) => (one) => h("li", { class: kind }, one.line ? h("button", { class: "line-link", type: "button", onclick: () => go(one.line) }, `line ${one.line}`) : null, one.path ? [" ", h("code", {}, one.path)] : null, h("span", { class: "message" }, one.message));
  const good = !found.problems.length && !failed.length;
  const state = found.problems.length ? chip(counted(found.problems.length, "problem"), "bad") : failed.length ? chip(counted(failed.length, "test fails", "tests fail"), "bad") : chip("would serve", "good");
  fill(view.findings, h("div", { class: "card-head" }, h("h2", {}, "Findings"), state, found.warnings.length ? chip(counted(found.warnings.length, "warning"), "warn") : null),
    found.problems.length ? h("ul", { class: "finding-list" }, found.problems.map(item("bad"))) : null,
    found.warnings.length ? h("ul", { class: "finding-list" }, found.warnings.map(item("warn"))) : null,
    found.classifiers.filter((own) => own.trouble).map((own) => h("p", { class: "bad-text" }, `classifiers.${own.name}: ${own.trouble}`)),
    found.tests.length ? [h("h3", {}, "Tests ", muted(`${count(found.tests.length - failed.length)} of ${count(found.tests.length)} pass`)), h("ul", { class: "finding-list tests" }, found.tests.map((test) => h("li", { class: test.failures.length ? "bad" : "good" }, test.line ? h("button", { class: "line-link", type: "button", onclick: () => go(test.line) }, `line ${test.line}`) : null, h("span", { class: "message" }, test.name), h("span", { class: "sub" }, test.failures.length ? `expected ${test.expected}; got ${test.got}` : test.got))))] : good ? h("p", { class: "muted" }, "The text has no tests.") : null,
    found.notes.length ? h("details", {}, h("summary", {}, counted(found.notes.length, "note")), h("ul", { class: "finding-list" }, found.notes.map((note) => h("li", {}, note)))) : null,
    wasSaving && failed.length && !found.problems.length ? h("button", { class: "button danger-quiet", type: "button", onclick: () => store(true) }, "Save although tests fail") : null);
};

const named = (name) => {
  const [, date, time] = /^(\d{4}-\d\d-\d\d)T(\d\d-\d\d-\d\d)/.exec(name) ?? [null, name, ""];
  return `${date} ${time.replaceAll("-", ":")}${time ? " UTC" : ""}`;
};

const list = () => {
  const { file, versions } = view;
  fill(versions, h("div", { class: "card-head" }, h("h2", {}, "Versions"), muted("texts that were replaced here")),
    file.versions.length ? h("ul", { class: "version-list" }, file.versions.map((own) => h("li", { data: { version: own.name } }, h("span", {}, named(own.name), h("span", { class: "sub" }, `${own.name.slice(-16, -8)}, ${count(own.bytes)} bytes`)), h("span", { class: "tools" }, h("button", { class: "button small", type: "button", data: { act: "compare" } }, "Compare"), h("button", { class: "button small", type: "button", disabled: !file.editable, data: { act: "restore" } }, "Bring back")))))
      : h("p", { class: "muted" }, "None yet. What a save replaces is kept beside the file."));
  versions.onclick = async (event) => {
    const { act } = event.target.dataset;
    const name = event.target.closest("[data-version]")?.dataset.version;
    if (!act || !name) return;
    try {
      const { text } = await ask(`/api/configuration/versions/${name}`);
      if (act === "compare") {
        view.compare.hidden = false;
        view.compare.replaceChildren(h("div", { class: "card-head" }, h("h2", {}, `From ${named(name)} to the text above`)), difference(text, view.text.value));
        view.compare.scrollIntoView({ block: "nearest" });
      } else {
        view.text.value = text;
        changed();
        draw();
        toast("The former text stands in the editor: check and save it");
        view.text.focus();
      }
    } catch (error) { toast(error.message, "bad"); }
  };
};

