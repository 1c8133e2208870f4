// What the chat page asks of this server's own API: answers as they come, and where feedback goes.

import { byId } from "/static/parts.js";

export const settings = JSON.parse(document.body.dataset.settings);
const KEY = "luthier-key";
const SOURCE = "chat";

export function freshKey() {
  // Not crypto.randomUUID: browsers have that on localhost and https only.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export async function call(path, options = {}) {
  for (;;) {
    const headers = { ...options.headers };
    const key = sessionStorage.getItem(KEY);
    if (key) headers.Authorization = "Bearer " + key;
    const response = await fetch(path, { ...options, headers });
    if (response.ok) return response;
    if (response.status === 401 && settings.needsKey) {
      await askForKey(Boolean(key));
      continue;
    }
    const body = await response.json().catch(() => null);
    throw new Error(body?.error?.message ?? "the server answered with status " + response.status);
  }
}

function post(path, body, signal) {
  return call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
}

function askForKey(wasRefused) {
  const dialog = byId("key-dialog");
  byId("key-error").hidden = !wasRefused;
  byId("key").value = "";
  dialog.showModal();
  byId("key").focus();
  return new Promise((resolve) => {
    const save = () => {
      const key = byId("key").value.trim();
      if (!key) return;
      sessionStorage.setItem(KEY, key);
      dialog.close();
      resolve();
    };
    byId("key-save").onclick = save;
    byId("key").onkeydown = (event) => {
      if (event.key === "Enter") save();
    };
    dialog.oncancel = (event) => event.preventDefault(); // there is nothing to do without a key
  });
}

/** The answer's events, as the objects that the server sent. */
export async function* stream(body, signal) {
  const response = await post("/v1/chat/completions", { ...body, stream: true, stream_options: { include_usage: true } }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (pending + value).split("\n\n");
    pending = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const parsed = JSON.parse(data);
      if (parsed.error) throw new Error(parsed.error.message);
      yield parsed;
    }
  }
}

export async function sendFeedback(event) {
  const response = await post("/v1/feedback", { source: SOURCE, idempotency_key: freshKey(), ...event });
  return response.json();
}
