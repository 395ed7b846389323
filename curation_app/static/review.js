// The review page: opens cards, takes verdicts by button and key, says "saved" once the store has them.

import { editCard, editedTexts, element, modalityWords, showCard, taskWords } from "./card.js";
import { actOf, digitOf } from "./keys.js";
import { Outbox, ask, keep } from "./outbox.js";

const COOKIE = "polyscene_reviewer";
const FILTERS = ["language", "task_type", "modality"];
const DONE = { accept: "accepted", reject: "rejected", edit: "edited and accepted", skip: "skipped", flag: "flagged", undo: "taken back" };

/** Brings the page to life inside the shell that Gradio has put in `host`. */
export function start(host, server) {
  new ReviewPage(host.querySelector(".ps"), server).begin();
}

class ReviewPage {
  constructor(root, server) {
    this.root = root;
    this.server = server;
    this.slots = Object.fromEntries(
      Array.from(root.querySelectorAll("[data-slot]"), (slot) => [slot.dataset.slot, slot]),
    );
    this.dialogs = Object.fromEntries(
      Array.from(root.querySelectorAll("dialog"), (dialog) => [dialog.dataset.dialog, dialog]),
    );
    this.filters = { status: "unreviewed" };
    this.card = null;
    this.mode = "loading";
    this.outbox = new Outbox(server, (isUnsaved) => this.showUnsaved(isUnsaved));
  }

  async begin() {
    this.useTheme(localStorage.getItem("polyscene.theme"));
    this.listen();
    const asked = new URLSearchParams(location.search);
    for (const name of [...FILTERS, "status"]) if (asked.get(name)) this.filters[name] = asked.get(name);
    await this.open({ sample_id: asked.get("sample"), step: "here" });
  }

  // Opening and showing

  async open(where) {
    this.setMode("sending");
    const answer = await ask(this.server, "open_card", { filters: this.filters, ...where });
    if (answer === undefined || answer === null) {
      this.say("The server does not answer. Is it still running?", "bad");
      this.slots.status.querySelector("[data-act=retry]").hidden = false;
      this.reopen = where;
      this.setMode("unsaved");
      return;
    }
    this.reopen = null;
    this.slots.status.querySelector("[data-act=retry]").hidden = true;
    if (answer.needs_reviewer) {
      this.showOverview(answer.overview);
      this.askName();
      return;
    }
    if (answer.overview) this.showOverview(answer.overview);
    if (answer.reasons) this.showReasons(answer.reasons);
    if (answer.error) {
      this.say(answer.error, "bad");
      this.setMode("reading");
      return;
    }
    this.outbox.open(this.version, answer.reviewer);
    const left = this.outbox.left();
    this.show(answer);
    for (const { act, message } of left) await this.act(act, message);
  }

  show(view) {
    this.card = view.card;
    this.reviewer = view.reviewer;
    this.slots.reviewer.textContent = view.reviewer;
    this.slots.initial.textContent = Array.from(view.reviewer)[0].toUpperCase();
    this.showProgress(view.counts);
    this.slots.matching.textContent = plural(view.num_matching, "sample");
    this.slots.loading.hidden = true;
    const isReadable = this.card !== null && !this.card.problem;
    this.slots.card.hidden = !isReadable;
    this.slots.empty.hidden = isReadable;
    this.root.toggleAttribute("data-empty", !isReadable);
    if (isReadable) {
      showCard(this.slots, this.card);
      this.showOwn();
      this.slots.place.textContent = "№ " + number(this.card.row + 1) + " of " + number(view.counts.total);
    } else this.showEmpty(view.num_in_filter);
    this.setMode("reading");
    this.remember();
    this.shownAt = performance.now();
    this.hiddenMs = 0;
    for (const address of view.upcoming) new Image().src = new URL(address, document.baseURI).href;
    window.scrollTo({ top: 0 });
  }

  showOwn() {
    const own = this.card.own;
    this.slots.own.replaceChildren();
    if (!own) return;
    const tone = own.verdict ?? "skip";
    const label = element("span", "ps-verdict ps-verdict-" + tone, "You " + (DONE[own.kind === "edit" ? "edit" : own.verdict] ?? "skipped") + " this");
    this.slots.own.append(label);
    if (own.reasons.length) this.slots.own.append(element("span", "ps-dim", own.reasons.map((code) => this.reasonLabel(code)).join(" · ")));
    if (this.card.scores) this.showScores(this.card.scores);
  }

