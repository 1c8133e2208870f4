// Asking: a question to one model or to two, the answers as they come, and which of two goes on.

import { announce, byId, make } from "/static/parts.js";
import { actions } from "/static/chat_feedback.js";
import { freshKey, sendFeedback, settings, stream } from "/static/chat_server.js";
import { chat } from "/static/chat_state.js";

export async function ask(text) {
  // A question that was never answered stays on the page but is no part of what the next answer is given.
  if (chat.turns.at(-1)?.role === "user") chat.turns.pop();
  for (const failure of document.querySelectorAll(".failure")) failure.closest("article").remove();
  chat.turns.push({ role: "user", content: text });
  const bubble = make("div", { class: "text" }, text);
  byId("log").append(make("article", { class: "user", "aria-label": "You" }, bubble));
  document.querySelector("main").scrollTop = document.querySelector("main").scrollHeight;
  await answer();
}

async function answer() {
  for (const old of document.querySelectorAll(".again")) old.remove(); // only the last answer can be asked for again
  chat.asking = new AbortController();
  showBusy(true);
  try {
    await (byId("compare").checked ? answerTwice(chat.asking.signal) : answerOnce(chat.asking.signal));
  } finally {
    chat.asking = null;
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
  chat.turns.push(said);
  article.className = "assistant";
  article.removeAttribute("aria-busy");
  keepInView(() => article.replaceChildren(said.textNode, actions(article, said, askAgain)));
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
  const rival = chat.models.find((name) => name !== chosen) ?? chosen;
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
    chat.asking?.abort(); // the other one is of no use alone
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

function askAgain(article, said) {
  if (chat.asking || chat.turns.at(-1) !== said) return;
  chat.turns.pop();
  article.remove();
  answer();
}

function request(model) {
  const body = { model, messages: [], temperature: Number(byId("temperature").value) };
  const system = byId("system").value.trim();
  if (system) body.messages.push({ role: "system", content: system });
  body.messages.push(...chat.turns.map(({ role, content }) => ({ role, content })));
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

function keepInView(change) {
  const main = document.querySelector("main");
  const isAtEnd = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
  change();
  if (isAtEnd) main.scrollTop = main.scrollHeight;
}

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
