// The review page acts: opens cards, takes verdicts by button and key, says "saved" once the store has them.

import { editCard, editedTexts } from "./card.js";
import { actOf, digitOf } from "./keys.js";
import { Outbox, ask, keep } from "./outbox.js";
import { FILTERS, View, enter, fit } from "./view.js";

const COOKIE = "polyscene_reviewer";

/** Brings the page to life inside the shell that Gradio has put in `host`. */
export function start(host, server) {
  new ReviewPage(host.querySelector(".ps"), server).begin();
}

class ReviewPage {
  constructor(root, server) {
    this.root = root;
    this.server = server;
    this.view = new View(root);
    this.filters = { status: "unreviewed" };
    this.card = null;
    this.setMode("loading");
    this.outbox = new Outbox(server, (isUnsaved) => this.onUnsaved(isUnsaved));
  }

  async begin() {
    this.view.useTheme(localStorage.getItem("polyscene.theme"));
    this.listen();
    const asked = new URLSearchParams(location.search);
    for (const name of FILTERS) if (asked.get(name)) this.filters[name] = asked.get(name);
    if (this.view.hasStatus(asked.get("status"))) this.filters.status = asked.get("status");
    await this.open({ sample_id: asked.get("sample"), step: "here" });
  }

  setMode(mode) {
    this.mode = mode;
    this.view.setMode(mode);
  }

  // Opening

  async open(where) {
    this.setMode("sending");
    const answer = await ask(this.server, "open_card", { filters: this.filters, ...where });
    const isAnswered = answer !== undefined && answer !== null;
    this.reopen = isAnswered ? null : where;
    this.view.offerRetry(!isAnswered);
    if (!isAnswered) {
      this.view.say("The server does not answer. Is it still running?", "bad");
      this.setMode("unsaved");
      return;
    }
    if (answer.overview) {
      this.version = answer.overview.name + "@" + answer.overview.version;
      this.view.showOverview(answer.overview, this.filters);
    }
    if (answer.needs_reviewer) {
      this.askName(this.nameGiven);
      return;
    }
    this.nameGiven = "";
    if (answer.reasons) this.view.showReasons(answer.reasons);
    if (answer.error) {
      this.view.say(answer.error, "bad");
      this.setMode("reading");
      return;
    }
    this.outbox.open(this.version, answer.reviewer);
    const left = this.outbox.left();
    this.show(answer);
    if (answer.is_absent) this.view.say("The sample asked for is not in this version; here is another.", "bad");
    for (const { act, message } of left) await this.act(act, message);
  }

  show(answer) {
    if (answer.card?.id !== this.card?.id) this.putAside = null;
    this.card = answer.card;
    this.reviewer = answer.reviewer;
    this.view.show(answer, this.filters);
    this.setMode("reading");
    this.remember();
    this.shownAt = performance.now();
    this.hiddenMs = 0;
    if (document.hidden) this.hiddenAt = this.shownAt;
  }

  /** Keeps sample and filters in the address, so that a reload or a link comes back here. */
  remember() {
    const address = new URL(location.href);
    for (const name of [...FILTERS, "status", "sample"]) address.searchParams.delete(name);
    if (this.card) address.searchParams.set("sample", this.card.id);
    for (const name of FILTERS) if (this.filters[name]) address.searchParams.set(name, this.filters[name]);
    if (this.filters.status !== "unreviewed") address.searchParams.set("status", this.filters.status);
    history.replaceState(history.state, "", address);
  }

  setFilter(name, value) {
    if (this.outbox.isBusy || this.mode === "editing") return this.view.nudge();
    if (value) this.filters[name] = value;
    else delete this.filters[name];
    this.view.markStatus(this.filters.status);
    this.view.say("", "calm");
    return this.open({});
  }

  // Sending

  /** Sends an act and shows what the server answers; a refused one leaves the card as it was. */
  async act(act, message) {
    this.setMode("sending");
    const slow = setTimeout(() => this.view.say("Saving …", "calm"), 300);
    const answer = await this.outbox.send(act, message);
    clearTimeout(slow);
    if (answer.needs_reviewer) {
      this.askName();
      return;
    }
    if (answer.error) {
      if (answer.is_conflict) await this.open({ sample_id: message.sample_id ?? this.card?.id, step: "here" });
      this.setMode(this.view.areas().length ? "editing" : "reading");
      this.view.say(this.view.blame(answer) ?? answer.error, "bad");
      return;
    }
    keep(this.draftKey(answer.saved.sample_id), null);
    this.show(answer);
    this.view.saySaved(answer.saved);
  }

  decide(kind, rest = {}) {
    return this.send("decide", {
      sample_id: this.card.id,
      content_hash: this.card.content_hash,
      kind,
      seen: this.card.seen,
      ms_active: Math.round(performance.now() - this.shownAt - this.hiddenMs),
      ...rest,
    });
  }

  /** Makes an act of the reviewer this page names, whoever the browser's cookie names by then. */
  send(act, rest) {
    return this.act(act, { event_id: newId(), reviewer: this.reviewer, filters: this.filters, ...rest });
  }

  onUnsaved(isUnsaved) {
    this.view.offerRetry(isUnsaved);
    if (!isUnsaved) return;
    this.setMode("unsaved");
    this.view.say("Not saved: the server does not answer. Kept in this browser and tried again.", "bad");
  }

  // Acts

