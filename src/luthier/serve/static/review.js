// The review page: which rows are looked at, which one is shown, and what is decided about it. The order of rows is a
// snapshot that stays as it is while one works, so that a decided row does not jump away.

import { MARKS, STATES, WORDS, announce, ask, byId, count, make, plural, send } from "/static/review_parts.js";
import { meanwhileView, rowEditor, rowView } from "/static/review_row.js";

const ROW_HEIGHT = 57.6; // of the style: 3.6rem
const PAGE = 60;
const LOOK_EVERY_MS = 15_000;
const SEARCH_AFTER_MS = 250;
const KEYS = "luthier-review-keys";
const DONE = "luthier-review-done";
const NOTES = 20;
const UNSAVED = "Save what you mended, or leave it with Escape.";

let version = "";
let numbers = []; // of the rows in this view, in order
let states = new Map(); // number to index in STATES, of the rows in this view
let summaries = new Map(); // number to its line, as far as it was asked for
let asked = new Set(); // pages that are on their way
let place = -1; // in `numbers`
let row = null; // what is shown
let editor = null;
let isBusy = false;
let isLoadWanted = false; // the filter was changed, or the folder curated again, since the list was asked for
let loaded = { filter: null, version: "" }; // of the list that is shown; `filter()` is what is chosen by now
let progress = null;
let looked = null; // the AbortController of the last row that was asked for
let done = JSON.parse(sessionStorage.getItem(DONE) ?? "[]"); // what u takes back: {stamp, number}, oldest first

const filter = () => ({
  state: byId("state").value, words: byId("words").value.trim(),
  ...JSON.parse(document.querySelector("[name=reason]:checked")?.value ?? '{"step":"","reason":""}'),
});
const stateOf = (number) => STATES[states.get(number) ?? 0];
const numOpen = () => numbers.filter((number) => stateOf(number) === "open").length;

// --- what there is ---------------------------------------------------------------------------------------------------

async function start() {
  progress = await ask("start");
  byId("where").textContent = "Rows of " + progress.folder + ". Decisions go to " + progress.decisions + ".";
  showReasons();
  showProgress();
  await load();
}

/**
 * Ask for the rows that fit the filter, and show the row that was shown, if it is among them, else the first open one.
 * While somebody mends a row, this waits until the text is saved or left.
 */
async function load() {
  isLoadWanted = !mayLeave();
  if (isLoadWanted) return;
  const before = numbers[place];
  const chosen = filter();
  const view = await ask("view", chosen);
  if (!mayLeave()) {
    isLoadWanted = true;
    return;
  }
  loaded = { filter: chosen, version: view.version };
  version = view.version;
  numbers = view.numbers;
  states = new Map(view.numbers.map((number, index) => [number, view.states[index]]));
  summaries = new Map();
  asked = new Set();
  place = numbers.indexOf(before);
  if (place < 0) place = Math.max(0, numbers.findIndex((number) => stateOf(number) === "open"));
  byId("list").style.height = numbers.length * ROW_HEIGHT + "px";
  showList();
  await show(numbers.length ? place : -1, { keepFocus: document.activeElement === byId("words") });
}

/** The list anew, as soon as nothing else is under way: what was chosen last is what is listed in the end. */
function loadSoon() {
  isLoadWanted = true;
  return guarded(load);
}

/** Take in what an answer says of the whole: progress and the rows that were decided, here or elsewhere. */
function takeIn(answer) {
  progress = { ...progress, ...answer };
  version = answer.version;
  if (answer.is_stale) isLoadWanted = true;
  for (const [number, state] of answer.changed) if (states.has(number)) states.set(number, state);
  showReasons();
  showProgress();
  showList();
}

async function look() {
  if (document.hidden || isBusy || !version) return;
  const before = version;
  const answer = await ask("changes", { version });
  if (isBusy || version !== before) return; // what is done meanwhile brings its own news
  takeIn(answer);
  const isOurs = answer.changed.some(([number]) => number === row?.number);
  if (isLoadWanted && !editor?.isChanged()) await guarded(load, { isQuiet: true });
  else if (isOurs && !editor) await guarded(() => show(place, { keepFocus: true }), { isQuiet: true });
}

