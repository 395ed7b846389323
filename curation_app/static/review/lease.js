// A sample held for this reviewer: held while the page is looked at, given back when it is left.

import { ask } from "./outbox.js";

/** Renewals in the time that a hold lasts. */
const RENEWALS = 4;

export class Lease {
  /** @param server Functions of the page. @param onLost Called when the hold was given to nobody, or to another. */
  constructor(server, onLost) {
    this.server = server;
    this.onLost = onLost;
    this.held = null;
    this.timer = null;
    addEventListener("pagehide", () => this.release());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.renew();
    });
  }

  /** @param lease `{ queue_id, item_id, token, expires_in_s }`, or null where nothing is held. */
  hold(lease) {
    clearInterval(this.timer);
    this.held = lease;
    if (lease) this.timer = setInterval(() => this.renew(), (1000 * lease.expires_in_s) / RENEWALS);
  }

  /** What the server needs to know the hold by; null where there is none. */
  named() {
    if (!this.held) return null;
    const { queue_id, item_id, token } = this.held;
    return { queue_id, item_id, token };
  }

  async renew() {
    const lease = this.held;
    if (!lease || document.hidden) return;
    const answer = await ask(this.server, "renew", { lease: this.named() });
    if (lease !== this.held || answer?.is_held !== false) return;
    this.hold(null);
    this.onLost();
  }

  release() {
    if (this.held) ask(this.server, "release", { lease: this.named() });
    this.hold(null);
  }
}
