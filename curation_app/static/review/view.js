// What the page shows: the card, the counts, the filters, the status line. It decides and asks nothing.

import { element, modalityWords, showCard, taskWords } from "./card.js";
import { lacksFont } from "./fonts.js";
import { number, plural } from "./counts.js";

const DONE = {
  accept: "accepted", reject: "rejected", edit: "edited and accepted", skip: "skipped", flag: "flagged",
  undo: "taken back", adjudicate: "settled",
};
const FILTER_LISTS = { language: "languages", task_type: "task_types", modality: "modalities" };
const FILTER_NAMES = { language: "language", task_type: "task", modality: "modality" };
const FILTER_WORDS = { task_type: taskWords, modality: modalityWords };

/** Filters with a list of their own, and the order in which samples that wait are shown. */
export const FILTERS = [...Object.keys(FILTER_LISTS), "order"];

export class View {
  constructor(root) {
    this.root = root;
    this.slots = byName(root.querySelectorAll("[data-slot]"), "slot");
    this.dialogs = byName(root.querySelectorAll("dialog"), "dialog");
    this.reasonLabel = (code) => code;
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
    const late = event.is_late ? " · your hold on it had ended, so it counts as one more opinion" : "";
    this.say("Saved · " + DONE[kind] + " · " + time + late, event.verdict === "reject" ? "reject" : "good");
    if (event.scores) this.showScores(event.scores);
  }

  offerRetry(isOffered, signIn = null) {
    this.slots.status.querySelector("[data-act=retry]").hidden = !isOffered;
    this.slots["sign-in"].hidden = !signIn;
    if (signIn) this.slots["sign-in"].href = signIn;
  }

  /** Says visibly that keys were not taken, and why; zero takes the words away. */
  refuse(numKeys, why) {
    this.slots.refused.textContent = numKeys
      ? (numKeys === 1 ? "Not taken: " : numKeys + " keys not taken: ") + why + "."
      : "";
    if (!numKeys) return;
    this.slots.status.classList.remove("ps-nudge");
    void this.slots.status.offsetWidth;
    this.slots.status.classList.add("ps-nudge");
  }

  /** The server's view: a card to read or the reason why there is none, and the counts. */
  show(view, filters) {
    const card = view.card;
    this.slots.reviewer.textContent = view.reviewer;
    this.slots.initial.textContent = Array.from(view.reviewer)[0].toUpperCase();
    this.showProgress(view);
    this.root.toggleAttribute("data-queue", view.queue !== null);
    this.root.dataset.task = view.queue?.mode ?? "card";
    this.slots.matching.textContent = view.queue
      ? number(view.queue.num_mine) + " by you"
      : plural(view.num_matching, "sample");
    this.slots.loading.hidden = true;
    const isReadable = card !== null && !card.problem;
    this.slots.card.hidden = !isReadable;
    this.slots.empty.hidden = isReadable;
    this.root.toggleAttribute("data-empty", !isReadable);
    this.root.toggleAttribute("data-none", card === null);
    this.slots.lease.textContent = view.is_open_elsewhere ? "Somebody else has this sample open." : "";
    if (isReadable) {
      this.showCard(card);
      this.showOwn(card);
      this.slots.early.hidden = !view.shown_early;
      this.slots.early.textContent = view.shown_early ?? "";
      this.slots.place.textContent = card.row === null ? "" : "№ " + number(card.row + 1) + " of " + number(view.counts.total);
    } else this.showEmpty(view, filters);
    for (const address of view.upcoming) new Image().src = new URL(address, document.baseURI).href;
    window.scrollTo({ top: 0 });
  }

  showCard(card) {
    showCard(this.slots, card);
    this.slots.conflict.hidden = true;
    this.slots.fonts.hidden = true;
    setTimeout(() => this.showFonts(card)); // canvas work, after the card is painted
  }

  /** Says where the browser can only draw boxes for the card's language. */
  showFonts(card) {
    const texts = card.sides.map((side) => side.text ?? "");
    this.slots.fonts.hidden = !lacksFont(texts);
    this.slots.fonts.textContent = "This browser has no font for " + card.language_name +
      ", so its letters are shown as boxes. Install one before you judge the text, or skip it.";
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
    const [title, text] = emptyWords(view, filters);
    this.slots["empty-title"].textContent = title;
    this.slots["empty-text"].textContent = text;
  }

