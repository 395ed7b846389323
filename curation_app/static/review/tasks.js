// Other questions than accept or reject: which of two candidates matches, and which claims an image supports.

import { element } from "./card.js";
import { showText } from "./text.js";

const CHOICES = [["left", "Left matches"], ["right", "Right matches"], ["both", "Both match"], ["neither", "Neither matches"]];

/** Puts a queue's question under the card; returns what answers it, or null for the plain card. */
export function showTask(holder, mode, card, onAnswer) {
  holder.hidden = mode === "card";
  if (mode === "forced_choice") return new ForcedChoice(holder, onAnswer);
  if (mode === "claims" && card.claims?.length) return new Claims(holder, card.claims, onAnswer);
  holder.hidden = true;
  return null;
}

/** Two candidates without labels: which matches the query? */
class ForcedChoice {
  constructor(holder, onAnswer) {
    this.onAnswer = onAnswer;
    const buttons = element("div", "ps-choices");
    buttons.append(...CHOICES.map(([choice, label], index) => {
      const made = element("button", "ps-button", label);
      made.type = "button";
      made.dataset.choice = choice;
      made.append(element("kbd", "", String(index + 1)));
      made.addEventListener("click", () => onAnswer({ choice }));
      return made;
    }));
    holder.replaceChildren(element("h3", "", "Which one matches the query?"), buttons);
  }

  /** True where the key answers. */
  onKey({ code }) {
    const choice = CHOICES[Number(/^(?:Digit|Numpad)([1-4])$/.exec(code)?.[1]) - 1]?.[0];
    if (choice) this.onAnswer({ choice });
    return choice !== undefined;
  }
}

/** What the teacher said of the images, claim by claim: does the image support it? */
class Claims {
  constructor(holder, claims, onAnswer) {
    this.onAnswer = onAnswer;
    this.answers = claims.map(() => null);
    this.rows = claims.map((claim, index) => {
      const row = element("li", "ps-claim");
      row.tabIndex = -1;
      const text = element("p", "ps-claim-text");
      text.dir = "auto";
      text.append(element("span", "ps-label", claim.image + " · "));
      const said = element("span");
      showText(said, claim.text);
      text.append(said);
      row.append(text, this.button(index, true, "Supported", "Y"), this.button(index, false, "Not supported", "X"));
      return row;
    });
    const list = element("ol", "ps-claims");
    list.append(...this.rows);
    this.done = element("button", "ps-button ps-accept", "Save");
    this.done.type = "button";
    this.done.append(element("kbd", "", "⏎"));
    this.done.addEventListener("click", () => this.submit());
    this.hint = element("p", "ps-hint");
    this.hint.setAttribute("role", "alert");
    holder.replaceChildren(element("h3", "", "Does the image support each claim?"), list, this.hint, this.done);
    this.move(0);
  }

  button(index, answer, label, key) {
    const made = element("button", "ps-mark ps-mark-" + (answer ? "accept" : "reject"), label);
    made.type = "button";
    made.dataset.answer = String(answer);
    made.setAttribute("aria-pressed", "false");
    made.append(element("kbd", "", key));
    made.addEventListener("click", () => this.mark(index, answer));
    return made;
  }

  mark(index, answer) {
    this.answers[index] = answer;
    for (const made of this.rows[index].querySelectorAll("button")) {
      made.setAttribute("aria-pressed", String(made.dataset.answer === String(answer)));
    }
    this.hint.textContent = "";
    const next = this.answers.indexOf(null);
    this.goTo(next < 0 ? index : next);
  }

  move(index) {
    this.current = Math.min(this.rows.length - 1, Math.max(0, index));
    this.rows.forEach((row, place) => row.toggleAttribute("data-current", place === this.current));
  }

  goTo(index) {
    this.move(index);
    this.rows[this.current].scrollIntoView({ block: "nearest" });
  }

  submit() {
    if (this.answers.includes(null)) {
      this.hint.textContent = "Answer every claim first: Y supported, X not supported.";
      return;
    }
    this.onAnswer({ claims: this.answers });
  }

  onKey(event) {
    const key = event.key.toLowerCase();
    if (key === "arrowdown" || key === "arrowup") this.goTo(this.current + (key === "arrowdown" ? 1 : -1));
    else if (key === "y" || event.code === "KeyY") this.mark(this.current, true);
    else if (key === "x" || event.code === "KeyX") this.mark(this.current, false);
    else if (key === "enter" && event.target.tagName !== "BUTTON") this.submit();
    else return false;
    return true;
  }
}
