// The chat page: asks this server's own API and shows what comes back. Text of people and models only ever enters the
// page as text nodes, so that it stays text.
"use strict";

const settings = JSON.parse(document.body.dataset.settings);
const byId = (id) => document.getElementById(id);
const KEY = "luthier-key";
const SOURCE = "chat";

/** @type {{role: string, content: string}[]} What the next answer will be given. */
let turns = [];
let asking = null; // the AbortController of what is being answered
let models = [];

// --- small parts -----------------------------------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null) node.setAttribute(name, value);
  }
  node.append(...children); // a string becomes a text node, whatever is in it
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#icon-" + name);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

function announce(text) {
  byId("status").textContent = text;
}

function freshKey() {
  // Not crypto.randomUUID: browsers have that on localhost and https only.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

function keepInView(change) {
  const main = document.querySelector("main");
  const isAtEnd = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
  change();
  if (isAtEnd) main.scrollTop = main.scrollHeight;
}

function fitHeight(area) {
  area.style.height = "auto";
  area.style.height = area.scrollHeight + "px";
}

// --- the server ------------------------------------------------------------------------------------------------------

async function call(path, options = {}) {
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
async function* stream(body, signal) {
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

function request(model) {
  const body = { model, messages: [], temperature: Number(byId("temperature").value) };
  const system = byId("system").value.trim();
  if (system) body.messages.push({ role: "system", content: system });
  body.messages.push(...turns.map(({ role, content }) => ({ role, content })));
  if (byId("max-tokens").value) body.max_tokens = Number(byId("max-tokens").value);
  if (settings.hasStore) body.store = byId("consent").checked;
  return body;
}

/** Fill `answer` as its pieces arrive; resolves when it has ended or was stopped, rejects when the server failed. */
async function fill(answer, body, signal) {
  const begun = performance.now();
  answer.isKept = body.store === true;
  answer.model = body.model;
  try {
    for await (const event of stream(body, signal)) {
      answer.traceId = event.id.replace("chatcmpl-", "");
      const text = event.choices[0]?.delta.content ?? "";
      answer.content += text;
      if (event.usage) answer.tokens = event.usage.completion_tokens;
      if (text) keepInView(() => (answer.textNode.textContent = answer.content));
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    answer.isStopped = true;
  }
  answer.seconds = (performance.now() - begun) / 1000;
}

function newAnswer() {
  const textNode = make("div", { class: "text" });
  return { role: "assistant", content: "", traceId: null, textNode, isStopped: false, tokens: null, seconds: 0, thumb: null };
}

// --- asking ----------------------------------------------------------------------------------------------------------

async function ask(text) {
  // A question that was never answered stays on the page but is no part of what the next answer is given.
  if (turns.at(-1)?.role === "user") turns.pop();
  for (const failure of document.querySelectorAll(".failure")) failure.closest("article").remove();
  turns.push({ role: "user", content: text });
  const bubble = make("div", { class: "text" }, text);
  byId("log").append(make("article", { class: "user", "aria-label": "You" }, bubble));
  document.querySelector("main").scrollTop = document.querySelector("main").scrollHeight;
  await answer();
}

async function answer() {
  for (const old of document.querySelectorAll(".again")) old.remove(); // only the last answer can be asked for again
  asking = new AbortController();
  showBusy(true);
  try {
    await (byId("compare").checked ? answerTwice(asking.signal) : answerOnce(asking.signal));
  } finally {
    asking = null;
    showBusy(false);
  }
}

async function answerOnce(signal) {
  const said = newAnswer();
  const article = make("article", { class: "assistant busy", "aria-label": "Answer", "aria-busy": "true" }, said.textNode);
  keepInView(() => byId("log").append(article));
  try {
    await fill(said, request(byId("model").value), signal);
    if (said.isStopped && !said.content) throw new Error("Stopped before the first word.");
    settle(article, said);
  } catch (error) {
    fail(article, error);
  }
}

/** Put a finished answer into the conversation, with what can be done about it. */
function settle(article, said) {
  if (!article.isConnected) return; // a new chat was begun meanwhile
  turns.push(said);
  article.className = "assistant";
  article.removeAttribute("aria-busy");
  keepInView(() => article.replaceChildren(said.textNode, actions(article, said)));
  announce(said.isStopped ? "Stopped." : "Answer complete.");
}

function fail(article, error) {
  if (!article.isConnected) return;
  const text = make("span", {}, error.message.charAt(0).toUpperCase() + error.message.slice(1));
  const again = make("button", { type: "button", class: "plain", onclick: () => { article.remove(); answer(); } }, "Try again");
  article.className = "assistant";
  article.removeAttribute("aria-busy");
  keepInView(() => article.replaceChildren(make("div", { class: "failure", role: "alert" }, text, again)));
}

async function answerTwice(signal) {
  const chosen = byId("model").value;
  const rival = models.find((name) => name !== chosen) ?? chosen;
  // Which of two models is shown first is drawn by lot: people favour the first.
  const names = Math.random() < 0.5 ? [chosen, rival] : [rival, chosen];
  const pair = names.map(newAnswer);
  const sides = pair.map((said, side) => make("section", { class: "busy", "aria-label": "Answer " + "AB"[side] },
    make("h2", {}, "Answer " + "AB"[side]), said.textNode));
  const article = make("article", { class: "assistant", "aria-label": "Two answers", "aria-busy": "true" },
    make("div", { class: "pair" }, ...sides));
  keepInView(() => byId("log").append(article));
  try {
    await Promise.all(pair.map((said, side) =>
      fill(said, request(names[side]), signal).finally(() => sides[side].classList.remove("busy"))));
  } catch (error) {
    asking?.abort(); // the other one is of no use alone
    fail(article, error);
    return;
  }
  if (pair.some((said) => !said.content)) {
    fail(article, new Error(pair.some((said) => said.isStopped) ? "Stopped before there were two answers." : "An answer is empty."));
    return;
  }
  await choose(article, pair, signal);
}

/** Let the person pick; the conversation goes on with the answer that was picked, else with A. */
function choose(article, pair, signal) {
  return new Promise((resolve) => {
    const key = freshKey();
    const error = make("small", { class: "error", role: "alert" });
    const goOn = (winner) => {
      settle(article, winner);
      resolve();
    };
    const pick = (value) => async () => {
      const event = { kind: "comparison", trace_id: pair[0].traceId, other_trace_id: pair[1].traceId, value };
      try {
        await sendFeedback({ ...event, idempotency_key: key });
      } catch (failure) {
        error.textContent = failure.message;
        return;
      }
      goOn(value === 0 ? pair[1] : pair[0]);
    };
    const button = (label, onclick) => make("button", { type: "button", class: "plain", onclick }, label);
    const verdict = make("div", { class: "verdict", role: "group", "aria-label": "Which is better?" },
      button("A is better", pick(1)), button("Tie", pick(0.5)), button("B is better", pick(0)),
      button("Skip", () => goOn(pair[0])), error);
    signal.addEventListener("abort", () => goOn(pair[0])); // Escape, or a new chat
    article.removeAttribute("aria-busy");
    keepInView(() => article.append(verdict));
    showChoosing();
    announce("Two answers are ready. Which is better?");
  });
}

// --- feedback --------------------------------------------------------------------------------------------------------

async function sendFeedback(event) {
  const response = await post("/v1/feedback", { source: SOURCE, idempotency_key: freshKey(), ...event });
  return response.json();
}

function actions(article, said) {
  const row = make("div", { class: "actions", role: "group", "aria-label": "This answer" });
  const error = make("small", { class: "error", role: "alert" });
  if (settings.hasStore && said.traceId) {
    row.append(...thumbs(said, error));
    if (said.isKept) row.append(make("button", { type: "button", onclick: () => edit(article, said) }, icon("edit"), "Edit"));
  }
  if (turns.at(-1) === said) row.append(make("button", { type: "button", class: "again", onclick: () => askAgain(article, said) }, icon("again"), "Again"));
  row.append(facts(said), error);
  return row;
}

function thumbs(said, error) {
  const buttons = [["up", "Good answer", 1], ["down", "Bad answer", 0]].map(([name, label, value]) => {
    const button = make("button", { type: "button", class: name, "aria-label": label, "aria-pressed": "false" }, icon(name));
    button.addEventListener("click", async () => {
      if (said.thumb?.value === value) return;
      try {
        const event = { kind: "thumb", trace_id: said.traceId, value };
        if (said.thumb) event.supersedes = said.thumb.id;
        const kept = await sendFeedback(event);
        said.thumb = { value, id: kept.id };
        error.textContent = "";
        show();
        announce(label + ", noted.");
      } catch (failure) {
        error.textContent = failure.message;
      }
    });
    return { button, value };
  });
  const show = () => {
    for (const { button, value } of buttons) button.setAttribute("aria-pressed", String(said.thumb?.value === value));
  };
  show();
  return buttons.map(({ button }) => button);
}

function facts(said) {
  const parts = [said.model];
  if (said.tokens !== null) parts.push(said.tokens + (said.tokens === 1 ? " token" : " tokens"));
  parts.push(said.seconds.toFixed(1) + " s");
  if (said.isStopped) parts.push("stopped");
  if (said.isEdited) parts.push("edited");
  if (settings.hasStore && !said.isKept) parts.push("text not kept");
  const line = make("span", { class: "facts" }, parts.join(" \u00b7 "));
  if (said.traceId) line.append(" \u00b7 ", make("code", { title: "The id of this answer" }, said.traceId));
  return line;
}

function edit(article, said) {
  const area = make("textarea", { "aria-label": "The answer as it should be", rows: "3" });
  const error = make("small", { class: "error", role: "alert" });
  area.value = said.content;
  const close = () => article.replaceChildren(said.textNode, actions(article, said));
  const save = async () => {
    const text = area.value;
    if (!text.trim() || text === said.content) return close();
    try {
      await sendFeedback({ kind: "edit", trace_id: said.traceId, text });
    } catch (failure) {
      error.textContent = failure.message;
      return;
    }
    said.content = text;
    said.isEdited = true;
    said.textNode.textContent = text;
    close();
    announce("Your edit is kept.");
  };
  area.addEventListener("input", () => fitHeight(area));
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); close(); }
  });
  const row = make("div", { class: "row" },
    make("button", { type: "button", class: "primary", onclick: save }, "Save edit"),
    make("button", { type: "button", class: "plain", onclick: close }, "Cancel"), error);
  article.replaceChildren(make("div", { class: "editor" }, area, row));
  fitHeight(area);
  area.focus();
}