  showEmpty(numInFilter) {
    this.slots.place.textContent = "";
    if (this.card?.problem) {
      this.slots["empty-title"].textContent = "This row cannot be shown";
      this.slots["empty-text"].textContent = this.card.problem;
      return;
    }
    const isDone = this.filters.status === "unreviewed" && numInFilter > 0;
    this.slots["empty-title"].textContent = isDone ? "Nothing left to review here" : "No such samples";
    this.slots["empty-text"].textContent = isDone
      ? "All " + number(numInFilter) + " are decided or skipped. Choose another language, task or modality above."
      : "Choose another status, language, task or modality above.";
  }

  showOverview(overview) {
    this.version = overview.name + "@" + overview.version;
    this.slots.version.textContent = overview.name + " " + overview.version;
    document.title = "Review · " + overview.name + " " + overview.version;
    const words = { task_types: taskWords, modalities: modalityWords };
    for (const [filter, list] of [["language", "languages"], ["task_type", "task_types"], ["modality", "modalities"]]) {
      const select = this.root.querySelector("[data-filter=" + filter + "]");
      const any = element("option", "", "Any");
      any.value = "";
      const options = overview[list].map((option) => {
        const label = words[list] ? words[list](option.value) : option.label;
        const made = element("option", "", label + " (" + number(option.count) + ")");
        made.value = option.value;
        return made;
      });
      select.replaceChildren(any, ...options);
      select.value = this.filters[filter] ?? "";
    }
    this.markStatus();
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

  say(text, tone) {
    this.slots.status.dataset.tone = tone;
    this.slots.status.querySelector(".ps-status-text").textContent = text;
    this.slots.scores.hidden = true;
    this.slots.scores.open = false;
  }

  showUnsaved(isUnsaved) {
    this.slots.status.querySelector("[data-act=retry]").hidden = !isUnsaved;
    if (!isUnsaved) return;
    this.setMode("unsaved");
    this.say("Not saved: the server does not answer. Kept in this browser and tried again.", "bad");
  }

  setMode(mode) {
    this.mode = mode;
    this.root.dataset.mode = mode;
  }

  // Acting

  /** Sends an act and shows what the server answers; a refused one leaves the card as it was. */
  async act(act, message) {
    this.setMode("sending");
    const slow = setTimeout(() => this.say("Saving …", "calm"), 300);
    const answer = await this.outbox.send(act, message);
    clearTimeout(slow);
    if (answer.needs_reviewer) {
      this.askName();
      return;
    }
    if (answer.error) {
      if (answer.is_conflict) await this.open({ sample_id: message.sample_id, step: "here" });
      this.setMode(this.slots.card.querySelector(".ps-area") ? "editing" : "reading");
      this.say(this.blame(answer) ?? answer.error, "bad");
      return;
    }
    keep(this.draftKey(answer.saved.sample_id), null);
    this.show(answer);
    const kind = answer.saved.kind === "verdict" ? answer.saved.verdict : answer.saved.kind;
    const time = new Date(answer.saved.ts).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    this.say("Saved · " + DONE[kind] + " · " + time, kind === "reject" ? "reject" : "good");
    if (answer.saved.scores) this.showScores(answer.saved.scores);
  }

  /** Marks the text area an answer objects to; returns the objection with the name it has here. */
  blame({ field, what }) {
    const area = field ? this.slots.card.querySelector('[data-edits="' + CSS.escape(field) + '"]') : null;
    if (!area) return null;
    area.setAttribute("aria-invalid", "true");
    area.focus();
    return area.getAttribute("aria-label") + " " + what;
  }

  decide(kind, rest = {}) {
    return this.act("decide", {
      event_id: newId(),
      sample_id: this.card.id,
      content_hash: this.card.content_hash,
      kind,
      seen: this.card.seen,
      ms_active: Math.round(performance.now() - this.shownAt - this.hiddenMs),
      filters: this.filters,
      ...rest,
    });
  }

  run(act) {
    if (act === "retry") return this.reopen ? this.open(this.reopen) : this.outbox.retryNow();
    if (act === "theme") return this.useTheme(document.body.classList.contains("dark") ? "light" : "dark", true);
    if (act === "help") return this.dialogs.help.showModal();
    if (act === "close") return this.openDialog()?.close();
    if (act === "set-name") return this.setName();
    if (act === "confirm") return this.confirmWhy();
    if (this.outbox.isBusy || this.mode === "sending" || this.mode === "unsaved") return this.refuse();
    if (act === "name") return this.askName();
    if (act === "undo" && this.mode === "reading") return this.act("undo", { event_id: newId(), filters: this.filters });
    if (this.mode === "editing") return act === "save" ? this.saveEdit() : act === "cancel" ? this.cancelEdit() : undefined;
    if (this.mode !== "reading" || !this.card) return undefined;
    if (act === "next" || act === "previous") {
      this.say("", "calm");
      return this.open({ sample_id: this.card.id, step: act });
    }
    if (this.card.problem) return undefined;
    if (act === "accept") return this.accept();
    if (act === "reject" || act === "flag") return this.askWhy(act);
    if (act === "skip") return this.decide("skip");
    if (act === "edit") return this.edit();
    if (act === "link") return this.copyLink();
    return undefined;
  }

  accept() {
    if (this.slots.card.querySelector(".ps-broken")) {
      this.say("An image is broken: reject it (R) or skip it (S).", "bad");
      return undefined;
    }
    return this.decide("verdict", { verdict: "accept" });
  }

  /** Says visibly that a key was not taken, because the last act is still on its way. */
  refuse() {
    this.slots.status.classList.remove("ps-nudge");
    void this.slots.status.offsetWidth;
    this.slots.status.classList.add("ps-nudge");
  }

  askWhy(act) {
    this.why = act;
    const isReject = act === "reject";
    this.slots["why-title"].textContent = isReject ? "Why reject it?" : "Flag for a second look";
    this.slots["why-confirm"].textContent = isReject ? "Reject" : "Flag";
    this.slots["why-hint"].textContent = "";
    this.slots.reasons.hidden = !isReject;
    this.slots.note.value = "";
    for (const box of this.slots.reasons.querySelectorAll("input")) {
      box.checked = isReject && box.value === "broken_image" && this.slots.card.querySelector(".ps-broken") !== null;
    }
    this.dialogs.why.showModal();
    if (isReject) this.dialogs.why.querySelector("h2").focus();
    else this.slots.note.focus();
  }

  confirmWhy() {
    const reasons = Array.from(this.slots.reasons.querySelectorAll("input:checked"), (box) => box.value);
    const note = this.slots.note.value.trim();
    if (this.why === "reject" && !reasons.length) {
      this.slots["why-hint"].textContent = "Choose at least one reason.";
      return undefined;
    }
    if ((this.why === "flag" || reasons.includes("other")) && !note) {
      this.slots["why-hint"].textContent = "Say in the note what it is.";
      this.slots.note.focus();
      return undefined;
    }
    this.dialogs.why.close();
    return this.why === "reject" ? this.decide("verdict", { verdict: "reject", reasons, note }) : this.decide("flag", { note });
  }

  edit() {
    let draft = null;
    try {
      draft = JSON.parse(localStorage.getItem(this.draftKey(this.card.id)));
    } catch {
      draft = null;
    }
    editCard(this.slots.card, this.card, draft);
    this.setMode("editing");
    this.say(draft ? "Your unsaved draft is back." : "", "calm");
    const areas = Array.from(this.slots.card.querySelectorAll(".ps-area"));
    for (const area of areas) fit(area);
    (areas[1] ?? areas[0]).focus();
  }

  saveEdit() {
    return this.decide("edit", { verdict: "accept", texts: editedTexts(this.slots.card) });
  }

  cancelEdit() {
    keep(this.draftKey(this.card.id), null);
    showCard(this.slots, this.card);
    this.setMode("reading");
    this.say("", "calm");
  }

  draftKey(sampleId) {
    return "polyscene.draft." + this.version + "." + sampleId + "." + this.reviewer;
  }

  async copyLink() {
    await navigator.clipboard?.writeText(location.href).catch(() => undefined);
    this.say("Link copied.", "calm");
  }

  // The reviewer, the theme, the address

  askName() {
    this.setMode("reading");
    this.slots.name.value = this.reviewer ?? "";
    this.dialogs.who.showModal();
    this.slots.name.focus();
  }

  setName() {
    const name = this.slots.name.value.trim().replace(/\s+/g, " ");
    if (!name) return;
    document.cookie = COOKIE + "=" + encodeURIComponent(name) + "; path=/; max-age=31536000; samesite=strict";
    this.dialogs.who.close();
    this.open({ sample_id: this.card?.id ?? new URLSearchParams(location.search).get("sample"), step: "here" });
  }

  useTheme(theme, isChosen = false) {
    if (theme) document.body.classList.toggle("dark", theme === "dark");
    if (isChosen) keep("polyscene.theme", theme);
  }

  remember() {
    const address = new URL(location.href);
    for (const name of [...FILTERS, "status", "sample"]) address.searchParams.delete(name);
    if (this.card) address.searchParams.set("sample", this.card.id);
    for (const name of FILTERS) if (this.filters[name]) address.searchParams.set(name, this.filters[name]);
    if (this.filters.status !== "unreviewed") address.searchParams.set("status", this.filters.status);
    history.replaceState(history.state, "", address);
  }

  markStatus() {
    for (const tab of this.root.querySelectorAll("[data-status]")) {
      tab.setAttribute("aria-pressed", tab.dataset.status === this.filters.status);
    }
  }

  setFilter(name, value) {
    if (this.outbox.isBusy || this.mode === "editing") return this.refuse();
    if (value) this.filters[name] = value;
    else delete this.filters[name];
    this.markStatus();
    this.say("", "calm");
    return this.open({});
  }

  reasonLabel(code) {
    return this.reasons?.find((reason) => reason.code === code)?.label ?? code;
  }

  openDialog() {
    return Object.values(this.dialogs).find((dialog) => dialog.open);
  }

  // Listening

  listen() {
    this.root.addEventListener("click", (event) => this.onClick(event));
    this.root.addEventListener("change", (event) => {
      const filter = event.target.dataset?.filter;
      if (filter) this.setFilter(filter, event.target.value);
    });
    this.root.addEventListener("input", (event) => {
      if (!event.target.classList.contains("ps-area")) return;
      fit(event.target);
      event.target.removeAttribute("aria-invalid");
      keep(this.draftKey(this.card.id), JSON.stringify(editedTexts(this.slots.card)));
    });
    this.dialogs.who.addEventListener("cancel", (event) => {
      if (!this.reviewer) event.preventDefault();
    });
    document.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.hiddenAt = performance.now();
      else this.hiddenMs += performance.now() - (this.hiddenAt ?? performance.now());
    });
  }

  onClick(event) {
    const tab = event.target.closest("[data-status]");
    if (tab) return this.setFilter("status", tab.dataset.status);
    const button = event.target.closest("[data-act]");
    if (!button) return undefined;
    if (button.dataset.act !== "zoom") return this.run(button.dataset.act);
    this.slots.zoomed.src = button.querySelector("img").src;
    return this.dialogs.zoom.showModal();
  }

  onKey(event) {
    const dialog = this.openDialog();
    if (dialog) return this.onDialogKey(dialog, event);
    if (this.mode === "editing") {
      const isSave = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      if (isSave || (event.key === "Escape" && !event.isComposing)) {
        event.preventDefault();
        return this.run(isSave ? "save" : "cancel");
      }
      return undefined;
    }
    const act = actOf(event);
    if (!act) return undefined;
    event.preventDefault();
    return this.run(act);
  }

  onDialogKey(dialog, event) {
    if (event.key === "Enter" && !event.isComposing && !event.shiftKey && event.target.tagName !== "BUTTON") {
      event.preventDefault();
      if (dialog === this.dialogs.why) return this.confirmWhy();
      if (dialog === this.dialogs.who) return this.setName();
      return dialog.close();
    }
    const digit = dialog === this.dialogs.why ? digitOf(event) : null;
    const box = digit === null ? null : this.slots.reasons.querySelectorAll("input")[digit];
    if (box && !this.slots.reasons.hidden) {
      event.preventDefault();
      box.checked = !box.checked;
      this.slots["why-hint"].textContent = "";
    }
    return undefined;
  }
}

function fit(area) {
  area.style.height = "auto";
  area.style.height = area.scrollHeight + 2 + "px";
}

function number(value) {
  return value.toLocaleString("en");
}

function plural(count, noun) {
  return number(count) + " " + noun + (count === 1 ? "" : "s");
}

// Not crypto.randomUUID: pages without TLS under a name other than localhost lack it.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