// --- the row ---------------------------------------------------------------------------------------------------------

/** Whether what is shown may give way to something else; if a text would be lost, it says so. */
function mayLeave() {
  if (editor?.isChanged()) fail(UNSAVED);
  return !editor?.isChanged();
}

function endEditor() {
  editor?.end();
  editor = null;
}

async function show(to, { keepFocus = false } = {}) {
  if (!mayLeave()) return;
  looked?.abort();
  place = to;
  if (to < 0 || to >= numbers.length) return showNothing();
  looked = new AbortController();
  const signal = looked.signal;
  const found = await ask("row", { number: numbers[to] }, signal);
  if (signal.aborted || !mayLeave()) return;
  endEditor();
  row = found;
  byId("row").replaceChildren(...rowView(row, place, numbers.length, { takeBack, keepOnly, keepAll }));
  byId("row").setAttribute("aria-labelledby", "row-title");
  byId("main").scrollTop = 0;
  document.querySelector("mark.flagged")?.scrollIntoView({ block: "nearest" });
  for (const kind of STATES.slice(1)) byId(kind).classList.toggle("is-now", row.decision?.decision === kind);
  showButtons();
  bringIntoList();
  if (!keepFocus) byId("row").focus({ preventScroll: true });
  announce("Row " + (place + 1) + " of " + numbers.length + ", " + WORDS[row.decision?.decision ?? "open"] + ". " + row.flags.map((flag) => flag.reason).join("; "));
}

