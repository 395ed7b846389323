// The review page acts: opens cards, takes verdicts by button and key, says "saved" once the store has them.

import { images, publishedTexts, standingTexts } from "./card.js";
import { listen } from "./controls.js";
import { Drafts } from "./drafts.js";
import { Editor } from "./editor.js";
import { Facets } from "./facets.js";
import { Guidelines } from "./guidelines.js";
import { Lease } from "./lease.js";
import { Outbox, ask, keep } from "./outbox.js";
import { Place } from "./place.js";
import { offerProvenance } from "./provenance.js";
import { Reviewer } from "./reviewer.js";
import { Seen } from "./seen.js";
import { whyNoAnswer } from "./status.js";
import { showTask } from "./tasks.js";
import { View } from "./view.js";
import { showConflict, showVotes } from "./votes.js";
import { WhyPanel } from "./why.js";
import { Zoom } from "./zoom.js";

/** Acts that decide, and so wait until the card was seen. */
const DECIDING = new Set(["accept", "reject", "skip", "flag"]);
/** Time beyond the server's floor, for clocks that tick in whole milliseconds. */
const MARGIN_MS = 5;

/** Brings the page to life inside the shell that Gradio has put in `host`. */
export function start(host, server) {
  new ReviewPage(host.querySelector(".ps"), server).begin();
}

class ReviewPage {
  constructor(root, server) {
    this.root = root;
    this.server = server;
    this.view = new View(root);
    const { slots, dialogs } = this.view;
    this.why = new WhyPanel(root, slots);
    this.view.reasonLabel = (code) => this.why.labelOf(code);
    this.facets = new Facets(slots.facets);
    this.zoom = new Zoom(dialogs.zoom, slots);
    this.drafts = new Drafts();
    this.editor = new Editor(slots.card, server, this.drafts);
    this.guidelines = new Guidelines(root, slots, server);
    this.reviewer = new Reviewer(dialogs, slots, () => this.reopenHere());
    this.seen = new Seen(root, () => this.view.allowAccept(this.seen.unviewedWords()));
    this.lease = new Lease(server, () => {
      slots.lease.textContent = "Your hold on this sample has ended; somebody else may be given it.";
    });
    this.place = new Place();
    this.card = null;
    this.numRefused = 0;
    this.setMode("loading");
    this.outbox = new Outbox(server, (why) => this.onUnsaved(why));
  }

  async begin() {
    this.view.useTheme(localStorage.getItem("polyscene.theme"));
    listen(this);
    this.place.read(location.search, (status) => this.view.hasStatus(status));
    await this.open({ sample_id: this.place.sampleId, step: "here" });
  }

  setMode(mode) {
    this.mode = mode;
    this.view.setMode(mode);
  }

  // Opening

  async open(where) {
    this.setMode("sending");
    const answer = await ask(this.server, "open_card", { ...this.place.named(), ...where });
    const isAnswered = answer !== undefined && answer !== null;
    this.reopen = isAnswered ? null : where;
    if (!isAnswered) {
      const why = await whyNoAnswer();
      this.view.offerRetry(true, why.signIn);
      this.view.say("Nothing was opened: " + why.words, "bad");
      this.setMode("unsaved");
      return;
    }
    this.view.offerRetry(false);
    if (answer.overview) {
      this.version = answer.overview.name + "@" + answer.overview.version;
      this.view.showOverview(answer.overview, this.place.filters, this.place.queueId);
    }
    if (answer.needs_reviewer) {
      this.setMode("reading");
      this.reviewer.ask(this.reviewer.given);
      return;
    }
    this.reviewer.given = "";
    if (answer.error) {
      this.view.say(answer.error, "bad");
      this.setMode("reading");
      return;
    }
    this.why.setReasons(answer.reasons);
    this.seen.minMs = answer.min_active_ms + MARGIN_MS;
    this.guidelines.offer(answer.guideline_version);
    this.outbox.open(this.version, answer.reviewer);
    this.drafts.open(this.version, answer.reviewer);
    const left = this.outbox.left();
    this.show(answer);
    if (answer.is_absent) this.view.say("The sample asked for is not in this version; here is another.", "bad");
    for (const { act, message } of left) await this.act(act, message);
  }

  reopenHere() {
    return this.open({ sample_id: this.card?.id ?? this.place.sampleId, step: "here" });
  }

