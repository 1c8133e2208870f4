// Small parts of the review page: states and their words, the server's answers, text with marked passages.

import { make } from "/static/parts.js";

export const STATES = ["open", "keep", "drop", "mend"];
export const WORDS = { open: "to decide", keep: "kept", drop: "dropped", mend: "mended" };
export const MARKS = { open: "", keep: "\u2713", drop: "\u2715", mend: "\u270e" };

/** Pieces of a text, [text, mark], as nodes. The style has words for a screen reader where a mark begins and ends. */
export function pieces(some) {
  return some.map(([text, mark]) => (mark ? make("mark", { class: mark }, text) : text));
}

export function count(number) {
  return number.toLocaleString("en");
}

export function plural(number, word) {
  return count(number) + " " + word + (number === 1 ? "" : "s");
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
