// The panel beside the sample that takes reasons and a note: of a reject, or, with a note alone, of a flag.

import { element } from "./card.js";

export class WhyPanel {
  /** @param root The page. @param slots Its parts; this panel's are `why`, `reasons`, `note` and `why-…`. */
  constructor(root, slots) {
    this.root = root;
    this.slots = slots;
    this.reasons = [];
    this.act = null;
  }

  get isOpen() {
    return this.act !== null;
  }

  setReasons(reasons) {
    this.reasons = reasons;
    this.slots.reasons.replaceChildren(...reasons.map((reason, index) => {
      const row = element("label", "ps-reason");
      const box = element("input");
      box.type = "checkbox";
      box.value = reason.code;
      row.append(box, element("kbd", "", String((index + 1) % 10)), element("span", "", reason.label));
      return row;
    }));
  }

  labelOf(code) {
    return this.reasons.find((reason) => reason.code === code)?.label ?? code;
  }

  /** @param act "reject" or "flag". @param ticked Codes of the reasons to begin with. */
  open(act, ticked) {
    this.act = act;
    const isReject = act === "reject";
    this.slots["why-title"].textContent = isReject ? "Why reject it?" : "Flag for a second look";
    this.slots["why-confirm"].textContent = isReject ? "Reject" : "Flag";
    this.hint("");
    this.slots.reasons.hidden = !isReject;
    this.slots.note.value = "";
    for (const box of this.boxes()) box.checked = isReject && ticked.includes(box.value);
    this.slots.why.hidden = false;
    this.root.toggleAttribute("data-panel", true);
    (isReject ? this.slots["why-title"] : this.slots.note).focus({ preventScroll: matchMedia("(min-width: 761px)").matches });
  }

  close() {
    this.act = null;
    this.slots.why.hidden = true;
    this.root.toggleAttribute("data-panel", !this.slots.guidelines.hidden);
  }

  /** What was given: `{ reasons, note }`; null, with a hint, where something is missing. */
  answer() {
    const reasons = this.boxes().filter((box) => box.checked).map((box) => box.value);
    const note = this.slots.note.value.trim().toWellFormed();
    if (this.act === "reject" && !reasons.length) return this.hint("Choose at least one reason.");
    if ((this.act === "flag" || reasons.includes("other")) && !note) {
      this.slots.note.focus();
      return this.hint("Say in the note what it is.");
    }
    return this.act === "reject" ? { reasons, note } : { note };
  }

  hint(text) {
    this.slots["why-hint"].textContent = text;
    return null;
  }

  toggle(index) {
    const box = this.slots.reasons.hidden ? null : this.boxes()[index];
    if (!box) return false;
    box.checked = !box.checked;
    this.hint("");
    return true;
  }

  boxes() {
    return Array.from(this.slots.reasons.querySelectorAll("input"));
  }
}
