// The guidelines in force, as plain paragraphs in a panel beside the sample.

import { element } from "./card.js";
import { ask } from "./outbox.js";
import { showText } from "./text.js";

export class Guidelines {
  constructor(root, slots, server) {
    this.root = root;
    this.slots = slots;
    this.server = server;
    this.version = null;
    this.shown = null;
  }

  /** @param version The version in force; null where there are none. */
  offer(version) {
    this.version = version ?? null;
    this.slots["guidelines-button"].hidden = this.version === null;
  }

  get isOpen() {
    return !this.slots.guidelines.hidden;
  }

  async toggle() {
    if (this.version === null) return;
    this.slots.guidelines.hidden = this.isOpen;
    this.root.toggleAttribute("data-panel", this.isOpen || !this.slots.why.hidden);
    if (!this.isOpen) return;
    this.slots.guidelines.querySelector("h2").focus({ preventScroll: true });
    const found = await ask(this.server, "guidelines", {});
    if (!found?.version) return;
    this.version = found.version;
    const day = new Date(found.ts).toLocaleDateString("en", { year: "numeric", month: "long", day: "numeric" });
    this.slots["guidelines-version"].textContent = "Version " + found.version + " · " + found.author + " · " + day;
    this.slots["guidelines-text"].replaceChildren(...found.text.split(/\n{2,}/u).map((paragraph) => {
      const made = element("p");
      made.dir = "auto";
      showText(made, paragraph);
      return made;
    }));
  }
}
