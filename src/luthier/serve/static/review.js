// The review page: its beginning, and what each of its parts listens to.

import { byId } from "/static/parts.js";
import { keepAll, keepOnly, keepOrDrop, mend, openAll, takeBack, undo } from "/static/review_decide.js";
import { onKey } from "/static/review_keys.js";
import { openList, showList, showProgress, showReasons } from "/static/review_list.js";
import { ask } from "/static/review_parts.js";
import { acts, guarded, load, loadSoon, look, move, pick } from "/static/review_show.js";
import { now } from "/static/review_state.js";

const LOOK_EVERY_MS = 15_000;
const SEARCH_AFTER_MS = 250;
const KEYS = "luthier-review-keys";

async function start() {
  now.progress = await ask("start");
  byId("where").textContent = "Rows of " + now.progress.folder + ". Decisions go to " + now.progress.decisions + ".";
  showReasons();
  showProgress();
  await load();
}

function listen() {
  document.addEventListener("keydown", onKey);
  byId("keep").addEventListener("click", () => keepOrDrop("keep"));
  byId("drop").addEventListener("click", () => keepOrDrop("drop"));
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
  byId("reasons").addEventListener("change", loadSoon);
  byId("list").addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item) pick(Number(item.dataset.place));
  });
  let timer = null;
  byId("words").addEventListener("input", () => {
    now.isLoadWanted = true; // at once: until it is there, the list is not what the filter says
    clearTimeout(timer);
    timer = setTimeout(() => now.isLoadWanted && guarded(load), SEARCH_AFTER_MS);
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
  window.addEventListener("beforeunload", (event) => { if (now.editor?.isChanged()) event.preventDefault(); });
  // On a phone the reasons would push the rows out of sight.
  if (window.matchMedia("(max-width: 52rem)").matches) byId("reasons-box").open = false;
}

history.replaceState(null, "", "/"); // the token of the link is used up
listen();
Object.assign(acts, { takeBack, keepOnly, keepAll });
guarded(start);
