// What a person says of an answer: thumbs and edits, and the line that tells how it was made.

import { announce, fitHeight, make } from "/static/parts.js";
import { sendFeedback, settings } from "/static/chat_server.js";
import { chat } from "/static/chat_state.js";

/** What can be done about an answer. `askAgain(article, said)` asks for another in its place, where it is the last one. */
export function actions(article, said, askAgain) {
  const row = make("div", { class: "actions", role: "group", "aria-label": "This answer" });
  const error = make("small", { class: "error", role: "alert" });
  if (settings.hasStore && said.traceId) {
    row.append(...thumbs(said, error));
    if (said.isKept) row.append(make("button", { type: "button", onclick: () => edit(article, said, askAgain) }, icon("edit"), "Edit"));
  }
  if (chat.turns.at(-1) === said) row.append(make("button", { type: "button", class: "again", onclick: () => askAgain(article, said) }, icon("again"), "Again"));
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

function edit(article, said, askAgain) {
  const area = make("textarea", { "aria-label": "The answer as it should be", rows: "3" });
  const error = make("small", { class: "error", role: "alert" });
  area.value = said.content;
  const close = () => article.replaceChildren(said.textNode, actions(article, said, askAgain));
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

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#icon-" + name);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}
