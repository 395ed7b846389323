// Who is reviewing: a name kept in this browser, or the account that is signed in.

import { whoIsThere } from "./status.js";

const COOKIE = "polyscene_reviewer";

export class Reviewer {
  /** @param onChange Called when a name was given. */
  constructor(dialogs, slots, onChange) {
    this.dialogs = dialogs;
    this.slots = slots;
    this.onChange = onChange;
    this.name = null;
    this.given = "";
    dialogs.who.addEventListener("cancel", (event) => {
      if (!this.name) event.preventDefault();
    });
  }

  /** Asks who is reviewing; a name that was given and refused is shown again. */
  ask(refused = "") {
    this.slots.name.value = refused || (this.name ?? "");
    this.slots["who-hint"].textContent = refused ? "Give 1 to 80 letters that can be seen." : "";
    this.dialogs.who.showModal();
    this.slots.name.focus();
  }

  /** Another name; returns what to say where it is an account's, which one signs out of. */
  async change() {
    const status = await whoIsThere();
    if (status?.sign_in) return "Signed in as " + (status.reviewer ?? this.name) + ". Sign out at the top of the page to change that.";
    this.ask();
    return "";
  }

  set() {
    const name = this.slots.name.value.trim().replace(/\s+/g, " ");
    if (!name) {
      this.slots["who-hint"].textContent = "Give a name.";
      return;
    }
    this.given = name;
    document.cookie = COOKIE + "=" + encodeURIComponent(name) + "; path=/; max-age=31536000; samesite=strict";
    this.dialogs.who.close();
    this.onChange();
  }
}
