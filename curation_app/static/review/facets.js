// Facets of a verdict: each left open, called good, or called bad, by button or key.

import { element } from "./card.js";

/** In the order of their number keys. */
export const FACETS = [
  ["fidelity", "Fidelity", "the texts fit their images"],
  ["alignment", "Alignment", "the positive answers the query"],
  ["negative", "Negative", "the hard negative is really wrong"],
  ["language", "Language", "every text is natural in its language"],
  ["safety", "Safety", "nothing unsafe, private or offensive"],
];

export class Facets {
  constructor(holder) {
    this.holder = holder;
    this.marks = {};
    holder.replaceChildren(...FACETS.map(([facet, label, meaning], index) => {
      const group = element("div", "ps-facet");
      group.dataset.facet = facet;
      group.title = label + ": " + meaning;
      const name = element("span", "ps-facet-name", label);
      name.append(element("kbd", "", String(index + 1)));
      group.append(name, button(facet, label, "accept", "Good"), button(facet, label, "reject", "Bad"));
      return group;
    }));
  }

  show(marks) {
    this.marks = { ...marks };
    for (const made of this.holder.querySelectorAll("button")) {
      made.setAttribute("aria-pressed", String(this.marks[made.dataset.facet] === made.dataset.mark));
    }
  }

  /** Sets a facet's mark, or takes it back where it stands already. */
  toggle(facet, mark) {
    const marks = { ...this.marks };
    if (marks[facet] === mark) delete marks[facet];
    else marks[facet] = mark;
    this.show(marks);
  }
}

function button(facet, label, mark, word) {
  const made = element("button", "ps-mark ps-mark-" + mark, mark === "accept" ? "✓" : "✗");
  made.type = "button";
  made.dataset.facet = facet;
  made.dataset.mark = mark;
  made.setAttribute("aria-label", label + ": " + word.toLowerCase());
  made.setAttribute("aria-pressed", "false");
  return made;
}