function showNothing() {
  endEditor();
  row = null;
  const isAllDone = progress.decided === progress.total;
  const nodes = isAllDone && loaded.filter.state === "open"
    ? [make("h2", { id: "row-title" }, "All " + count(progress.total) + " rows are decided"),
      make("p", {}, Object.entries(progress.states).filter(([, n]) => n).map(([kind, n]) => count(n) + " " + WORDS[kind]).join(", ") + "."),
      make("p", {}, "The decisions are in ", make("code", {}, progress.decisions), ". They are done at the next curation, when the recipe says ",
        make("code", {}, 'curate.decisions = "' + progress.decisions + '"'), "."),
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

function showButtons() {
  for (const id of ["keep", "drop", "mend"]) byId(id).disabled = !row || Boolean(editor);
  byId("undo").disabled = Boolean(editor) || (!done.length && !row?.decision);
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place >= numbers.length - 1;
}

function move(by) {
  if (!mayLeave()) return;
  if (place + by >= 0 && place + by < numbers.length) guarded(() => show(place + by));
}

function nextOpen() {
  const after = numbers.findIndex((number, index) => index > place && stateOf(number) === "open");
  const any = after >= 0 ? after : numbers.findIndex((number) => stateOf(number) === "open");
  return any;
}

async function goOn() {
  if (isLoadWanted) return load();
  const to = nextOpen();
  if (to >= 0) return show(to);
  if (loaded.filter.state === "open") return load(); // nothing is left in this view: say so
  return show(Math.min(place + 1, numbers.length - 1));
}

// --- deciding --------------------------------------------------------------------------------------------------------

function decisionOn(kind, more = {}) {
  return { id: row.id, decision: kind, reason: byId("note").value.trim(), seen: row.decision?.stamp ?? null, ...more };
}

/** Send what changes decisions. Where another window was faster nothing is changed: show what stands there now. */
async function change(path, body, refused) {
  try {
    return await send(path, { version, ...body });
  } catch (error) {
    if (error.status !== 409) throw error;
    takeIn(error.body);
    if (editor?.isChanged()) {
      await tellEditor();
      throw new Error("This was decided in another window meanwhile. Look at it: what you wrote is still here, and can be saved again.");
    }
    await (isLoadWanted ? load() : show(place));
    throw new Error(refused);
  }
}

/** Show what was decided elsewhere above the text that is being mended. */
async function tellEditor() {
  const found = await ask("row", { number: row.number });
  if (found.id !== row.id) return; // the folder was curated again: the number is another row's by now
  row = found;
  editor.tell(meanwhileView(row));
}

/** Send decisions that belong together; on success go on to the next open row, with one undo for all of them. */
async function decide(decisions, said) {
  const from = row.number;
  const answer = await change("decide", { decisions }, "This was decided in another window meanwhile. Look at it, then decide again.");
  endEditor();
  remember(answer.stamp, from);
  keepNote();
  takeIn(answer);
  await goOn();
  announce(said + ". " + byId("status").textContent);
}

const keepOrDrop = (kind) => () => decide([decisionOn(kind)], WORDS[kind]);

function mend() {
  if (!row || isBusy) return;
  editor = rowEditor(row, {
    save: (made) => guarded(() => decide([decisionOn("mend", made)], WORDS.mend)),
    leave: () => guarded(() => {
      endEditor();
      return show(place);
    }),
  });
  byId("row").replaceChildren(...editor.nodes);
  byId("main").scrollTop = 0;
  showButtons();
  editor.begin();
}

function others() {
  return row.related.map((other) => ({ id: other.id, seen: other.decision?.stamp ?? null }));
}

function keepOnly(index) {
  if (!row?.related.length || index > row.related.length) return;
  const all = [{ id: row.id, seen: row.decision?.stamp ?? null }, ...others()];
  const reason = byId("note").value.trim();
  guarded(() => decide(all.map((one, at) => ({ ...one, decision: at === index ? "keep" : "drop", reason })), "one kept, " + (all.length - 1) + " dropped"));
}

function keepAll() {
  if (!row?.related.length) return;
  const all = [{ id: row.id, seen: row.decision?.stamp ?? null }, ...others()];
  const reason = byId("note").value.trim();
  guarded(() => decide(all.map((one) => ({ ...one, decision: "keep", reason })), "all kept"));
}

function takeBack() {
  guarded(async () => {
    const answer = await change("undo", { stamp: row.decision.stamp, id: row.id },
      "This was decided otherwise in another window meanwhile; nothing was taken back.");
    takeIn(answer);
    await (isLoadWanted ? load() : show(place));
    announce("Taken back.");
  });
}

async function undo() {
  const last = done.at(-1);
  if (!last) {
    if (row?.decision) takeBack();
    return;
  }
  const answer = await change("undo", { stamp: last.stamp }, "Nothing was undone.");
  done.pop();
  sessionStorage.setItem(DONE, JSON.stringify(done));
  takeIn(answer);
  if (isLoadWanted || !states.has(last.number)) await load(); // it is open again, so it fits this view again
  const at = numbers.indexOf(last.number);
  await show(at >= 0 ? at : place);
  announce(answer.num_added ? "Undone." : "That was decided otherwise meanwhile; nothing was undone.");
}

function remember(stamp, number) {
  if (!stamp) return; // nothing was added: it stood there already
  done.push({ stamp, number });
  sessionStorage.setItem(DONE, JSON.stringify(done));
}

/** A note belongs to one decision; the ones that were used are offered again. */
function keepNote() {
  const note = byId("note").value.trim();
  byId("note").value = "";
  const known = [...byId("notes").children];
  if (!note || known.some((option) => option.value === note)) return;
  byId("notes").prepend(make("option", { value: note }));
  if (known.length >= NOTES) known.at(-1).remove();
}

/** Decide the rows that are listed, these and no others: what is sent is what was listed when it was asked. */
function openAll() {
  if (!mayLeave()) return;
  if (isBusy || isLoadWanted) return fail("The list is being loaded. Ask again when it is there.");
  const open = numbers.filter((number) => stateOf(number) === "open");
  if (!open.length) return fail("Nothing in this view is left to decide.");
  const { filter: { words, reason }, version: listed } = loaded;
  const about = [reason && "flagged with \u201c" + reason + "\u201d", words && "with the words \u201c" + words + "\u201d"].filter(Boolean).join(", ");
  byId("all-text").textContent = plural(open.length, "row") + " to decide" + (about ? ", " + about : "") + ".";
  byId("all").returnValue = "";
  byId("all").showModal();
  byId("all").onclose = () => {
    if (byId("all").returnValue !== "go") return;
    if (isBusy) return fail("The list was just being loaded; nothing was decided. Ask again.");
    guarded(async () => {
      const decision = document.querySelector("[name=all-decision]:checked").value;
      const answer = await change("decide-all", { numbers: open, decision, reason: byId("all-note").value.trim(), version: listed },
        "Some of these rows were decided, or the folder was curated again, meanwhile; nothing was decided. Look at the list, then decide again.");
      remember(answer.stamp, numbers[place]);
      byId("all-note").value = "";
      takeIn(answer);
      await goOn();
      announce(plural(answer.num_added, "row") + " " + WORDS[decision] + ".");
    });
  };
}

/**
 * One thing at a time: what is pressed before the next row is on the page must not decide it unseen. A list that was
 * wanted meanwhile is asked for afterwards. What is quiet leaves a failure that is told on the page.
 */
async function guarded(work, { isQuiet = false } = {}) {
  if (isBusy) return;
  isBusy = true;
  document.body.setAttribute("aria-busy", "true");
  if (!isQuiet) byId("failure").hidden = true;
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") fail(error.message);
  } finally {
    isBusy = false;
    document.body.removeAttribute("aria-busy");
  }
  if (isLoadWanted && !editor?.isChanged()) await guarded(load, { isQuiet: true });
}

function fail(text) {
  byId("failure").textContent = text;
  byId("failure").hidden = false;
}

// --- the list --------------------------------------------------------------------------------------------------------

function showProgress() {
  byId("progress").max = Math.max(1, progress.total);
  byId("progress").value = progress.decided;
  byId("progress-text").textContent = count(progress.decided) + " of " + count(progress.total) + " decided";
}

function showReasons() {
  const chosen = JSON.stringify({ step: filter().step, reason: filter().reason });
  const all = { step: "", reason: "", total: progress.total, decided: progress.decided };
  const isFocused = byId("reasons").contains(document.activeElement);
  byId("reasons").replaceChildren(...[all, ...progress.reasons].map((one) => {
    const value = JSON.stringify({ step: one.step, reason: one.reason });
    const radio = make("input", { type: "radio", name: "reason", value, onchange: loadSoon });
    radio.checked = value === chosen;
    return make("label", {}, radio,
      make("span", {}, one.reason || "All reasons", one.step ? make("span", { class: "step" }, " " + one.step) : null),
      make("span", { class: "count" }, count(one.decided) + " / " + count(one.total)));
  }));
  if (isFocused) document.querySelector("[name=reason]:checked")?.focus();
}

/** Only the rows that can be seen are on the page; their lines are asked for by the page. */
function showList() {
  byId("list-count").textContent = plural(numbers.length, "row") + ", " + count(numOpen()) + " to decide";
  byId("open-all").disabled = !numOpen();
  const scroller = byId("scroller");
  const first = Math.max(0, Math.floor(scroller.scrollTop / ROW_HEIGHT) - 4);
  const last = Math.min(numbers.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW_HEIGHT) + 4);
  const focused = document.activeElement?.closest?.("#list li")?.dataset.place;
  const items = [];
  for (let index = first; index < last; index++) items.push(listItem(index));
  byId("list").replaceChildren(...items);
  if (focused !== undefined) byId("list").querySelector('[data-place="' + focused + '"] button')?.focus({ preventScroll: true });
  for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) fetchPage(page);
}

