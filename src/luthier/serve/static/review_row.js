// One row in full: why it was flagged, what it says, what it is compared with, and the editor that mends it.

import { fitHeight, make } from "/static/parts.js";
import { MARKS, WORDS, pieces, plural, send } from "/static/review_parts.js";
import { fail } from "/static/review_state.js";

const CHECK_AFTER_MS = 250;

/** The row as it is read. `act` holds what its buttons do: takeBack(), keepOnly(index), keepAll(), open(number). */
export function rowView(row, position, total, act) {
  const decision = row.decision;
  const state = decision ? decision.decision : "open";
  const isBeside = row.related.length > 0;
  const shown = isBeside ? row.parts.filter((part) => part.path !== row.answer_path) : row.parts;
  const nodes = [
    make("div", { class: "row-head" },
      make("h2", { id: "row-title" }, "Row " + (position + 1).toLocaleString("en") + " of " + total.toLocaleString("en")),
      make("code", {}, row.where)),
    make("ul", { class: "flags", "aria-label": "Why it is flagged" }, ...row.flags.map(flagView)),
  ];
  if (decision) nodes.push(decidedView(decision, act.takeBack));
  if (row.is_missing) nodes.push(make("p", {}, "The text of this row is in no file of this folder. It can be kept or dropped all the same."));
  const texts = make("div", { class: state === "drop" ? "is-dropped" : "" }, ...shown.map(partView));
  if (isBeside) texts.append(...besideView(row, act));
  if (decision && decision.parts.length) {
    nodes.push(...decision.parts.map(partView), make("details", { class: "facts" }, make("summary", {}, "As it was"), texts));
  } else nodes.push(texts);
  const facts = factsView(row);
  if (facts) nodes.push(facts);
  return nodes;
}

function flagView(flag) {
  return make("li", {}, make("span", { class: "badge" }, flag.step), flag.reason,
    flag.detail ? make("span", { class: "detail" }, flag.detail) : null);
}

