// Small parts of the review page: nodes, the server's answers, text with marked passages. Text of rows only ever enters
// the page as text nodes, so that it stays text.

export const byId = (id) => document.getElementById(id);
export const STATES = ["open", "keep", "drop", "mend"];
export const WORDS = { open: "to decide", keep: "kept", drop: "dropped", mend: "mended" };
export const MARKS = { open: "", keep: "\u2713", drop: "\u2715", mend: "\u270e" };

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null)); // a string becomes a text node, whatever is in it
  return node;
}

/** Pieces of a text, [text, mark], as nodes. The style has words for a screen reader where a mark begins and ends. */
export function pieces(some) {
  return some.map(([text, mark]) => (mark ? make("mark", { class: mark }, text) : text));
}

export function announce(text) {
  byId("status").textContent = text;
}

export function count(number) {
  return number.toLocaleString("en");
}

export function plural(number, word) {
  return count(number) + " " + word + (number === 1 ? "" : "s");
}

export function fitHeight(area) {
  area.style.height = "auto";
  area.style.height = area.scrollHeight + 2 + "px";
}

/** An answer that is no success: `status` and what the server said of it. */
export class Refused extends Error {
  constructor(message, status, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

export async function ask(path, parameters = {}, signal) {
  const query = new URLSearchParams(parameters).toString();
  return answered(fetch("/api/" + path + (query ? "?" + query : ""), { signal }));
}

export async function send(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return answered(fetch("/api/" + path, { method: "POST", headers, body: JSON.stringify(body), signal }));
}

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The program in the terminal does not answer. Start luthier review again; what was decided is kept.", 0, null);
  }
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  throw new Refused(body?.error?.message ?? "the server answered with status " + response.status, response.status, body);
}
