// Single keys: each does what a button does, unless one writes or a dialog is open.

import { byId } from "/static/parts.js";
import { keepAll, keepOnly, keepOrDrop, mend, undo } from "/static/review_decide.js";
import { openList } from "/static/review_list.js";
import { guarded, move, show } from "/static/review_show.js";
import { nextOpen, now } from "/static/review_state.js";

const ON_KEY = {
  k: () => keepOrDrop("keep"), d: () => keepOrDrop("drop"), m: () => mend(),
  u: () => guarded(undo), a: () => keepAll(),
  o: () => { const to = nextOpen(); if (to >= 0) guarded(() => show(to)); },
  n: () => byId("note").focus(), f: () => search(), "/": () => search(), "?": () => byId("help").showModal(),
  ArrowDown: () => move(1), ArrowRight: () => move(1), ArrowUp: () => move(-1), ArrowLeft: () => move(-1),
};

function search() {
  openList(true);
  byId("words").focus();
  byId("words").select();
}

export function onKey(event) {
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
  if (!work || now.editor || now.isBusy) return;
  if (event.repeat && !isArrow) return; // a key that is held down decides once
  event.preventDefault();
  work();
}