function decidedView(decision, takeBack) {
  const when = decision.at ? " on " + new Date(decision.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "";
  const word = WORDS[decision.decision];
  return make("div", { class: "decided " + decision.decision },
    make("strong", {}, MARKS[decision.decision] + " " + word[0].toUpperCase() + word.slice(1)),
    make("span", {}, (decision.reason ? decision.reason + " \u00b7" : "") + when),
    takeBack && make("button", { type: "button", class: "plain", onclick: takeBack }, "Take back"));
}

/** What stands on a row since another window decided about it. */
export function meanwhileView(row) {
  if (!row.decision) return [make("p", {}, "The decision on this row was taken back in another window.")];
  return [decidedView(row.decision, null), ...row.decision.parts.map(partView)];
}

function partView(part) {
  const kind = part.role === "user" ? " user" : "";
  return make("div", { class: "part" + kind + (part.is_flagged ? " is-flagged" : "") },
    make("span", { class: "role" }, part.role + (part.is_flagged ? " \u00b7 flagged" : "")),
    make("div", { class: "text" }, ...pieces(part.pieces)));
}

function besideView(row, act) {
  const answer = row.parts.find((part) => part.path === row.answer_path);
  // With one other row both show what the other has not; with more, the others show how they differ from this one.
  const own = row.related.length === 1 ? row.related[0].of_this : answer ? answer.pieces : [];
  const cards = [{ title: "This row", where: "", pieces: own, asked: null, decision: row.decision, number: null },
    ...row.related.map((other, index) => ({ title: "Another row", where: other.where, pieces: other.answer,
      asked: other.asked, decision: other.decision, number: other.number }))];
  const sections = cards.map((card, index) => make("section", { class: index ? "" : "is-this", "aria-label": index + 1 + ". " + card.title },
    make("h4", {}, index + 1 + ". " + card.title, card.where ? make("code", {}, card.where) : null,
      card.decision ? make("span", { class: card.decision.decision }, MARKS[card.decision.decision] + " " + WORDS[card.decision.decision]) : null),
    card.asked ? make("div", { class: "text asked" }, ...pieces(card.asked)) : null,
    make("div", { class: "text" }, ...pieces(card.pieces)),
    make("button", { type: "button", class: "plain", onclick: () => act.keepOnly(index) }, "Keep only this", make("kbd", {}, String(index + 1)))));
  const hidden = row.num_related - row.related.length;
  return [
    make("h3", {}, (row.is_conflict ? "Answers" : "Rows") + " side by side" + (hidden > 0 ? ", " + plural(hidden, "more row") + " not shown" : "")),
    make("div", { class: "beside" }, ...sections),
    make("button", { type: "button", class: "plain all-right", onclick: act.keepAll }, "Keep all of these", make("kbd", {}, "a")),
  ];
}

function factsView(row) {
  const facts = Object.entries(row.facts);
  const list = [["id", row.id], ...facts].flatMap(([name, value]) =>
    [make("dt", {}, name), make("dd", {}, typeof value === "string" ? value : JSON.stringify(value, null, 1))]);
  return make("details", { class: "facts" }, make("summary", {}, "Also in this row: " + ["id", ...facts.map(([name]) => name)].join(", ")),
    make("dl", {}, ...list));
}

/** What is wrong, and what to do about it. */
function sentences({ field, found, expected, fix }) {
  const whole = (text) => (text ? text[0].toUpperCase() + text.slice(1) + "." : "");
  return ((field ? field + ": " : "") + "found " + found + ", expected " + expected + ". " + whole(fix)).trim();
}

/** The row as it is mended. `save(mend)` decides and rejects with what is wrong; `leave()` goes back to the row. */
export function rowEditor(row, { save, leave }) {
  const parts = row.decision?.parts.length ? row.decision.parts : row.parts;
  const verdict = make("p", { class: "verdict", role: "status", id: "verdict" });
  const fields = make("div");
  const areas = new Map();
  const saveButton = make("button", { type: "button", class: "primary", disabled: true, onclick: () => submit() }, "Save", make("kbd", {}, "Ctrl+Enter"));
  const jsonButton = make("button", { type: "button", class: "plain", onclick: () => showJson() }, "Edit as JSON");
  let json = null; // the text area with the whole record, once that is what is edited
  let timer = null;
  let running = null;

  const mend = () => {
    if (json) return { json_text: json.value };
    return { texts: Object.fromEntries([...areas].filter(([path, area]) => area.value !== area.dataset.before).map(([path, area]) => [path, area.value])) };
  };
  const isChanged = () => (json ? json.value !== json.dataset.before : Object.keys(mend().texts).length > 0);

  function say(problems) {
    for (const area of [...areas.values(), ...(json ? [json] : [])]) area.removeAttribute("aria-invalid");
    verdict.className = "verdict " + (problems.length ? "wrong" : "right");
    verdict.textContent = problems.map(sentences).join("\n") || "This can be used.";
    for (const problem of problems) (json ?? areas.get(problem.field))?.setAttribute("aria-invalid", "true");
    saveButton.disabled = problems.length > 0;
  }

  async function check() {
    running?.abort();
    running = new AbortController();
    if (!isChanged()) {
      verdict.textContent = "";
      saveButton.disabled = true;
      return false;
    }
    try {
      const { problems } = await send("check", { id: row.id, ...mend() }, running.signal);
      say(problems);
      return problems.length === 0;
    } catch (error) {
      if (error.name !== "AbortError") say([{ field: "", found: error.message, expected: "an answer", fix: "" }]);
      return false;
    }
  }

  async function submit() {
    clearTimeout(timer);
    if (await check()) await save(mend());
  }

  function watch(area) {
    area.dataset.before = area.value;
    area.setAttribute("aria-describedby", "verdict");
    area.addEventListener("input", () => {
      fitHeight(area);
      clearTimeout(timer);
      timer = setTimeout(check, CHECK_AFTER_MS);
    });
  }

  /** Go on with the whole record as JSON, with all that was written into the fields in it. */
  async function showJson() {
    jsonButton.disabled = true;
    try {
      let written;
      let answer;
      do { // what is written while the answer is under way counts too
        written = mend().texts;
        answer = await send("text", { id: row.id, texts: written });
      } while (JSON.stringify(mend().texts) !== JSON.stringify(written));
      editJson(answer);
    } catch (error) {
      jsonButton.disabled = false;
      fail(error.message); // not in the verdict, which is on what is written
    }
  }

  function editJson({ text, before }) {
    json = make("textarea", { class: "json", spellcheck: "false", "aria-label": "The row as JSON" });
    json.value = before;
    watch(json); // it is changed where it differs from the row
    json.value = text;
    areas.clear();
    fields.replaceChildren(json);
    jsonButton.remove();
    verdict.textContent = "";
    saveButton.disabled = true;
    fitHeight(json);
    json.focus();
    check();
  }

  for (const part of parts) {
    const area = make("textarea", { rows: "1" });
    area.value = part.text;
    watch(area);
    areas.set(part.path, area);
    fields.append(make("label", {}, make("span", { class: "role" }, part.role), area));
  }
  const editor = make("div", { class: "editor" }, fields, make("div", { class: "always" }, verdict,
    make("div", { class: "row" }, saveButton, make("button", { type: "button", class: "plain", onclick: leave }, "Cancel", make("kbd", {}, "Esc")), jsonButton)));
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); }
    if (event.key === "Escape" && !event.isComposing) { event.preventDefault(); leave(); }
  });
  const head = make("div", { class: "row-head" }, make("h2", { id: "row-title" }, "Mend this row"), make("code", {}, row.where));
  const flags = make("ul", { class: "flags", "aria-label": "Why it is flagged" }, ...row.flags.map(flagView));
  const meanwhile = make("div");
  return {
    nodes: [head, flags, meanwhile, editor],
    tell(nodes) { meanwhile.replaceChildren(...nodes); },
    begin() {
      for (const area of areas.values()) fitHeight(area);
      if (!areas.size) return void showJson();
      (areas.get(row.answer_path) ?? [...areas.values()].at(-1)).focus();
    },
    isChanged,
    end() { clearTimeout(timer); running?.abort(); },
  };
}
