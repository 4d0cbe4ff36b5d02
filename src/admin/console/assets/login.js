// Who the page's user is: a token, kept for this tab alone, and what the user's role lets the pages offer.
//
// The token goes into a header field of each question, never into a URL or a cookie: no other page can make the browser
// send it.

const KEY = "pointsman-admin-token";

const listeners = new Set();
let token = null;
let caller = null;
let waiting = null;
let declined = false;

try { token = sessionStorage.getItem(KEY); } catch { /* not kept then */ }

const keep = (next) => {
  token = next;
  try { if (next) sessionStorage.setItem(KEY, next); else sessionStorage.removeItem(KEY); } catch { /* not kept then */ }
};

// Returns the header field that says who asks.
export const credential = () => (token ? { authorization: `Bearer ${token}` } : {});

export const onCaller = (listener) => listeners.add(listener);

// Takes note of who the process says that we are; what a role may not do is not offered (see console.css).
export const noteCaller = (known) => {
  caller = known;
  if (known) document.documentElement.dataset.role = known.role;
  else delete document.documentElement.dataset.role;
  listeners.forEach((listener) => listener(caller, Boolean(token)));
};

// Asks for a token; resolves to whether one was given. Questions that fail together wait for one answer.
export const login = (why) => {
  if (declined) return Promise.resolve(false);
  waiting ??= new Promise((resolve) => {
    const dialog = document.getElementById("login");
    const field = document.getElementById("login-token");
    document.getElementById("login-text").textContent = why;
    field.value = "";
    const end = (given) => {
      dialog.onclose = null;
      dialog.close();
      waiting = null;
      declined = !given;
      resolve(given);
    };
    document.getElementById("login-form").onsubmit = (event) => {
      event.preventDefault();
      const given = field.value.trim();
      field.value = "";
      if (!given) return;
      keep(given);
      end(true);
    };
    document.getElementById("login-no").onclick = () => end(false);
    dialog.onclose = () => end(false);
    document.querySelectorAll("dialog[open]").forEach((other) => other.close());
    dialog.showModal();
    field.focus();
  });
  return waiting;
};

// Lets the user be asked again.
export const allowLogin = () => { declined = false; };

export const logout = () => {
  keep(null);
  location.reload();
};
