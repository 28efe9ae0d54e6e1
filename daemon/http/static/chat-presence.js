// Tells the others by name who looks at a chat: while it is visible, again before that runs out.
import { call } from "./calls.js";

const RENEW_INTERVAL = 20_000;
let viewed = null;

export function startPresence() {
  setInterval(() => viewed && !document.hidden && say(viewed, true), RENEW_INTERVAL);
  document.addEventListener("visibilitychange", () => viewed && say(viewed, !document.hidden));
  addEventListener("pagehide", () => viewed && say(viewed, false));
}

export function view(contact) {
  if (contact === viewed) return;
  if (viewed) say(viewed, false);
  viewed = contact;
  if (contact) say(contact, true);
}

// Kept alive, so that it is said also by a page that is being left.
function say(contact, viewing) {
  call("POST", `/v1/conversations/${contact}/view`, { viewing }, true).catch(() => undefined);
}
