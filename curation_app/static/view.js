// What the page shows: the card, the counts, the filters, the status line. It decides and asks nothing.

import { element, modalityWords, showCard, taskWords } from "./card.js";

const DONE = { accept: "accepted", reject: "rejected", edit: "edited and accepted", skip: "skipped", flag: "flagged", undo: "taken back" };
const FILTER_LISTS = { language: "languages", task_type: "task_types", modality: "modalities" };
const FILTER_NAMES = { language: "language", task_type: "task", modality: "modality" };
const FILTER_WORDS = { task_type: taskWords, modality: modalityWords };

export const FILTERS = Object.keys(FILTER_LISTS);

export class View {
  constructor(root) {
    this.root = root;
    this.slots = byName(root.querySelectorAll("[data-slot]"), "slot");
    this.dialogs = byName(root.querySelectorAll("dialog"), "dialog");
    this.reasons = [];
  }

  setMode(mode) {
    this.root.dataset.mode = mode;
  }

  /** One line on how things stand; machine scores of what came before go with it. */
  say(text, tone) {
    this.slots.status.dataset.tone = tone;
    this.slots.status.querySelector(".ps-status-text").textContent = text;
    this.slots.scores.hidden = true;
    this.slots.scores.open = false;
  }

  saySaved(event) {
    const kind = event.kind === "verdict" ? event.verdict : event.kind;
    const time = new Date(event.ts).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    this.say("Saved · " + DONE[kind] + " · " + time, kind === "reject" ? "reject" : "good");
    if (event.scores) this.showScores(event.scores);
  }

  offerRetry(isOffered) {
    this.slots.status.querySelector("[data-act=retry]").hidden = !isOffered;
  }

  /** Says visibly that a key was not taken. */
  nudge() {
    this.slots.status.classList.remove("ps-nudge");
    void this.slots.status.offsetWidth;
    this.slots.status.classList.add("ps-nudge");
  }

  /** The server's view: a card to read or the reason why there is none, and the counts. */
  show(view, filters) {
    const card = view.card;
    this.slots.reviewer.textContent = view.reviewer;
    this.slots.initial.textContent = Array.from(view.reviewer)[0].toUpperCase();
    this.showProgress(view.counts);
    this.slots.matching.textContent = plural(view.num_matching, "sample");
    this.slots.loading.hidden = true;
    const isReadable = card !== null && !card.problem;
    this.slots.card.hidden = !isReadable;
    this.slots.empty.hidden = isReadable;
    this.root.toggleAttribute("data-empty", !isReadable);
    this.root.toggleAttribute("data-none", card === null);
    if (isReadable) {
      this.showCard(card);
      this.showOwn(card);
      this.slots.place.textContent = "№ " + number(card.row + 1) + " of " + number(view.counts.total);
    } else this.showEmpty(view, filters);
    for (const address of view.upcoming) new Image().src = new URL(address, document.baseURI).href;
    window.scrollTo({ top: 0 });
  }

  showCard(card) {
    showCard(this.slots, card);
  }

  showOwn(card) {
    const own = card.own;
    this.slots.own.replaceChildren();
    if (!own) return;
    const tone = own.verdict ?? "skip";
    const label = element("span", "ps-verdict ps-verdict-" + tone, "You " + (DONE[own.kind === "edit" ? "edit" : own.verdict] ?? "skipped") + " this");
    this.slots.own.append(label);
    if (own.reasons.length) this.slots.own.append(element("span", "ps-dim", own.reasons.map((code) => this.reasonLabel(code)).join(" · ")));
    if (card.scores) this.showScores(card.scores);
  }

  showEmpty(view, filters) {
    this.slots.place.textContent = "";
    if (view.card?.problem) {
      this.slots["empty-title"].textContent = "This row cannot be shown";
      this.slots["empty-text"].textContent = view.card.problem;
      return;
    }
    const isDone = filters.status === "unreviewed" && view.num_in_filter > 0;
    this.slots["empty-title"].textContent = isDone ? "Nothing left to review here" : "No such samples";
    this.slots["empty-text"].textContent = isDone
      ? doneWords(view)
      : "Choose another status, language, task or modality above.";
  }

  showOverview(overview, filters) {
    this.slots.version.textContent = overview.name + " " + overview.version;
    document.title = "Review · " + overview.name + " " + overview.version;
    for (const filter of FILTERS) {
      const select = this.root.querySelector("[data-filter=" + filter + "]");
      const any = element("option", "", "Any " + FILTER_NAMES[filter]);
      any.value = "";
      const options = overview[FILTER_LISTS[filter]].map((option) => {
        const label = FILTER_WORDS[filter]?.(option.value) ?? option.label;
        const made = element("option", "", label + " (" + number(option.count) + ")");
        made.value = option.value;
        return made;
      });
      select.replaceChildren(any, ...options);
      select.value = filters[filter] ?? "";
    }
    this.markStatus(filters.status);
  }

