// The rows at the side: how far one is, the reasons to choose from, and the list, of which only what is seen is on the page.

import { byId, make } from "/static/parts.js";
import { MARKS, WORDS, ask, count, plural } from "/static/review_parts.js";
import { filter, now, numOpen, stateOf } from "/static/review_state.js";

const ROW_HEIGHT = 57.6; // of the style: 3.6rem
const PAGE = 60;

/** A view of other rows: none of their lines is there yet, and the list is as high as all of them. */
export function emptyList() {
  now.summaries = new Map();
  now.asked = new Set();
  byId("list").style.height = now.numbers.length * ROW_HEIGHT + "px";
}

export function showProgress() {
  byId("progress").max = Math.max(1, now.progress.total);
  byId("progress").value = now.progress.decided;
  byId("progress-text").textContent = count(now.progress.decided) + " of " + count(now.progress.total) + " decided";
}

export function showReasons() {
  const chosen = JSON.stringify({ step: filter().step, reason: filter().reason });
  const all = { step: "", reason: "", total: now.progress.total, decided: now.progress.decided };
  const isFocused = byId("reasons").contains(document.activeElement);
  byId("reasons").replaceChildren(...[all, ...now.progress.reasons].map((one) => {
    const value = JSON.stringify({ step: one.step, reason: one.reason });
    const radio = make("input", { type: "radio", name: "reason", value });
    radio.checked = value === chosen;
    return make("label", {}, radio,
      make("span", {}, one.reason || "All reasons", one.step ? make("span", { class: "step" }, " " + one.step) : null),
      make("span", { class: "count" }, count(one.decided) + " / " + count(one.total)));
  }));
  if (isFocused) document.querySelector("[name=reason]:checked")?.focus();
}

/** Only the rows that can be seen are on the page; their lines are asked for by the page. */
export function showList() {
  byId("list-count").textContent = plural(now.numbers.length, "row") + ", " + count(numOpen()) + " to decide";
  byId("open-all").disabled = !numOpen();
  const scroller = byId("scroller");
  const first = Math.max(0, Math.floor(scroller.scrollTop / ROW_HEIGHT) - 4);
  const last = Math.min(now.numbers.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW_HEIGHT) + 4);
  const focused = document.activeElement?.closest?.("#list li")?.dataset.place;
  const items = [];
  for (let index = first; index < last; index++) items.push(listItem(index));
  byId("list").replaceChildren(...items);
  if (focused !== undefined) byId("list").querySelector('[data-place="' + focused + '"] button')?.focus({ preventScroll: true });
  for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) fetchPage(page);
}

function listItem(index) {
  const number = now.numbers[index];
  const state = stateOf(number);
  const line = now.summaries.get(number);
  const why = line ? line.flags.map((flag) => flag.reason).join("; ") : "";
  const button = make("button", { type: "button", "aria-current": index === now.place ? "true" : null },
    make("span", { class: "mark " + state, "aria-hidden": "true" }, MARKS[state]),
    make("span", { class: "preview" }, line ? line.preview || line.where : "\u2026"),
    make("span", { class: "why" }, (state === "open" ? "" : WORDS[state] + " \u00b7 ") + why));
  const item = make("li", { "data-place": index, "aria-setsize": now.numbers.length, "aria-posinset": index + 1 }, button);
  item.style.transform = "translateY(" + index * ROW_HEIGHT + "px)";
  return item;
}

async function fetchPage(page) {
  const some = now.numbers.slice(page * PAGE, (page + 1) * PAGE);
  if (now.asked.has(page) || !some.length) return;
  now.asked.add(page);
  const listed = now.asked;
  try {
    const { rows } = await ask("rows", some.map((number) => ["number", number]));
    if (listed !== now.asked) return; // another view was chosen meanwhile
    for (const one of rows) now.summaries.set(one.number, one);
    showList();
  } catch {
    now.asked.delete(page);
  }
}

export function bringIntoList() {
  const scroller = byId("scroller");
  const top = now.place * ROW_HEIGHT;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + ROW_HEIGHT > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + ROW_HEIGHT - scroller.clientHeight;
  showList();
}

export function openList(isOpen) {
  document.body.classList.toggle("list-open", isOpen);
  byId("open-list").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) bringIntoList();
}