  showOverview(overview, filters, queueId) {
    this.slots.version.textContent = overview.name + " " + overview.version;
    document.title = "Review · " + overview.name + " " + overview.version;
    for (const filter of Object.keys(FILTER_LISTS)) {
      this.fill(filter, "Any " + FILTER_NAMES[filter], overview[FILTER_LISTS[filter]].map(({ value, label, count }) =>
        [value, (FILTER_WORDS[filter]?.(value) ?? label) + " (" + number(count) + ")"]), filters[filter]);
    }
    this.fill("order", "Suspects first (" + number(overview.num_suspects) + ")", [["by_id", "By id"]], filters.order)
      .closest("label").hidden = !overview.num_suspects;
    const queues = overview.queues.map(({ value, label }) => [value, label]);
    if (queueId && !queues.some(([value]) => value === queueId)) queues.push([queueId, "A queue that is not open"]);
    this.fill("queue", "Everything", queues, queueId).closest("label").hidden = !queues.length;
    this.markStatus(filters.status);
  }

  fill(filter, any, options, chosen) {
    const select = this.root.querySelector("[data-filter=" + filter + "]");
    select.replaceChildren(...[["", any], ...options].map(([value, label]) => {
      const made = element("option", "", label);
      made.value = value;
      return made;
    }));
    select.value = chosen ?? "";
    return select;
  }

  hasStatus(status) {
    return Array.from(this.root.querySelectorAll("[data-status]")).some((tab) => tab.dataset.status === status);
  }

  markStatus(status) {
    for (const tab of this.root.querySelectorAll("[data-status]")) {
      tab.setAttribute("aria-pressed", tab.dataset.status === status);
    }
  }

  /** Sets the filters' choices back to where the page is. */
  markFilters({ filters, queueId }) {
    for (const filter of FILTERS) this.root.querySelector("[data-filter=" + filter + "]").value = filters[filter] ?? "";
    this.root.querySelector("[data-filter=queue]").value = queueId;
    this.markStatus(filters.status);
  }

  showProgress({ counts, queue }) {
    const [total, done] = queue ? [queue.num_items, queue.num_done] : [counts.total, counts.reviewed];
    const share = (count) => (total ? (100 * count) / total : 0) + "%";
    const bar = this.slots.progress.querySelector(".ps-bar");
    bar.setAttribute("aria-valuemax", total);
    bar.setAttribute("aria-valuenow", done);
    bar.children[0].style.width = share(queue ? done : counts.accepted);
    bar.children[1].style.width = share(queue ? 0 : counts.rejected);
    this.slots.progress.querySelector(".ps-progress-text").textContent =
      number(done) + " of " + number(total) + (queue ? " done in this queue" : " reviewed");
    this.slots.progress.title = queue
      ? plural(queue.overlap, "reviewer") + " for each sample"
      : number(counts.accepted) + " accepted (" + number(counts.edited) + " edited), " + number(counts.rejected) + " rejected, " + number(counts.flagged) + " flagged";
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

  /** Says whether an accept may be given yet; `unviewed` names what has not been in view. */
  allowAccept(unviewed) {
    const button = this.root.querySelector("[data-act=accept]");
    button.disabled = unviewed !== null;
    button.title = unviewed === null ? "" : "Look at " + unviewed + " first";
  }

  hasBrokenImage() {
    return this.slots.card.querySelector(".ps-broken") !== null;
  }

  openDialog() {
    return Object.values(this.dialogs).find((dialog) => dialog.open);
  }

  useTheme(theme) {
    if (theme) document.body.classList.toggle("dark", theme === "dark");
  }
}

function emptyWords(view, filters) {
  if (view.card?.problem) return ["This row cannot be shown", view.card.problem];
  if (view.queue) {
    const isDone = view.queue.num_done >= view.queue.num_items;
    return isDone
      ? ["This queue is done", "Every sample has its " + plural(view.queue.overlap, "verdict") + "."]
      : ["Nothing left for you in this queue", "What is left is open at other reviewers, in languages you do not read, or decided by you."];
  }
  if (view.num_matching > 0) return ["Others are at work on these", "Each sample that is left here is open at another reviewer. Choose other samples above, or come back in a few minutes."];
  const isDone = filters.status === "unreviewed" && view.num_in_filter > 0;
  return isDone
    ? ["Nothing left to review here", doneWords(view)]
    : ["No such samples", "Choose another status, language, task or modality above."];
}

function doneWords({ num_in_filter: total, num_decided: decided, num_skipped: skipped, counts }) {
  const flagged = total - decided - skipped;
  const waiting = [
    skipped && number(skipped) + " skipped by you: they wait under Skipped",
    flagged && number(flagged) + " flagged: they wait under Flagged",
  ].filter(Boolean);
  const here = waiting.length
    ? [number(decided) + " decided", ...waiting].join(", ") + "."
    : (total === 1 ? "It is decided." : "All " + number(total) + " are decided.");
  const elsewhere = counts.total - counts.reviewed - skipped - flagged;
  return here + (elsewhere > 0 ? " " + plural(elsewhere, "sample") + " elsewhere: choose another language, task or modality above." : "");
}

function byName(elements, key) {
  return Object.fromEntries(Array.from(elements, (found) => [found.dataset[key], found]));
}