  show(answer) {
    this.drafts.forget(answer.card?.id);
    this.place.queueId = answer.queue?.queue_id ?? "";
    this.view.markFilters(this.place);
    this.card = answer.card;
    this.reviewer.name = answer.reviewer;
    this.why.close();
    this.view.show(answer, this.place.filters);
    this.lease.hold(answer.lease);
    if (this.card && !this.card.problem) this.showParts(answer);
    this.setMode("reading");
    this.place.remember(this.card?.id);
    this.seen.begin(this.view.slots.card);
  }

  showParts(answer) {
    const { slots } = this.view;
    this.facets.show(this.card.own?.facets ?? {});
    showVotes(slots.votes, this.card, publishedTexts(this.card), this.view.reasonLabel);
    const asked = { sample_id: this.card.id, queue_id: this.place.queueId };
    offerProvenance(slots.provenance, slots["provenance-body"], this.card.has_provenance, async () =>
      (await ask(this.server, "provenance", asked))?.provenance);
    const mode = answer.queue?.mode ?? "card";
    this.task = showTask(slots.task, mode, this.card, (said) => this.answerTask(said));
    if (mode === "claims" && !this.task) this.root.dataset.task = "card"; // nothing was claimed of its images
  }

  setFilter(name, value) {
    if (!this.isIdle() || this.mode !== "reading") {
      this.view.markFilters(this.place);
      return this.refuse("finish what you are doing first");
    }
    const leave = this.lease.named();
    this.place.set(name, value);
    this.view.markStatus(this.place.filters.status);
    this.view.say("", "calm");
    return this.open({ leave });
  }

  // Sending

  /** Sends an act and shows what the server answers; a refused one leaves the card as it was. */
  async act(act, message) {
    const wasEditing = this.editor.isOpen;
    this.view.refuse((this.numRefused = 0));
    this.setMode("sending");
    // What was refused at once says so already: only an answer that is still awaited is "Saving".
    const slow = setTimeout(() => this.mode === "sending" && this.view.say("Saving …", "calm"), 300);
    const answer = await this.outbox.send(act, message);
    clearTimeout(slow);
    if (answer.needs_reviewer) {
      this.setMode("reading");
      return this.reviewer.ask();
    }
    if (answer.error) return this.onRefused(answer, message, wasEditing);
    if (answer.saved.kind !== "flag") this.drafts.drop(answer.saved.sample_id);
    this.place.take(message);
    this.show(answer);
    this.view.saySaved(answer.saved);
    return undefined;
  }

  /** Says why the server refused an act; what somebody else changed meanwhile is shown as a difference. */
  async onRefused(answer, message, wasEditing) {
    const id = message.sample_id ?? this.card?.id;
    if (answer.is_conflict) {
      const before = this.card?.id === id ? standingTexts(this.card) : null;
      if (wasEditing) this.editor.keep();
      await this.open({ sample_id: id, step: "here" });
      if (answer.is_changed && before && this.card?.id === id && !this.card.problem) {
        showConflict(this.view.slots.conflict, {
          change: answer.change, before, after: standingTexts(this.card), hasDraft: wasEditing, language: this.card.language,
        }, this.view.reasonLabel);
      }
    }
    this.setMode(this.editor.isOpen ? "editing" : "reading");
    this.view.say((answer.problems && this.editor.blame(answer.problems)) ?? answer.error, "bad");
  }

  decide(kind, rest = {}) {
    const hasVerdict = kind === "verdict" || kind === "edit";
    return this.send("decide", {
      sample_id: this.card.id,
      content_hash: this.card.content_hash,
      kind,
      seen: this.card.seen,
      lease: this.lease.named(),
      ms_active: this.seen.msActive(),
      ...(hasVerdict ? { facets: this.facets.marks } : {}),
      ...rest,
    });
  }

  /** Makes an act of the reviewer this page names, whoever the browser names by then. */
  send(act, rest) {
    return this.act(act, { event_id: newId(), reviewer: this.reviewer.name, ...this.place.named(), ...rest });
  }

  onUnsaved(why) {
    this.view.offerRetry(why !== null, why?.signIn);
    if (why === null) return;
    this.setMode("unsaved");
    this.view.say("Not saved: " + why.words + " Kept in this browser and tried again.", "bad");
  }