function listItem(index) {
  const number = numbers[index];
  const state = stateOf(number);
  const line = summaries.get(number);
  const why = line ? line.flags.map((flag) => flag.reason).join("; ") : "";
  const button = make("button", { type: "button", "aria-current": index === place ? "true" : null, onclick: () => pick(index) },
    make("span", { class: "mark " + state, "aria-hidden": "true" }, MARKS[state]),
    make("span", { class: "preview" }, line ? line.preview || line.where : "\u2026"),
    make("span", { class: "why" }, (state === "open" ? "" : WORDS[state] + " \u00b7 ") + why));
  const item = make("li", { "data-place": index, "aria-setsize": numbers.length, "aria-posinset": index + 1 }, button);
  item.style.transform = "translateY(" + index * ROW_HEIGHT + "px)";
  return item;
}

async function fetchPage(page) {
  const some = numbers.slice(page * PAGE, (page + 1) * PAGE);
  if (asked.has(page) || !some.length) return;
  asked.add(page);
  const now = asked;
  try {
    const { rows } = await ask("rows", some.map((number) => ["number", number]));
    if (now !== asked) return; // another view was chosen meanwhile
    for (const one of rows) summaries.set(one.number, one);
    showList();
  } catch {
    asked.delete(page);
  }
}

function bringIntoList() {
  const scroller = byId("scroller");
  const top = place * ROW_HEIGHT;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + ROW_HEIGHT > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + ROW_HEIGHT - scroller.clientHeight;
  showList();
}

