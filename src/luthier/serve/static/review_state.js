// Where the reviewer is: which rows are looked at, which one is shown, what is under way. The order of rows is a snapshot
// that stays as it is while one works, so that a decided row does not jump away.

import { byId } from "/static/parts.js";
import { STATES } from "/static/review_parts.js";

const DONE = "luthier-review-done";
const UNSAVED = "Save what you mended, or leave it with Escape.";

export const now = {
  version: "",
  numbers: [], // of the rows in this view, in order
  states: new Map(), // number to index in STATES, of the rows in this view
  summaries: new Map(), // number to its line, as far as it was asked for
  asked: new Set(), // pages that are on their way
  place: -1, // in `numbers`
  row: null, // what is shown
  editor: null,
  isBusy: false,
  isLoadWanted: false, // the filter was changed, or the folder curated again, since the list was asked for
  loaded: { filter: null, version: "" }, // of the list that is shown; `filter()` is what is chosen by now
  progress: null,
  looked: null, // the AbortController of the last row that was asked for
  done: JSON.parse(sessionStorage.getItem(DONE) ?? "[]"), // what u takes back: {stamp, number}, oldest first
};

export const filter = () => ({
  state: byId("state").value, words: byId("words").value.trim(),
  ...JSON.parse(document.querySelector("[name=reason]:checked")?.value ?? '{"step":"","reason":""}'),
});
export const stateOf = (number) => STATES[now.states.get(number) ?? 0];
export const numOpen = () => now.numbers.filter((number) => stateOf(number) === "open").length;

/** The place of the next row to decide, from the beginning again after the last one; -1 where none is left. */
export function nextOpen() {
  const isOpen = (number) => stateOf(number) === "open";
  const after = now.numbers.findIndex((number, index) => index > now.place && isOpen(number));
  return after >= 0 ? after : now.numbers.findIndex(isOpen);
}

/** Whether what is shown may give way to something else; if a text would be lost, it says so. */
export function mayLeave() {
  if (now.editor?.isChanged()) fail(UNSAVED);
  return !now.editor?.isChanged();
}

export function endEditor() {
  now.editor?.end();
  now.editor = null;
}

export function remember(stamp, number) {
  if (!stamp) return; // nothing was added: it stood there already
  now.done.push({ stamp, number });
  sessionStorage.setItem(DONE, JSON.stringify(now.done));
}

export function forgetLast() {
  now.done.pop();
  sessionStorage.setItem(DONE, JSON.stringify(now.done));
}

export function fail(text) {
  byId("failure").textContent = text;
  byId("failure").hidden = false;
}
