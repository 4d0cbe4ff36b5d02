// The frame around the pages: which one is open, keys, theme, and how this process is.

import { ask, onConnection, poll } from "./api.js";
import { allowLogin, login, logout, noteCaller, onCaller } from "./login.js";
import { h, tone } from "./dom.js";
import * as overview from "./overview.js";
import * as decisions from "./decisions.js";
import * as policies from "./policies.js";
import * as classifiers from "./classifiers.js";
import * as upstreams from "./upstreams.js";
import * as generations from "./generations.js";
import * as configuration from "./configuration.js";
import * as playground from "./playground.js";

const PAGES = [
  ["overview", "Overview", overview],
  ["decisions", "Decisions", decisions],
  ["policies", "Policies", policies],
  ["classifiers", "Classifiers", classifiers],
  ["upstreams", "Upstreams", upstreams],
  ["generations", "Generations", generations],
  ["configuration", "Configuration", configuration],
  ["playground", "Playground", playground],
];
// What a page needs of its user's role, where reading is not enough.
const NEEDS = { playground: "decide" };

const content = document.getElementById("content");
const nav = document.getElementById("nav");
let open = null;

const links = PAGES.map(([name, title], index) => h("a", { href: `#/${name}`, data: NEEDS[name] ? { page: name, needs: NEEDS[name] } : { page: name }, title: `${title} (${index + 1})` }, title));
nav.append(...links);
nav.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const at = links.indexOf(document.activeElement);
  if (!step || at < 0) return;
  event.preventDefault();
  links[(at + step + links.length) % links.length].focus();
});

const show = () => {
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  const [key, title, page] = PAGES.find(([own]) => own === name) ?? PAGES[0];
  if (open?.key === key && open.page.arrive) return open.page.arrive(rest);
  open?.leave?.();
  links.forEach((link) => {
    if (link.dataset.page === key) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  links.find((link) => link.dataset.page === key).scrollIntoView({ block: "nearest", inline: "center" });
  document.title = `${title} · Pointsman`;
  const place = h("div", { class: `page page-${key}` });
  content.replaceChildren(place);
  open = { key, page, leave: page.enter(place, rest) };
  scrollTo(0, 0);
};
addEventListener("hashchange", show);

// Theme: as the system has it, or as it was chosen.
const THEMES = ["auto", "light", "dark"];
const ICONS = { auto: "◐", light: "☀", dark: "☾" };
const themeButton = document.getElementById("theme");
const stored = () => { try { return localStorage.getItem("pointsman-theme"); } catch { return null; } };
const setTheme = (theme) => {
  document.documentElement.dataset.theme = theme;
  themeButton.textContent = ICONS[theme];
  themeButton.setAttribute("aria-label", `Theme: ${theme}`);
  try { localStorage.setItem("pointsman-theme", theme); } catch { /* not kept then */ }
};
const nextTheme = () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
setTheme(THEMES.includes(stored()) ? stored() : "auto");
themeButton.addEventListener("click", nextTheme);

const help = document.getElementById("help");
document.getElementById("help-open").addEventListener("click", () => help.showModal());

const isTyping = (target) => target.matches?.("input, textarea, select, [contenteditable]");
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const page = PAGES[Number(event.key) - 1];
  if (page) location.hash = `#/${page[0]}`;
  else if (event.key === "?") help.showModal();
  else if (event.key === "t") nextTheme();
  else if (event.key === "/") content.querySelector("[data-search]")?.focus();
  else if (!open?.page.key?.(event)) return;
  event.preventDefault();
});

// How this process is, whatever page is open.
const state = document.getElementById("state");
const said = state.querySelector(".state-text");
const setState = (kind, text) => {
  state.className = `state ${kind}`;
  if (said.textContent !== text) said.textContent = text;
};
onConnection((healthy) => { if (!healthy) setState("bad", "no answer"); });
poll(async (signal) => {
  const health = await ask("/health", { signal });
  const troubled = Object.values(health.classifiers ?? {}).some((classifier) => classifier.state !== "ready");
  const kind = health.status !== "ok" ? "warn" : troubled ? "warn" : "good";
  setState(kind, `${health.status === "ok" ? (troubled ? "degraded" : "serving") : health.status} · generation ${health.generation}`);
}, 5000);

// Who the user is, where this process asks: shown with what the role is, and with the way out.
const callerPlace = document.getElementById("caller");
const logoutButton = document.getElementById("logout");
onCaller((caller, hasToken) => {
  callerPlace.hidden = caller !== null && caller.kind === "loopback";
  document.getElementById("caller-name").textContent = caller ? `${caller.name} · ${caller.role}` : "nobody";
  callerPlace.title = caller ? `Known by ${caller.kind}; may ${caller.roles.join(", ")}` : "This process asks for a token";
  logoutButton.hidden = caller !== null && !hasToken;
  logoutButton.textContent = caller ? "Log out" : "Log in";
});
const identify = async () => {
  try { noteCaller(await ask("/v1/whoami")); } catch { noteCaller(null); }
};
logoutButton.addEventListener("click", async () => {
  if (logoutButton.textContent === "Log out") return logout();
  allowLogin();
  if (!(await login("This process asks who you are."))) return;
  await identify();
  location.reload();
});
await identify();

// Each model has its colour before any page is drawn, so that it is the same on all of them.
try { (await ask("/api/overview")).models.forEach((own) => tone(own.model)); } catch { /* colours come as names do */ }
show();