function pick(index) {
  if (!mayLeave()) return;
  openList(false);
  guarded(() => show(index));
}

function openList(isOpen) {
  document.body.classList.toggle("list-open", isOpen);
  byId("open-list").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) bringIntoList();
}

// --- keys ------------------------------------------------------------------------------------------------------------

const ON_KEY = {
  k: () => guardedOnRow(keepOrDrop("keep")), d: () => guardedOnRow(keepOrDrop("drop")), m: () => mend(),
  u: () => guarded(undo), a: () => keepAll(),
  o: () => { const to = nextOpen(); if (to >= 0) guarded(() => show(to)); },
  n: () => byId("note").focus(), f: () => search(), "/": () => search(), "?": () => byId("help").showModal(),
  ArrowDown: () => move(1), ArrowRight: () => move(1), ArrowUp: () => move(-1), ArrowLeft: () => move(-1),
};

function guardedOnRow(work) {
  if (row) guarded(work);
}

function search() {
  openList(true);
  byId("words").focus();
  byId("words").select();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    openList(false);
    if (document.activeElement !== document.body) byId("row").focus({ preventScroll: true });
    return;
  }
  if (event.target.matches("textarea, select, input:not([type=radio])")) return;
  const isArrow = event.key.startsWith("Arrow");
  if (isArrow && event.target.matches("input")) return;
  if (!isArrow && !byId("keys").checked) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const work = ON_KEY[key] ?? (/^[1-9]$/.test(key) ? () => keepOnly(Number(key) - 1) : null);
  if (!work || editor || isBusy) return;
  if (event.repeat && !isArrow) return; // a key that is held down decides once
  event.preventDefault();
  work();
}

function listen() {
  document.addEventListener("keydown", onKey);
  byId("keep").addEventListener("click", () => guardedOnRow(keepOrDrop("keep")));
  byId("drop").addEventListener("click", () => guardedOnRow(keepOrDrop("drop")));
  byId("mend").addEventListener("click", mend);
  byId("undo").addEventListener("click", () => guarded(undo));
  byId("previous").addEventListener("click", () => move(-1));
  byId("next").addEventListener("click", () => move(1));
  byId("note").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    byId("row").focus({ preventScroll: true });
  });
  byId("state").addEventListener("change", loadSoon);
  let timer = null;
  byId("words").addEventListener("input", () => {
    isLoadWanted = true; // at once: until it is there, the list is not what the filter says
    clearTimeout(timer);
    timer = setTimeout(() => isLoadWanted && guarded(load), SEARCH_AFTER_MS);
  });
  byId("words").addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); byId("row").focus({ preventScroll: true }); openList(false); }
  });
  byId("scroller").addEventListener("scroll", showList, { passive: true });
  window.addEventListener("resize", showList);
  byId("open-list").addEventListener("click", () => openList(!document.body.classList.contains("list-open")));
  byId("open-help").addEventListener("click", () => byId("help").showModal());
  byId("open-all").addEventListener("click", openAll);
  byId("keys").checked = localStorage.getItem(KEYS) !== "off";
  byId("keys").addEventListener("change", () => localStorage.setItem(KEYS, byId("keys").checked ? "on" : "off"));
  window.addEventListener("focus", () => look().catch(() => {}));
  setInterval(() => look().catch(() => {}), LOOK_EVERY_MS);
  window.addEventListener("beforeunload", (event) => { if (editor?.isChanged()) event.preventDefault(); });
  // On a phone the reasons would push the rows out of sight.
  if (window.matchMedia("(max-width: 52rem)").matches) byId("reasons-box").open = false;
}

history.replaceState(null, "", "/"); // the token of the link is used up
listen();
guarded(start);
