// What the reviewer did, on its way to the store: kept in the browser until the store has it.

import { whyNoAnswer } from "./status.js";

const WAIT_MS = [1000, 2000, 4000, 8000];
const TIMEOUT_MS = 10000;

/** Sends one act at a time; an unanswered one is sent again, under the same event id. */
export class Outbox {
  /**
   * @param server Functions of the page; they resolve to undefined when the server does not answer.
   * @param onUnsaved Called with what the server says instead when an act went unanswered, with null when it got through.
   */
  constructor(server, onUnsaved) {
    this.server = server;
    this.onUnsaved = onUnsaved;
    this.drawer = null;
    this.reviewer = null;
    this.isBusy = false;
    this.wake = null;
  }

  /** Names the drawer of unsent acts: by version and reviewer. */
  open(version, reviewer) {
    this.reviewer = reviewer;
    this.drawer = "polyscene.unsent." + version + "." + reviewer + ".";
  }

  /** The acts that earlier visits, or another window, could not send. */
  left() {
    try {
      return Object.keys(localStorage)
        .filter((key) => key.startsWith(this.drawer))
        .map((key) => JSON.parse(localStorage.getItem(key)))
        .filter(({ message }) => message.reviewer === this.reviewer); // "a." begins "a.b." as well
    } catch {
      return [];
    }
  }

  /** Sends until answered; resolves to the answer. */
  async send(act, message) {
    this.isBusy = true;
    const key = this.drawer + message.event_id;
    keep(key, JSON.stringify({ act, message }));
    try {
      for (let attempt = 0; ; attempt++) {
        const answer = await ask(this.server, act, message);
        if (answer !== undefined && answer !== null) {
          keep(key, null);
          if (attempt > 0) this.onUnsaved(null);
          return answer;
        }
        this.onUnsaved(await whyNoAnswer());
        await this.pause(WAIT_MS[Math.min(attempt, WAIT_MS.length - 1)]);
      }
    } finally {
      this.isBusy = false;
    }
  }

  /** Ends the pause before the next attempt. */
  retryNow() {
    this.wake?.();
  }

  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** One call; undefined when there is no answer in time. */
export function ask(server, act, message) {
  const late = new Promise((resolve) => setTimeout(resolve, TIMEOUT_MS));
  return Promise.race([server[act](message), late]).catch(() => undefined);
}

/** A value in the browser's storage, or its removal; a full or forbidden storage is no reason to stop. */
export function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Private windows may refuse: the act is still sent, only a reload would lose it.
  }
}
