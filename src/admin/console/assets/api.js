// Questions to this process, and the beat in which they are asked.

import { credential, login } from "./login.js";

const listeners = new Set();
let healthy = null;

export const onConnection = (listener) => listeners.add(listener);

const note = (state) => {
  if (state === healthy) return;
  healthy = state;
  listeners.forEach((listener) => listener(state));
};

export class AnswerError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const ask = async (path, options = {}) => {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options, headers: { ...options.headers, ...credential() } });
  } catch (error) {
    if (error.name !== "AbortError") note(false);
    throw error;
  }
  note(true);
  const text = await answer.text();
  let value = null;
  try { value = JSON.parse(text); } catch { /* said below */ }
  if (answer.status === 401 && (await login(value?.error?.code === "invalid_token" ? "Nobody has this token here." : "This process asks who you are."))) return ask(path, options);
  if (!answer.ok) throw new AnswerError(answer.status, value?.error?.code ?? "", value?.error?.message ?? `${answer.status} ${answer.statusText}`);
  return value;
};

export const tell = (path, method, body, headers = {}) =>
  ask(path, { method, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });

// Asks again and again while the page is looked at; returns what stops it. Nobody is asked while the window is hidden.
export const poll = (work, pause) => {
  const stop = new AbortController();
  let timer = 0;
  const turn = async () => {
    clearTimeout(timer);
    if (stop.signal.aborted) return;
    if (!document.hidden) {
      try { await work(stop.signal); } catch (error) { if (error.name !== "AbortError") console.debug(error); }
    }
    if (!stop.signal.aborted) timer = setTimeout(turn, pause);
  };
  const seen = () => { if (!document.hidden) turn(); };
  document.addEventListener("visibilitychange", seen);
  turn();
  return () => {
    stop.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
};
