// Editing a card's texts: drafts, what each text changes, and what a release would refuse of it.

import { editCard, editedTexts, fieldName, showChanges, standingTexts } from "./card.js";
import { ask } from "./outbox.js";

const CHECK_AFTER_MS = 400;

export class Editor {
  /** @param holder The card's element. @param server Functions of the page. @param drafts Where texts are kept. */
  constructor(holder, server, drafts) {
    this.holder = holder;
    this.server = server;
    this.drafts = drafts;
    this.card = null;
    this.timer = null;
    holder.addEventListener("input", (event) => {
      if (event.target.classList.contains("ps-area")) this.onInput(event.target);
    });
  }

  /** Turns the card into text areas; returns whether a draft came back. */
  begin(card) {
    this.card = card;
    this.base = standingTexts(card);
    const draft = this.drafts.on(card.id, this.base);
    editCard(this.holder, card, draft ?? this.base);
    this.began = JSON.stringify(this.texts());
    for (const area of this.areas()) fit(area);
    enter(this.areas()[1] ?? this.areas()[0]);
    return draft !== null;
  }

  get isOpen() {
    return this.areas().length > 0;
  }

  texts() {
    return editedTexts(this.holder);
  }

  /** Texts that are not Unicode: half a character, which no message to the server can hold. */
  malformed() {
    return this.areas().filter((area) => !area.value.isWellFormed()).map((area) => {
      const half = /[\ud800-\udfff]/u.exec(area.value)[0].codePointAt(0).toString(16).toUpperCase();
      return { field: area.dataset.edits, what: "contains a character that no text needs (U+" + half + "). Delete it, or type the text again." };
    });
  }

  /** Ends the edit without saving; returns whether there was a text to put aside. */
  setAside() {
    clearTimeout(this.timer);
    const texts = this.texts();
    const isChanged = JSON.stringify(texts) !== this.began;
    this.drafts.setAside(this.card.id, isChanged ? { base: this.base, texts } : null);
    return isChanged;
  }

  /** Keeps the texts through whatever comes to the card. */
  keep() {
    this.drafts.keep(this.card.id, this.base, this.texts());
  }

  /** Marks the texts that are wrong and goes to the first; returns what to say of it, or null. */
  blame(problems) {
    const found = this.mark(problems);
    if (!found.length) return null;
    enter(found[0].area);
    return fieldName(found[0].field) + " " + found[0].what;
  }

  mark(problems) {
    for (const area of this.areas()) setProblem(area, null);
    const found = problems
      .map((problem) => ({ ...problem, area: this.holder.querySelector('[data-edits="' + CSS.escape(problem.field) + '"]') }))
      .filter(({ area }) => area);
    for (const { area, what } of found) setProblem(area, what);
    return found;
  }

  areas() {
    return Array.from(this.holder.querySelectorAll(".ps-area"));
  }

  onInput(area) {
    fit(area);
    setProblem(area, null);
    showChanges(area);
    this.keep();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), CHECK_AFTER_MS);
  }

  /** Asks what a release would refuse, while the texts are still being written. */
  async check() {
    if (this.malformed().length) return;
    const texts = this.texts();
    const answer = await ask(this.server, "check", { sample_id: this.card.id, texts });
    const isStill = this.isOpen && JSON.stringify(texts) === JSON.stringify(this.texts());
    if (answer?.problems && isStill) this.mark(answer.problems);
  }
}

function setProblem(area, what) {
  const problem = area.parentElement.querySelector(".ps-problem");
  problem.hidden = what === null;
  problem.textContent = what === null ? "" : area.getAttribute("aria-label") + " " + what;
  if (what === null) area.removeAttribute("aria-invalid");
  else area.setAttribute("aria-invalid", "true");
}

/** Makes a text area as high as its text. */
function fit(area) {
  area.style.height = "auto";
  area.style.height = area.scrollHeight + 2 + "px";
}

/** Puts the cursor into a text area, clear of the action bar that covers the page's foot. */
function enter(area) {
  area.focus();
  area.scrollIntoView({ block: "nearest" });
}
