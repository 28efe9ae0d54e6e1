// The review: leases the open case; a decided case leaves the queue at once and the next one opens; a
// decision that is taken back puts its case back.
import { call } from "./calls.js";

const RENEW_INTERVAL = 240_000;
const decided = new Set();
let leased = null;

const place = () => document.getElementById("review");
const openCase = () => document.querySelector("#case [data-case]");
const rows = () => [...document.querySelectorAll("#review-queue [data-case]")];
// What is answered is listed to be changed, not to be worked through.
const openRows = () => rows().filter((row) => !("answered" in row.dataset));

export function startReview() {
  if (!place()) return;
  document.addEventListener("command", ({ detail }) => follow(detail));
  document.body.addEventListener("htmx:afterSwap", ({ target }) => settle(target));
  document.addEventListener("click", ({ target }) => {
    if (target.closest("#review-queue a")) place().dataset.chosen = "";
  });
  addEventListener("pagehide", () => release(true));
  setInterval(() => leased && take(leased), RENEW_INTERVAL);
  lease();
  arrange();
}

// Follows a decision about a case: delayed and sent end it; undone and refused bring it back.
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
  if (target.id === "review-queue" && !openCase()) openFirst();
}

// Hides what is decided here and not yet sent, and marks the row of the open case.
function arrange() {
  const current = openCase()?.dataset.case;
  for (const row of rows()) {
    row.closest("li").hidden = decided.has(row.dataset.case) && !("answered" in row.dataset);
    if (row.dataset.case === current) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

function openNext(after) {
  const all = openRows();
  const at = all.findIndex((row) => row.dataset.case === after);
  const next = [...all.slice(at + 1), ...all.slice(0, Math.max(0, at))].find(
    (row) => !decided.has(row.dataset.case),
  );
  if (next) open(next.dataset.case);
  else showEmpty();
}

// Opens a new case when none is open, where there is room beside the queue.
function openFirst() {
  const first = openRows().find((row) => !decided.has(row.dataset.case));
  if (first && document.getElementById("case").checkVisibility()) open(first.dataset.case);
}

function open(id) {
  const { cases, page } = place().dataset;
  htmx.ajax("GET", `${cases}/${encodeURIComponent(id)}`, "#case");
  history.replaceState(null, "", `${page}/${encodeURIComponent(id)}`);
}

function showEmpty() {
  release(false);
  const none = document.getElementById("no-case").content.cloneNode(true);
  document.getElementById("case").replaceChildren(none);
  history.replaceState(null, "", place().dataset.home);
}

function lease() {
  const shown = openCase();
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