  hasStatus(status) {
    return Array.from(this.root.querySelectorAll("[data-status]")).some((tab) => tab.dataset.status === status);
  }

  markStatus(status) {
    for (const tab of this.root.querySelectorAll("[data-status]")) {
      tab.setAttribute("aria-pressed", tab.dataset.status === status);
    }
  }

  showReasons(reasons) {
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

  reasonLabel(code) {
    return this.reasons.find((reason) => reason.code === code)?.label ?? code;
  }

  showProgress(counts) {
    const share = (count) => (counts.total ? (100 * count) / counts.total : 0) + "%";
    const bar = this.slots.progress.querySelector(".ps-bar");
    bar.setAttribute("aria-valuemax", counts.total);
    bar.setAttribute("aria-valuenow", counts.reviewed);
    bar.children[0].style.width = share(counts.accepted);
    bar.children[1].style.width = share(counts.rejected);
    this.slots.progress.querySelector(".ps-progress-text").textContent =
      number(counts.reviewed) + " of " + number(counts.total) + " reviewed";
    this.slots.progress.title =
      number(counts.accepted) + " accepted (" + number(counts.edited) + " edited), " + number(counts.rejected) + " rejected";
  }

  showScores(scores) {
    const entries = Object.entries(scores).filter(([, score]) => score !== null);
    const list = this.slots.scores.querySelector("dl");
    list.replaceChildren(...entries.map(([name, score]) => {
      const row = element("div");
      row.append(element("dt", "", name), element("dd", "", name === "alignment" ? score.toFixed(2) : score + " of 5"));
      return row;
    }));
    this.slots.scores.hidden = false;
  }

  /** The dialog for reasons and note: of a reject, or, with a note alone, of a flag. */
  showWhy(isReject) {
    this.slots["why-title"].textContent = isReject ? "Why reject it?" : "Flag for a second look";
    this.slots["why-confirm"].textContent = isReject ? "Reject" : "Flag";
    this.slots["why-hint"].textContent = "";
    this.slots.reasons.hidden = !isReject;
    this.slots.note.value = "";
    for (const box of this.slots.reasons.querySelectorAll("input")) {
      box.checked = isReject && box.value === "broken_image" && this.hasBrokenImage();
    }
    this.dialogs.why.showModal();
    if (isReject) this.dialogs.why.querySelector("h2").focus();
    else this.slots.note.focus();
  }

  hintWhy(text) {
    this.slots["why-hint"].textContent = text;
  }

  checkedReasons() {
    return Array.from(this.slots.reasons.querySelectorAll("input:checked"), (box) => box.value);
  }

  toggleReason(index) {
    const box = this.slots.reasons.hidden ? null : this.slots.reasons.querySelectorAll("input")[index];
    if (!box) return false;
    box.checked = !box.checked;
    this.hintWhy("");
    return true;
  }

  hasBrokenImage() {
    return this.slots.card.querySelector(".ps-broken") !== null;
  }

  /** Marks the text area an answer objects to; returns the objection with the name it has here. */
  blame({ field, what }) {
    const area = field ? this.slots.card.querySelector('[data-edits="' + CSS.escape(field) + '"]') : null;
    if (!area) return null;
    area.setAttribute("aria-invalid", "true");
    enter(area);
    return area.getAttribute("aria-label") + " " + what;
  }

  /** The text areas of the card, while it is edited. */
  areas() {
    return Array.from(this.slots.card.querySelectorAll(".ps-area"));
  }

  zoom(image) {
    this.slots.zoomed.src = image.src;
    this.dialogs.zoom.showModal();
  }

  openDialog() {
    return Object.values(this.dialogs).find((dialog) => dialog.open);
  }

  useTheme(theme) {
    if (theme) document.body.classList.toggle("dark", theme === "dark");
  }
}

function doneWords({ num_in_filter: total, num_skipped: skipped, counts }) {
  const decided = total - skipped;
  const here = skipped
    ? number(decided) + " decided, " + number(skipped) + " skipped by you: they wait under Skipped."
    : (total === 1 ? "It is decided." : "All " + number(total) + " are decided.");
  const elsewhere = counts.total - counts.reviewed - skipped;
  return here + (elsewhere > 0 ? " " + plural(elsewhere, "sample") + " elsewhere: choose another language, task or modality above." : "");
}

/** Makes a text area as high as its text. */
export function fit(area) {
  area.style.height = "auto";
  area.style.height = area.scrollHeight + 2 + "px";
}

/** Puts the cursor into a text area, clear of the action bar that covers the page's foot. */
export function enter(area) {
  area.focus();
  area.scrollIntoView({ block: "nearest" });
}

function byName(elements, key) {
  return Object.fromEntries(Array.from(elements, (found) => [found.dataset[key], found]));
}

function number(value) {
  return value.toLocaleString("en");
}

function plural(count, noun) {
  return number(count) + " " + noun + (count === 1 ? "" : "s");
}
