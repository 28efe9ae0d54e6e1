// The review: the open case is leased to whoever looks; what is decided leaves the queue at once,
// the next case comes by itself, and what is taken back returns.
import { call } from "./calls.js";

const RENEW = 240_000;
const decided = new Set();
let leased = null;

const place = () => document.getElementById("review");
const caseIn = () => document.querySelector("#case [data-case]");
const rows = () => [...document.querySelectorAll("#review-queue [data-case]")];

export function startReview() {
  if (!place()) return;
  document.addEventListener("order", ({ detail }) => follow(detail));
  document.body.addEventListener("htmx:afterSwap", ({ target }) => settle(target));
  document.addEventListener("click", ({ target }) => {
    if (target.closest("#review-queue a")) place().dataset.chosen = "";
  });
  addEventListener("pagehide", () => release(true));
  setInterval(() => leased && take(leased), RENEW);
  lease();
  arrange();
}

// Follows a decision about a case: held and given end it; undone and refused bring it back.
function follow({ stage, form }) {
  const { settles } = form.dataset;
  if (!settles) return;
  if (stage === "undone" || stage === "refused") {
    decided.delete(settles);
    arrange();
    open(settles);
  } else if (!decided.has(settles)) {
    decided.add(settles);
    openNext(settles);
    arrange();
  }
}

function settle(target) {
  if (target.id === "case") {
    lease();
    document.getElementById("announcer").textContent = target.querySelector("h2")?.textContent ?? "";
  }
  if (target.id === "case" || target.id === "review-queue") arrange();
  if (target.id === "review-queue" && !caseIn()) openFirst();
}

// Hides what is decided here and not yet carried out, and marks the row of the open case.
function arrange() {
  const here = caseIn()?.dataset.case;
  for (const row of rows()) {
    row.closest("li").hidden = decided.has(row.dataset.case);
    if (row.dataset.case === here) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

function openNext(after) {
  const all = rows();
  const at = all.findIndex((row) => row.dataset.case === after);
  const next = [...all.slice(at + 1), ...all.slice(0, Math.max(0, at))].find(
    (row) => !decided.has(row.dataset.case),
  );
  if (next) open(next.dataset.case);
  else empty();
}

// What comes in while nothing is open is opened, where there is room for it beside the queue.
function openFirst() {
  const first = rows().find((row) => !decided.has(row.dataset.case));
  if (first && document.getElementById("case").checkVisibility()) open(first.dataset.case);
}

function open(id) {
  htmx.ajax("GET", `/pieces/review/cases/${encodeURIComponent(id)}`, "#case");
  history.replaceState(null, "", `/review/${encodeURIComponent(id)}`);
}

function empty() {
  release(false);
  const none = document.getElementById("no-case").content.cloneNode(true);
  document.getElementById("case").replaceChildren(none);
  history.replaceState(null, "", "/review");
}

function lease() {
  const shown = caseIn();
  const id = shown?.querySelector("[data-leasable]") ? shown.dataset.case : null;
  if (id === leased) return;
  release(false);
  if (id && shown.checkVisibility()) take(id);
}

function take(id) {
  leased = id;
  call("POST", `/v1/review/${id}/take`, {}).catch(() => {
    leased = null;
    open(id); // somebody was faster: the case says who
  });
}

function release(keepalive) {
  if (leased && !decided.has(leased)) {
    call("POST", `/v1/review/${leased}/return`, {}, keepalive).catch(() => undefined);
  }
  leased = null;
}
