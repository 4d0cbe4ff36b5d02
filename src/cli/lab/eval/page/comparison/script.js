"use strict";
// The table of prompts: rows are made for what is in view, texts are read when somebody looks or searches.
(() => {
  const $ = (id) => document.getElementById(id);
  const index = JSON.parse($("index").textContent);
  const VERDICTS = ["wrong", "dear", "right"];
  const VERDICT_TITLES = ["another model's answer is better", "a cheaper model's answer is as good", "no answer is better, none as good is cheaper"];
  const [MODEL, LABEL, REASON, SCORE, VERDICT, QUALITY, COST, MS] = [0, 1, 2, 3, 4, 5, 6, 7];
  const SLICE = 12; // milliseconds of a search before the page may breathe
  const LIKELY = 4; // labels of a head that are shown with their scores
  const n = index.ids.length;
  const isRouted = index.routers.length > 0;
  const list = $("list"), space = $("space"), detail = $("detail");
  const filters = { text: $("text"), policy: $("policy"), verdict: $("verdict"), label: $("label"), model: $("model"), order: $("order") };
  const blocks = [], haystacks = [];
  let shown = [], active = 0, turn = 0, opened = -1;

  const router = () => index.routers[Number(filters.policy.value) || 0];
  const digits = (value, places) => (value === null || value === undefined ? "-" : value.toFixed(places));

  /** Makes an element; its content is text, never markup. */
  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined && text !== null) made.textContent = text;
    return made;
  }

  function texts(row) {
    const place = Math.floor(row / index.block);
    blocks[place] ??= JSON.parse($(`texts-${place}`).textContent);
    return blocks[place][row % index.block];
  }

  /** Everything of a row that a search looks through. */
  function haystack(row) {
    if (haystacks[row] === undefined) {
      const { prompt, models, routers } = texts(row);
      const parts = [index.ids[row], prompt];
      for (const answer of [...models, ...routers].flat()) {
        parts.push(answer.text, answer.error, answer.calls, ...answer.grades.map((grade) => grade[3]));
      }
      haystacks[row] = parts.filter(Boolean).join("\n").toLowerCase();
    }
    return haystacks[row];
  }

  // Filters.

  function options(select, entries, all) {
    const kept = select.value;
    select.replaceChildren(...(all ? [new Option(all, "")] : []), ...entries.map(([value, text]) => new Option(text, value)));
    if ([...select.options].some((option) => option.value === kept)) select.value = kept;
  }

  function setUp() {
    const models = isRouted ? router().models : [];
    options(filters.policy, index.routers.map((it, place) => [String(place), it.offline ? `${it.name} (offline)` : it.name]));
    options(filters.verdict, VERDICTS.map((name, place) => [String(place), name]), "all");
    options(filters.label, isRouted ? router().labels.map((name, place) => [String(place), name || "none"]) : [], "all");
    options(filters.model, models.map((name, place) => [String(place), name]), "all");
    const orders = [["file", "as in the file"]];
    if (isRouted) orders.unshift(["choice", "choices that matter"], ["score", "least sure"], ["cost", "dearest"], ["ms", "slowest"]);
    options(filters.order, orders);
    if (!isRouted) {
      document.querySelectorAll("[data-routed]").forEach((it) => it.remove());
      filters.model.closest("label").remove();
      const columns = document.querySelector(".columns");
      columns.classList.add("plain");
      columns.replaceChildren(element("span", "", "prompt"), ...index.models.map((model) => element("span", "n", model.name)));
      list.style.setProperty("--models", index.models.length);
      columns.style.setProperty("--models", index.models.length);
    }
  }

  function ordered() {
    const rows = isRouted ? router().rows : [];
    const by = (column, sign) => [...rows.keys()].sort((a, b) => sign * ((rows[a][column] ?? -sign * Infinity) - (rows[b][column] ?? -sign * Infinity)) || a - b);
    switch (filters.order.value) {
      case "choice": return router().order;
      case "score": return by(SCORE, 1);
      case "cost": return by(COST, -1);
      case "ms": return by(MS, -1);
      default: return [...Array(n).keys()];
    }
  }

  function wanted() {
    const rules = isRouted ? [[filters.verdict, VERDICT], [filters.label, LABEL], [filters.model, MODEL]].filter(([select]) => select.value !== "") : [];
    const rows = isRouted ? router().rows : [];
    return ordered().filter((row) => rules.every(([select, column]) => rows[row][column] === Number(select.value)));
  }

  async function apply() {
    const mine = ++turn;
    const words = filters.text.value.trim().toLowerCase();
    const candidates = wanted();
    if (!words) return present(candidates, false);
    const found = [];
    let since = performance.now();
    for (const row of candidates) {
      if (haystack(row).includes(words)) found.push(row);
      if (performance.now() - since > SLICE) {
        present([...found], true);
        await new Promise((go) => setTimeout(go));
        if (mine !== turn) return; // somebody typed on
        since = performance.now();
      }
    }
    present(found, false);
  }

  function present(rows, isSearching) {
    shown = rows;
    active = 0;
    list.scrollTop = 0;
    $("count").textContent = `${rows.length.toLocaleString("en")} of ${n.toLocaleString("en")} prompts${isSearching ? ", searching ..." : ""}`;
    draw();
  }

  // The list.

  const rowHeight = () => parseFloat(getComputedStyle(list).getPropertyValue("--row"));

  function draw() {
    const height = rowHeight();
    space.style.height = `${shown.length * height}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / height) - 4);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / height) + 4);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(rowElement(place, height));
    space.replaceChildren(...(shown.length ? rows : [element("p", "empty", "No prompt is like that.")]));
    const current = shown.length ? `row-${active}` : "";
    if (current) list.setAttribute("aria-activedescendant", current);
    else list.removeAttribute("aria-activedescendant");
  }

  function rowElement(place, height) {
    const row = shown[place];
    const made = element("div", place === active ? "row active" : "row");
    made.id = `row-${place}`;
    made.style.top = `${place * height}px`;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", String(place === active));
    made.setAttribute("aria-posinset", String(place + 1));
    made.setAttribute("aria-setsize", String(shown.length));
    made.dataset.place = String(place);
    const head = element("span", "head", index.heads[row] || "(no text)");
    if (!isRouted) {
      made.classList.add("plain");
      made.append(head, ...index.models.map((model) => element("span", "n", digits(model.quality[row], 2))));
      return made;
    }
    const choice = router().rows[row];
    const badge = element("span", `badge ${VERDICTS[choice[VERDICT]]}`, VERDICTS[choice[VERDICT]]);
    badge.title = VERDICT_TITLES[choice[VERDICT]];
    const label = router().labels[choice[LABEL]];
    const score = choice[SCORE] === null ? "" : ` ${digits(choice[SCORE], 2)}`;
    made.append(badge, head, element("span", "model", router().models[choice[MODEL]]), element("span", "label", `${label}${score}`),
      element("span", "n", digits(choice[QUALITY], 2)), element("span", "n", digits(choice[COST], 3)), element("span", "n ms", digits(choice[MS], 0)));
    return made;
  }

  function move(to) {
    if (!shown.length) return;
    active = Math.max(0, Math.min(shown.length - 1, to));
    const height = rowHeight(), top = active * height;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + height > list.scrollTop + list.clientHeight) list.scrollTop = top + height - list.clientHeight;
    draw();
  }

  // The prompt that is looked at.

  function open(place) {
    if (!shown.length) return;
    move(place);
    opened = active;
    const row = shown[opened];
    $("detail-title").textContent = `${opened + 1} of ${shown.length.toLocaleString("en")}: ${index.ids[row]}`;
    $("previous").disabled = opened === 0;
    $("next").disabled = opened === shown.length - 1;
    $("body").replaceChildren(...content(row));
    if (!detail.open) detail.showModal();
    $("body").scrollTop = 0;
    $("body").focus();
  }

  function content(row) {
    const { prompt, history, models, routers } = texts(row);
    const asked = element("section");
    asked.append(element("h3", "", "Prompt"));
    if (history.length) {
      const before = element("details");
      before.append(element("summary", "", `${history.length} turns before`));
      for (const [role, text] of history) before.append(element("h3", "", role), element("pre", "said", text));
      asked.append(before);
    }
    asked.append(element("pre", "said", prompt));
    const answers = element("div", "answers");
    const choice = isRouted ? router().rows[row] : null;
    const chosen = choice && router().models[choice[MODEL]];
    const own = isRouted ? routers[index.routers.indexOf(router())] : [];
    own.forEach((answer) => answers.append(answerElement(`${router().name} sent it to ${answer.model ?? "nobody"}`, answer, true)));
    index.models.forEach((model, place) => {
      const isChosen = own.length === 0 && model.name === chosen;
      if (!models[place].length) answers.append(answerElement(model.name, { grades: [] }, isChosen));
      models[place].forEach((answer) => answers.append(answerElement(model.name, answer, isChosen)));
    });
    return choice ? [asked, why(choice, own), answers] : [asked, answers];
  }

  function why(choice, own) {
    const made = element("section");
    const title = element("h3", "", "Why");
    title.append(element("span", `badge ${VERDICTS[choice[VERDICT]]}`, VERDICTS[choice[VERDICT]]), element("span", "facts", VERDICT_TITLES[choice[VERDICT]]));
    const { name, models, labels, reasons } = router();
    const facts = [`${name} chose ${models[choice[MODEL]]}`];
    if (reasons[choice[REASON]]) facts.push(`reason ${reasons[choice[REASON]]}`);
    if (labels[choice[LABEL]]) facts.push(`label ${labels[choice[LABEL]]}`);
    if (choice[SCORE] !== null) facts.push(`score ${digits(choice[SCORE], 3)}`);
    made.append(title, element("p", "facts", facts.join(", ")));
    const scores = own.find((answer) => answer.scores)?.scores;
    if (scores) made.append(element("pre", "", scoreLines(scores)));
    return made;
  }

  /** Returns a line for each head, its likeliest labels first. */
  function scoreLines(scores) {
    let heads;
    try {
      heads = Object.entries(JSON.parse(scores));
    } catch {
      return scores; // cut, because it is long
    }
    const line = ([head, labels]) => {
      const sorted = Object.entries(labels).sort((one, other) => other[1] - one[1]);
      const likely = sorted.slice(0, LIKELY).map(([label, score]) => `${label} ${digits(score, 3)}`);
      if (sorted.length > LIKELY) likely.push(`${sorted.length - LIKELY} others`);
      return `${head}: ${likely.join(", ")}`;
    };
    return heads.map(line).join("\n");
  }

  function answerElement(name, answer, isChosen) {
    const made = element("section", isChosen ? "is-chosen" : "");
    const title = element("h3", "", name);
    if (isChosen) title.append(element("span", "badge chosen", "chosen"));
    const facts = [
      answer.cost !== undefined && `$${(1000 * answer.cost).toPrecision(3)} per 1k`, answer.judge && `judges $${(1000 * answer.judge).toPrecision(3)} per 1k`,
      answer.ms !== undefined && `${digits(answer.ms, 0)} ms`, answer.first !== undefined && `first byte ${digits(answer.first, 0)} ms`,
      answer.own !== undefined && `own work ${digits(answer.own / 1000, 1)} ms`,
      answer.input !== undefined && `${answer.input} + ${answer.output ?? "?"} tokens`, answer.finish,
    ].filter(Boolean);
    const grades = element("ul", "grades");
    for (const [grader, score, correct, reason, judge, unclear] of answer.grades) {
      const word = correct === true ? ", right" : correct === false ? ", wrong" : "";
      const grade = element("li", "", `${grader} ${digits(score, 2)}${word}${unclear ? ", unclear" : ""}`);
      const note = [judge, reason].filter(Boolean).join(": ");
      if (note) grade.append(element("span", "", ` (${note})`));
      grades.append(grade);
    }
    made.append(title, element("p", "facts", facts.join(", ")), grades);
    if (answer.error) made.append(element("pre", "error", answer.error));
    if (answer.text !== undefined) made.append(element("pre", "said", answer.text));
    if (answer.calls) made.append(element("pre", "", answer.calls));
    return made;
  }

  // What people do.

  const page = () => Math.max(1, Math.floor(list.clientHeight / rowHeight()) - 1);
  const KEYS = {
    ArrowDown: () => move(active + 1), ArrowUp: () => move(active - 1), PageDown: () => move(active + page()), PageUp: () => move(active - page()),
    Home: () => move(0), End: () => move(shown.length - 1), Enter: () => open(active), " ": () => open(active),
  };
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  list.addEventListener("scroll", draw, { passive: true });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) open(Number(row.dataset.place));
  });
  detail.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") open(opened + 1);
    if (event.key === "ArrowLeft") open(opened - 1);
  });
  detail.addEventListener("close", () => list.focus());
  $("previous").addEventListener("click", () => open(opened - 1));
  $("next").addEventListener("click", () => open(opened + 1));
  $("close").addEventListener("click", () => detail.close());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || detail.open || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    filters.text.focus();
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  let typing;
  filters.text.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(apply, 120);
  });
  filters.policy.addEventListener("change", () => {
    setUp();
    apply();
  });
  [filters.verdict, filters.label, filters.model, filters.order].forEach((select) => select.addEventListener("change", apply));
  addEventListener("resize", draw);

  setUp();
  apply();
})();
