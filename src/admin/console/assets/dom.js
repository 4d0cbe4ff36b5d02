// Elements, numbers and small parts that every page is made of. Text is always text: nothing here parses markup.

export const h = (name, properties = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") made.className = value;
    else if (key === "data") Object.assign(made.dataset, value);
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
};

export const svg = (name, attributes = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.flat(Infinity).filter(Boolean));
  return made;
};

// Puts children in the place of others, unless they look the same: a page that has not changed does not flicker.
export const fill = (place, ...children) => {
  const next = document.createDocumentFragment();
  next.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  const probe = document.createElement("div");
  probe.append(next);
  if (probe.innerHTML !== place.innerHTML) place.replaceChildren(...probe.childNodes);
  return place;
};

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (value === null || value === undefined ? "–" : value < 1e5 ? plain.format(value) : short.format(value));
// So many things, in words: the word is for one of them.
export const counted = (value, word, words = `${word}s`) => `${count(value)} ${value === 1 ? word : words}`;
export const rate = (value) => (value >= 100 ? plain.format(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
export const share = (part, whole) => (whole > 0 ? percent(part / whole) : "–");
export const percent = (ratio) => {
  if (ratio === null || ratio === undefined || Number.isNaN(ratio)) return "–";
  const value = 100 * ratio;
  return `${Math.abs(value) >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
};
export const dollars = (value) => {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size === 0) return "$0";
  if (size >= 1000) return `${value < 0 ? "−" : ""}$${short.format(size)}`;
  const digits = size >= 1 ? 2 : size >= 0.01 ? 3 : size >= 0.0001 ? 5 : 7;
  return `${value < 0 ? "−" : ""}$${size.toFixed(digits)}`;
};
export const duration = (seconds) => {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 0.001) return `${(1e6 * seconds).toFixed(0)} µs`;
  if (seconds < 1) return `${(1e3 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.round((seconds % 86400) / 3600)} h`;
};
export const number = (value, digits = 3) => (typeof value === "number" ? value.toFixed(digits) : "–");
export const clock = (text) => {
  const at = typeof text === "number" ? new Date(text * 1000) : new Date(text);
  return Number.isNaN(at.getTime()) ? "–" : at.toLocaleTimeString("en-GB", { hour12: false });
};
export const moment = (seconds) => new Date(seconds * 1000).toLocaleString("en-GB", { hour12: false });

export const chip = (text, tone = "", title) => h("span", { class: `chip ${tone}`, title }, text);
export const code = (text) => h("code", {}, text);
export const muted = (text) => h("span", { class: "muted" }, text);

export const card = (title, ...children) => {
  const heading = typeof title === "string" ? h("h2", {}, title) : title;
  return h("section", { class: "card" }, heading && h("div", { class: "card-head" }, heading), children);
};

export const empty = (title, text, ...more) => h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), h("p", {}, text), more);

// A table whose columns say how they stand: {title, of, number, grow, hide}. `hide` columns are left out on narrow screens.
export const table = (columns, rows, options = {}) => {
  const cell = (name, column, content) => h(name, { class: [column.number && "number", column.grow && "grow", column.bar && "grow-bar", column.narrow && "narrow", column.hide && "wide-only"].filter(Boolean).join(" ") || null, scope: name === "th" ? "col" : null, title: name === "th" ? column.hint : null }, content);
  const head = h("thead", {}, h("tr", {}, columns.map((column) => cell("th", column, column.title))));
  const line = (row, index) => {
    const made = h("tr", options.row?.(row, index) ?? {}, columns.map((column) => cell("td", column, column.of(row, index))));
    return made;
  };
  const body = rows.length ? rows.map(line) : [h("tr", {}, h("td", { class: "none", colspan: String(columns.length) }, options.none ?? "Nothing yet"))];
  return h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": options.label ?? "Table" }, h("table", {}, head, h("tbody", {}, body)));
};

// A share as a bar with its number.
export const bar = (part, whole, tone = "") => {
  const ratio = whole > 0 ? Math.max(0, Math.min(1, part / whole)) : 0;
  const meter = h("span", { class: "meter" }, h("span", { class: `meter-fill ${tone}` }));
  meter.firstChild.setAttribute("data-share", ratio.toFixed(3));
  meter.firstChild.style.width = `${(100 * ratio).toFixed(1)}%`;
  return h("span", { class: "bar-cell" }, meter, h("span", { class: "bar-number" }, share(part, whole)));
};

const PALETTE = 8;
const FIXED = [["passthrough", "cn"], ["encoder", "c0"], ["lexical", "cn"], ["lexical fallback", "c1"]];
const chosen = new Map(FIXED);
// Returns the class of a name's colour: the same name, the same colour on every page.
export const tone = (name) => {
  if (!chosen.has(name)) chosen.set(name, `c${(chosen.size - FIXED.length) % PALETTE}`);
  return chosen.get(name);
};
export const named = (name, colour = name) => h("span", { class: "named" }, h("span", { class: `swatch ${tone(colour)}` }), name);

// A line of parts: [name, value, whose colour], the last where it is not the name's own.
export const stack = (parts) => {
  const whole = parts.reduce((sum, [, value]) => sum + value, 0);
  const line = h("div", { class: "stack", role: "img", "aria-label": parts.map(([name, value]) => `${name} ${share(value, whole)}`).join(", ") });
  for (const [name, value, colour] of parts) {
    if (!(value > 0)) continue;
    const piece = h("span", { class: `piece ${tone(colour ?? name)}`, title: `${name}: ${count(value)} (${share(value, whole)})` });
    piece.style.width = `${(100 * value) / whole}%`;
    line.append(piece);
  }
  return h("div", {}, line, h("ul", { class: "legend" }, parts.map(([name, value, colour]) => h("li", {}, named(name, colour), h("span", { class: "num" }, share(value, whole))))));
};

export const toast = (text, kind = "") => {
  const place = document.getElementById("toast");
  place.className = kind;
  place.textContent = text;
  place.hidden = false;
  clearTimeout(place.timer);
  place.timer = setTimeout(() => { place.hidden = true; }, 6000);
};

// Asks before something changes; resolves to whether it may.
export const confirmed = (title, text, action) => new Promise((resolve) => {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-title").textContent = title;
  document.getElementById("confirm-text").textContent = text;
  const yes = document.getElementById("confirm-yes");
  yes.textContent = action;
  const end = (answer) => { dialog.onclose = null; dialog.close(); resolve(answer); };
  yes.onclick = () => end(true);
  document.getElementById("confirm-no").onclick = () => end(false);
  dialog.onclose = () => resolve(false);
  dialog.showModal();
  document.getElementById("confirm-no").focus();
});
