// Texts being edited, kept in the browser until the store has them, and brought over what others changed meanwhile.

import { keep } from "./outbox.js";

export class Drafts {
  constructor() {
    this.place = null;
    this.putAside = null;
  }

  /** Names the drawer of drafts: by version and reviewer. */
  open(version, reviewer) {
    this.place = (id) => "polyscene.draft." + version + "." + id + "." + reviewer;
  }

  /** Keeps texts and the texts they were begun from. */
  keep(id, base, texts) {
    keep(this.place(id), JSON.stringify({ base, texts }));
  }

  drop(id) {
    keep(this.place(id), null);
  }

  /** Leaves an edit: the texts outlive it until another card comes, for Esc is soon pressed. */
  setAside(id, draft) {
    this.putAside = draft ? { id, ...draft } : null;
    this.drop(id);
  }

  /** Forgets what was put aside for another card than this. */
  forget(id) {
    if (this.putAside?.id !== id) this.putAside = null;
  }

  /**
   * The draft of a card, on top of the texts that stand now: what the draft left as it was is taken from
   * those, so that saving it takes back nobody's change unseen. Null where there is none.
   */
  on(id, standing) {
    let draft = null;
    try {
      draft = JSON.parse(localStorage.getItem(this.place(id)));
    } catch {
      draft = null;
    }
    if (this.putAside?.id === id) draft ??= this.putAside;
    if (!draft?.texts) return null;
    const { base, texts } = draft;
    const merged = { ...standing };
    for (const field of Object.keys(texts)) {
      merged[field] = Array.isArray(texts[field])
        ? texts[field].map((text, index) => (base && text === base[field]?.[index] ? standing[field]?.[index] : text))
        : base && texts[field] === base[field] ? standing[field] : texts[field];
    }
    return merged;
  }
}
