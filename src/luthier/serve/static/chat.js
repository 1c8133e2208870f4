// The chat page: its beginning, and what each of its parts listens to.

import { announce, byId, fitHeight, make } from "/static/parts.js";
import { ask } from "/static/chat_answers.js";
import { call, settings } from "/static/chat_server.js";
import { chat } from "/static/chat_state.js";

function submit() {
  const input = byId("input");
  const text = input.value.trim();
  if (!text || chat.asking) return;
  input.value = "";
  fitHeight(input);
  ask(text);
}

function newChat() {
  chat.asking?.abort();
  chat.turns = [];
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
    if (event.key === "Escape") chat.asking?.abort();
  });
  byId("stop").addEventListener("click", () => { chat.asking?.abort(); byId("input").focus(); });
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
    chat.models = list.data.map((model) => model.id);
    byId("model").replaceChildren(...chat.models.map((name) => make("option", { value: name }, name)));
  } catch (error) {
    byId("empty").textContent = error.message;
  }
}

start();
