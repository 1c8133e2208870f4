// Loading and showing: the list that a filter asks for, the row that is looked at, and what was decided elsewhere.

import { announce, byId, make } from "/static/parts.js";
import { bringIntoList, emptyList, openList, showList, showProgress, showReasons } from "/static/review_list.js";
import { STATES, WORDS, ask, count } from "/static/review_parts.js";
import { rowView } from "/static/review_row.js";
import { endEditor, fail, filter, mayLeave, nextOpen, now, stateOf } from "/static/review_state.js";

/** What the buttons of a row do: takeBack(), keepOnly(index), keepAll(). They are given at the start. */
export const acts = {};

/**
 * Ask for the rows that fit the filter, and show the row that was shown, if it is among them, else the first open one.
 * While somebody mends a row, this waits until the text is saved or left.
 */
export async function load() {
  now.isLoadWanted = !mayLeave();
  if (now.isLoadWanted) return;
  const before = now.numbers[now.place];
  const chosen = filter();
  const view = await ask("view", chosen);
  if (!mayLeave()) {
    now.isLoadWanted = true;
    return;
  }
  now.loaded = { filter: chosen, version: view.version };
  now.version = view.version;
  now.numbers = view.numbers;
  now.states = new Map(view.numbers.map((number, index) => [number, view.states[index]]));
  now.place = now.numbers.indexOf(before);
  if (now.place < 0) now.place = Math.max(0, now.numbers.findIndex((number) => stateOf(number) === "open"));
  emptyList();
  showList();
  await show(now.numbers.length ? now.place : -1, { keepFocus: document.activeElement === byId("words") });
}

/** The list anew, as soon as nothing else is under way: what was chosen last is what is listed in the end. */
export function loadSoon() {
  now.isLoadWanted = true;
  return guarded(load);
}

/** Take in what an answer says of the whole: progress and the rows that were decided, here or elsewhere. */
export function takeIn(answer) {
  now.progress = { ...now.progress, ...answer };
  now.version = answer.version;
  if (answer.is_stale) now.isLoadWanted = true;
  for (const [number, state] of answer.changed) if (now.states.has(number)) now.states.set(number, state);
  showReasons();
  showProgress();
  showList();
}

export async function look() {
  if (document.hidden || now.isBusy || !now.version) return;
  const before = now.version;
  const answer = await ask("changes", { version: now.version });
  if (now.isBusy || now.version !== before) return; // what is done meanwhile brings its own news
  takeIn(answer);
  const isOurs = answer.changed.some(([number]) => number === now.row?.number);
  if (now.isLoadWanted && !now.editor?.isChanged()) await guarded(load, { isQuiet: true });
  else if (isOurs && !now.editor) await guarded(() => show(now.place, { keepFocus: true }), { isQuiet: true });
}

export async function show(to, { keepFocus = false } = {}) {
  if (!mayLeave()) return;
  now.looked?.abort();
  now.place = to;
  if (to < 0 || to >= now.numbers.length) return showNothing();
  now.looked = new AbortController();
  const signal = now.looked.signal;
  const found = await ask("row", { number: now.numbers[to] }, signal);
  if (signal.aborted || !mayLeave()) return;
  endEditor();
  now.row = found;
  byId("row").replaceChildren(...rowView(now.row, now.place, now.numbers.length, acts));
  byId("row").setAttribute("aria-labelledby", "row-title");
  byId("main").scrollTop = 0;
  document.querySelector("mark.flagged")?.scrollIntoView({ block: "nearest" });
  for (const kind of STATES.slice(1)) byId(kind).classList.toggle("is-now", now.row.decision?.decision === kind);
  showButtons();
  bringIntoList();
  if (!keepFocus) byId("row").focus({ preventScroll: true });
  announce("Row " + (now.place + 1) + " of " + now.numbers.length + ", " + WORDS[now.row.decision?.decision ?? "open"] + ". " + now.row.flags.map((flag) => flag.reason).join("; "));
}

function showNothing() {
  endEditor();
  now.row = null;
  const isAllDone = now.progress.decided === now.progress.total;
  const nodes = isAllDone && now.loaded.filter.state === "open"
    ? [make("h2", { id: "row-title" }, "All " + count(now.progress.total) + " rows are decided"),
      make("p", {}, Object.entries(now.progress.states).filter(([, n]) => n).map(([kind, n]) => count(n) + " " + WORDS[kind]).join(", ") + "."),
      make("p", {}, "The decisions are in ", make("code", {}, now.progress.decisions), ". They are done at the next curation, when the recipe says ",
        make("code", {}, 'curate.decisions = "' + now.progress.decisions + '"'), "."),
      make("button", { type: "button", class: "plain", onclick: () => choose("all") }, "Look at them again")]
    : [make("h2", { id: "row-title" }, "No row fits"), make("p", {}, "Nothing is flagged that fits the search, the state and the reason."),
      make("button", { type: "button", class: "plain", onclick: () => choose("open", true) }, "Show all that is to decide")];
  byId("row").replaceChildren(make("div", { class: "nothing" }, ...nodes));
  for (const kind of STATES.slice(1)) byId(kind).classList.remove("is-now");
  showButtons();
}

function choose(state, everything = false) {
  byId("state").value = state;
  if (everything) {
    byId("words").value = "";
    document.querySelector("[name=reason]").checked = true;
  }
  loadSoon();
}

export function showButtons() {
  for (const id of ["keep", "drop", "mend"]) byId(id).disabled = !now.row || Boolean(now.editor);
  byId("undo").disabled = Boolean(now.editor) || (!now.done.length && !now.row?.decision);
  byId("previous").disabled = now.place <= 0;
  byId("next").disabled = now.place >= now.numbers.length - 1;
}

export function move(by) {
  if (!mayLeave()) return;
  if (now.place + by >= 0 && now.place + by < now.numbers.length) guarded(() => show(now.place + by));
}

export async function goOn() {
  if (now.isLoadWanted) return load();
  const to = nextOpen();
  if (to >= 0) return show(to);
  if (now.loaded.filter.state === "open") return load(); // nothing is left in this view: say so
  return show(Math.min(now.place + 1, now.numbers.length - 1));
}

export function pick(index) {
  if (!mayLeave()) return;
  openList(false);
  guarded(() => show(index));
}

/**
 * One thing at a time: what is pressed before the next row is on the page must not decide it unseen. A list that was
 * wanted meanwhile is asked for afterwards. What is quiet leaves a failure that is told on the page.
 */
export async function guarded(work, { isQuiet = false } = {}) {
  if (now.isBusy) return;
  now.isBusy = true;
  document.body.setAttribute("aria-busy", "true");
  if (!isQuiet) byId("failure").hidden = true;
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") fail(error.message);
  } finally {
    now.isBusy = false;
    document.body.removeAttribute("aria-busy");
  }
  if (now.isLoadWanted && !now.editor?.isChanged()) await guarded(load, { isQuiet: true });
}

