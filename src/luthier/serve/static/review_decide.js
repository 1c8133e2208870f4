// Deciding: keep, drop, mend, undo, of one row, of rows side by side, or of all that are listed.

import { announce, byId, make } from "/static/parts.js";
import { WORDS, ask, plural, send } from "/static/review_parts.js";
import { meanwhileView, rowEditor } from "/static/review_row.js";
import { goOn, guarded, load, show, showButtons, takeIn } from "/static/review_show.js";
import { endEditor, fail, forgetLast, mayLeave, now, remember, stateOf } from "/static/review_state.js";

const NOTES = 20;

function decisionOn(kind, more = {}) {
  return { id: now.row.id, decision: kind, reason: byId("note").value.trim(), seen: now.row.decision?.stamp ?? null, ...more };
}

/** Send what changes decisions. Where another window was faster nothing is changed: show what stands there now. */
async function change(path, body, refused) {
  try {
    return await send(path, { version: now.version, ...body });
  } catch (error) {
    if (error.status !== 409) throw error;
    takeIn(error.body);
    if (now.editor?.isChanged()) {
      await tellEditor();
      throw new Error("This was decided in another window meanwhile. Look at it: what you wrote is still here, and can be saved again.");
    }
    await (now.isLoadWanted ? load() : show(now.place));
    throw new Error(refused);
  }
}

/** Show what was decided elsewhere above the text that is being mended. */
async function tellEditor() {
  const found = await ask("row", { number: now.row.number });
  if (found.id !== now.row.id) return; // the folder was curated again: the number is another row's by now
  now.row = found;
  now.editor.tell(meanwhileView(now.row));
}

/** Send decisions that belong together; on success go on to the next open row, with one undo for all of them. */
async function decide(decisions, said) {
  const from = now.row.number;
  const answer = await change("decide", { decisions }, "This was decided in another window meanwhile. Look at it, then decide again.");
  endEditor();
  remember(answer.stamp, from);
  keepNote();
  takeIn(answer);
  await goOn();
  announce(said + ". " + byId("status").textContent);
}

export function keepOrDrop(kind) {
  if (now.row) guarded(() => decide([decisionOn(kind)], WORDS[kind]));
}

export function mend() {
  if (!now.row || now.isBusy) return;
  now.editor = rowEditor(now.row, {
    save: (made) => guarded(() => decide([decisionOn("mend", made)], WORDS.mend)),
    leave: () => guarded(() => {
      endEditor();
      return show(now.place);
    }),
  });
  byId("row").replaceChildren(...now.editor.nodes);
  byId("main").scrollTop = 0;
  showButtons();
  now.editor.begin();
}

function others() {
  return now.row.related.map((other) => ({ id: other.id, seen: other.decision?.stamp ?? null }));
}

export function keepOnly(index) {
  if (!now.row?.related.length || index > now.row.related.length) return;
  const all = [{ id: now.row.id, seen: now.row.decision?.stamp ?? null }, ...others()];
  const reason = byId("note").value.trim();
  guarded(() => decide(all.map((one, at) => ({ ...one, decision: at === index ? "keep" : "drop", reason })), "one kept, " + (all.length - 1) + " dropped"));
}

export function keepAll() {
  if (!now.row?.related.length) return;
  const all = [{ id: now.row.id, seen: now.row.decision?.stamp ?? null }, ...others()];
  const reason = byId("note").value.trim();
  guarded(() => decide(all.map((one) => ({ ...one, decision: "keep", reason })), "all kept"));
}

export const takeBack = () => guarded(takenBack);

/** Without the decision on the row that is shown, the one before it counts again. */
async function takenBack() {
  const answer = await change("undo", { stamp: now.row.decision.stamp, id: now.row.id },
    "This was decided otherwise in another window meanwhile; nothing was taken back.");
  takeIn(answer);
  await (now.isLoadWanted ? load() : show(now.place));
  announce("Taken back.");
}

export async function undo() {
  const last = now.done.at(-1);
  if (!last) {
    if (now.row?.decision) await takenBack();
    return;
  }
  const answer = await change("undo", { stamp: last.stamp }, "Nothing was undone.");
  forgetLast();
  takeIn(answer);
  if (now.isLoadWanted || !now.states.has(last.number)) await load(); // it is open again, so it fits this view again
  const at = now.numbers.indexOf(last.number);
  await show(at >= 0 ? at : now.place);
  announce(answer.num_added ? "Undone." : "That was decided otherwise meanwhile; nothing was undone.");
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
export function openAll() {
  if (!mayLeave()) return;
  if (now.isBusy || now.isLoadWanted) return fail("The list is being loaded. Ask again when it is there.");
  const open = now.numbers.filter((number) => stateOf(number) === "open");
  if (!open.length) return fail("Nothing in this view is left to decide.");
  const { filter: { words, reason }, version: listed } = now.loaded;
  const about = [reason && "flagged with \u201c" + reason + "\u201d", words && "with the words \u201c" + words + "\u201d"].filter(Boolean).join(", ");
  byId("all-text").textContent = plural(open.length, "row") + " to decide" + (about ? ", " + about : "") + ".";
  byId("all").returnValue = "";
  byId("all").showModal();
  byId("all").onclose = () => {
    if (byId("all").returnValue !== "go") return;
    if (now.isBusy) return fail("The list was just being loaded; nothing was decided. Ask again.");
    guarded(async () => {
      const decision = document.querySelector("[name=all-decision]:checked").value;
      const answer = await change("decide-all", { numbers: open, decision, reason: byId("all-note").value.trim(), version: listed },
        "Some of these rows were decided, or the folder was curated again, meanwhile; nothing was decided. Look at the list, then decide again.");
      remember(answer.stamp, now.numbers[now.place]);
      byId("all-note").value = "";
      takeIn(answer);
      await goOn();
      announce(plural(answer.num_added, "row") + " " + WORDS[decision] + ".");
    });
  };
}