  // Acts

  run(act) {
    const { dialogs } = this.view;
    if (act === "retry") return this.reopen ? this.open(this.reopen) : this.outbox.retryNow();
    if (act === "theme") return this.switchTheme();
    if (act === "help") return dialogs.help.showModal();
    if (act === "close") return this.view.openDialog()?.close();
    if (act === "set-name") return this.reviewer.set();
    if (act === "guidelines") return this.guidelines.toggle();
    if (act === "zoom-first") return this.openZoom(0);
    if (this.mode === "why") return this.runWhy(act);
    if (!this.isIdle()) return this.refuse("the one before is still being saved");
    if (act === "name") return this.reviewer.change().then((words) => words && this.view.say(words, "calm"));
    if (act === "undo" && this.mode === "reading") return this.send("undo", {});
    if (this.mode === "editing") return act === "save" ? this.saveEdit() : act === "cancel" ? this.cancelEdit() : undefined;
    if (this.mode !== "reading" || !this.card) return undefined;
    if (act === "next" || act === "previous") {
      this.view.say("", "calm");
      return this.open({ sample_id: this.card.id, step: act, leave: this.lease.named() });
    }
    if (this.card.problem) return undefined;
    if (act === "link") return this.copyLink();
    return this.runOnCard(act);
  }

  /** What decides about the card, or leads to it; refused while the card was not seen. */
  runOnCard(act) {
    const isOther = this.root.dataset.task !== "card" && (act === "accept" || act === "reject" || act === "edit");
    if (isOther) return this.refuse("this queue asks another question, below the texts");
    const unseen = DECIDING.has(act) ? this.seen.problem() : null;
    if (unseen) return this.refuse(unseen);
    if (act === "accept") return this.accept();
    if (act === "reject" || act === "flag") {
      this.setMode("why");
      return this.why.open(act, this.view.hasBrokenImage() ? ["broken_image"] : []);
    }
    if (act === "skip") return this.decide("skip");
    return act === "edit" ? this.edit() : undefined;
  }

  runWhy(act) {
    if (act === "confirm") {
      const given = this.why.answer();
      if (!given) return undefined;
      const isReject = this.why.act === "reject";
      this.why.close();
      this.setMode("reading");
      return isReject ? this.decide("verdict", { verdict: "reject", ...given }) : this.decide("flag", given);
    }
    if (act !== "cancel-why") return this.refuse("finish the panel on the right, or press Esc");
    this.why.close();
    this.setMode("reading");
    return this.view.slots.card.focus({ preventScroll: true });
  }

  accept() {
    if (this.view.hasBrokenImage()) return this.view.say("An image is broken: reject it (R) or skip it (S).", "bad");
    const unviewed = this.seen.unviewedWords();
    if (unviewed) return this.refuse("look at " + unviewed + " first");
    return this.decide("verdict", { verdict: "accept" });
  }

  answerTask(said) {
    const problem = this.isIdle() && this.mode === "reading" ? this.seen.problem() : "the one before is still being saved";
    return problem ? this.refuse(problem) : this.decide("verdict", { verdict: "accept", ...said, facets: {} });
  }

  edit() {
    this.setMode("editing");
    const isDraft = this.editor.begin(this.card);
    this.view.say(isDraft ? "Your unsaved text is back. Esc drops it." : "", "calm");
  }

  saveEdit() {
    const malformed = this.editor.malformed();
    if (malformed.length) return this.view.say(this.editor.blame(malformed), "bad");
    return this.decide("edit", { verdict: "accept", texts: this.editor.texts() });
  }

  cancelEdit() {
    const isChanged = this.editor.setAside();
    this.view.showCard(this.card);
    this.setMode("reading");
    this.seen.begin(this.view.slots.card);
    this.view.say(isChanged ? "Not saved. E brings your text back." : "", "calm");
  }

  refuse(why) {
    this.view.refuse(++this.numRefused, why);
  }

  isIdle() {
    return !this.outbox.isBusy && this.mode !== "sending" && this.mode !== "unsaved";
  }

  openZoom(index) {
    const shown = images(this.view.slots.card);
    if (shown.length) this.zoom.open(shown, index);
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
}

// Not crypto.randomUUID: pages without TLS under a name other than localhost lack it.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
