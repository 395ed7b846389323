// Where the page is: the filters or the queue it goes through, kept in the address.

import { FILTERS } from "./view.js";

const TODO = "unreviewed";

export class Place {
  constructor() {
    this.filters = { status: TODO };
    this.queueId = "";
    this.sampleId = null;
  }

  /** Takes what an address asks for. @param hasStatus Whether there is such a status. */
  read(search, hasStatus) {
    const asked = new URLSearchParams(search);
    for (const name of FILTERS) if (asked.get(name)) this.filters[name] = asked.get(name);
    if (hasStatus(asked.get("status"))) this.filters.status = asked.get("status");
    this.queueId = asked.get("queue") ?? "";
    this.sampleId = asked.get("sample");
  }

  /** Keeps sample and place in the address, so that a reload or a link comes back here. */
  remember(sampleId) {
    this.sampleId = sampleId ?? null;
    const address = new URL(location.href);
    const told = {
      queue: this.queueId,
      sample: this.sampleId,
      ...Object.fromEntries(FILTERS.map((name) => [name, this.queueId ? "" : this.filters[name]])),
      status: this.queueId || this.filters.status === TODO ? "" : this.filters.status,
    };
    for (const name of Object.keys(told)) address.searchParams.delete(name);
    for (const [name, value] of Object.entries(told)) if (value) address.searchParams.set(name, value);
    history.replaceState(history.state, "", address);
  }

  set(name, value) {
    if (name === "queue") this.queueId = value;
    else if (value) this.filters[name] = value;
    else delete this.filters[name];
  }

  /** Takes the filters an act was made under, as its answer goes on from there. */
  take({ filters }) {
    this.filters = filters ?? this.filters;
  }

  named() {
    return { filters: this.filters, queue_id: this.queueId };
  }
}