  run(act) {
    if (act === "retry") return this.reopen ? this.open(this.reopen) : this.outbox.retryNow();
    if (act === "theme") return this.switchTheme();
    if (act === "help") return this.view.dialogs.help.showModal();
    if (act === "close") return this.view.openDialog()?.close();
    if (act === "set-name") return this.setName();
    if (act === "confirm") return this.confirmWhy();
    if (this.outbox.isBusy || this.mode === "sending" || this.mode === "unsaved") return this.view.nudge();
    if (act === "name") return this.askName();
    if (act === "undo" && this.mode === "reading") return this.send("undo", {});
    if (this.mode === "editing") return act === "save" ? this.saveEdit() : act === "cancel" ? this.cancelEdit() : undefined;
    if (this.mode !== "reading" || !this.card) return undefined;
    if (act === "next" || act === "previous") {
      this.view.say("", "calm");
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
    if (this.view.hasBrokenImage()) {
      this.view.say("An image is broken: reject it (R) or skip it (S).", "bad");
      return undefined;
    }
    return this.decide("verdict", { verdict: "accept" });
  }

  askWhy(act) {
    this.why = act;
    this.view.showWhy(act === "reject");
  }

  confirmWhy() {
    const reasons = this.view.checkedReasons();
    const note = this.view.slots.note.value.trim();
    if (this.why === "reject" && !reasons.length) return this.view.hintWhy("Choose at least one reason.");
    if ((this.why === "flag" || reasons.includes("other")) && !note) {
      this.view.hintWhy("Say in the note what it is.");
      return this.view.slots.note.focus();
    }
    this.view.dialogs.why.close();
    return this.why === "reject" ? this.decide("verdict", { verdict: "reject", reasons, note }) : this.decide("flag", { note });
  }

  edit() {
    let draft = null;
    try {
      draft = JSON.parse(localStorage.getItem(this.draftKey(this.card.id)));
    } catch {
      draft = null;
    }
    if (this.putAside?.id === this.card.id) draft ??= this.putAside.texts;
    editCard(this.view.slots.card, this.card, draft);
    this.editBegan = JSON.stringify(editedTexts(this.view.slots.card));
    this.setMode("editing");
    this.view.say(draft ? "Your unsaved text is back. Esc drops it." : "", "calm");
    const areas = this.view.areas();
    for (const area of areas) fit(area);
    enter(areas[1] ?? areas[0]);
  }

  saveEdit() {
    return this.decide("edit", { verdict: "accept", texts: editedTexts(this.view.slots.card) });
  }

  /** Leaves the edit; what was written is put aside until another card comes, for Esc is soon pressed. */
  cancelEdit() {
    const texts = editedTexts(this.view.slots.card);
    const isChanged = JSON.stringify(texts) !== this.editBegan;
    this.putAside = isChanged ? { id: this.card.id, texts } : null;
    keep(this.draftKey(this.card.id), null);
    this.view.showCard(this.card);
    this.setMode("reading");
    this.view.say(isChanged ? "Not saved. E brings your text back." : "", "calm");
  }

  draftKey(sampleId) {
    return "polyscene.draft." + this.version + "." + sampleId + "." + this.reviewer;
  }

  async copyLink() {
    await navigator.clipboard?.writeText(location.href).catch(() => undefined);
    this.view.say("Link copied.", "calm");
  }

  switchTheme() {
    const theme = document.body.classList.contains("dark") ? "light" : "dark";
    this.view.useTheme(theme);
    keep("polyscene.theme", theme);
  }

  /** Asks who is reviewing; a name that was given and not taken is said to be none. */
  askName(refused = "") {
    this.setMode("reading");
    this.view.slots.name.value = refused || (this.reviewer ?? "");
    this.view.slots["who-hint"].textContent = refused ? "Give 1 to 80 letters that can be seen." : "";
    this.view.dialogs.who.showModal();
    this.view.slots.name.focus();
  }

  setName() {
    const name = this.view.slots.name.value.trim().replace(/\s+/g, " ");
    if (!name) {
      this.view.slots["who-hint"].textContent = "Give a name.";
      return;
    }
    this.nameGiven = name;
    document.cookie = COOKIE + "=" + encodeURIComponent(name) + "; path=/; max-age=31536000; samesite=strict";
    this.view.dialogs.who.close();
    this.open({ sample_id: this.card?.id ?? new URLSearchParams(location.search).get("sample"), step: "here" });
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
      keep(this.draftKey(this.card.id), JSON.stringify(editedTexts(this.view.slots.card)));
    });
    this.view.dialogs.who.addEventListener("cancel", (event) => {
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
    // Or the space bar, meant to scroll, would press it again on a card that nobody has read.
    if (event.detail > 0) button.blur();
    if (button.dataset.act === "zoom") return this.view.zoom(button.querySelector("img"));
    return this.run(button.dataset.act);
  }

  onKey(event) {
    const dialog = this.view.openDialog();
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
    const { why, who } = this.view.dialogs;
    if (event.key === "Enter" && !event.isComposing && !event.shiftKey && event.target.tagName !== "BUTTON") {
      event.preventDefault();
      if (dialog === why) return this.confirmWhy();
      if (dialog === who) return this.setName();
      return dialog.close();
    }
    const digit = dialog === why ? digitOf(event) : null;
    if (digit !== null && this.view.toggleReason(digit)) event.preventDefault();
    return undefined;
  }
}

// Not crypto.randomUUID: pages without TLS under a name other than localhost lack it.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