function askAgain(article, said) {
  if (asking || turns.at(-1) !== said) return;
  turns.pop();
  article.remove();
  answer();
}

// --- the page --------------------------------------------------------------------------------------------------------

function showBusy(isBusy) {
  byId("send").hidden = isBusy;
  byId("send").disabled = false;
  byId("stop").hidden = !isBusy;
  for (const id of ["compare", "consent", "model"]) byId(id).disabled = isBusy;
}

function showChoosing() {
  byId("send").hidden = false;
  byId("send").disabled = true;
  byId("stop").hidden = true;
}

function submit() {
  const input = byId("input");
  const text = input.value.trim();
  if (!text || asking) return;
  input.value = "";
  fitHeight(input);
  ask(text);
}

function newChat() {
  asking?.abort();
  turns = [];
  byId("log").replaceChildren();
  byId("input").focus();
  announce("New chat.");
}

function listen() {
  byId("ask").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  byId("input").addEventListener("input", () => fitHeight(byId("input")));
  byId("input").addEventListener("keydown", (event) => {
    // While an input method composes a character, Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") asking?.abort();
  });
  byId("stop").addEventListener("click", () => { asking?.abort(); byId("input").focus(); });
  byId("new-chat").addEventListener("click", newChat);
  byId("open-settings").addEventListener("click", () => {
    const isOpen = byId("settings").hidden;
    byId("settings").hidden = !isOpen;
    byId("open-settings").setAttribute("aria-expanded", String(isOpen));
  });
  byId("temperature").addEventListener("input", () => {
    byId("temperature-value").textContent = Number(byId("temperature").value).toFixed(1);
  });
}

async function start() {
  byId("operations").hidden = !settings.hasOperations;
  byId("consent").checked = settings.consent;
  for (const id of ["consent-label", "compare-label", "teach"]) byId(id).hidden = !settings.hasStore;
  listen();
  try {
    const list = await (await call("/v1/models")).json();
    models = list.data.map((model) => model.id);
    byId("model").replaceChildren(...models.map((name) => make("option", { value: name }, name)));
  } catch (error) {
    byId("empty").textContent = error.message;
  }
}

start();
