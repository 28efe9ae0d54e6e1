// Keeps the page live: a piece that names an event in data-live is fetched anew when it arrives.
// Without a stream the page says so and since when, and shows its content as stale.
import { now, timeOfDay } from "./clock.js";
import { pageData, word } from "./page-data.js";
import { listen } from "./stream.js";

const MIN_INTERVAL = 400;
const RETRIES = [500, 1000, 2000, 4000, 8000];
const place = { after: pageData.seq, epoch: pageData.epoch };
const throttled = new WeakMap();
const announced = new Map();
let stop = null;
let lost = null;
let failures = 0;

export function startLive() {
  connect();
  document.querySelectorAll("[data-live]").forEach(remember);
  document.body.addEventListener("htmx:afterSettle", ({ target }) => announce(target));
  document.body.addEventListener("htmx:afterSwap", ({ target }) => target.id === "sidebar" && showTitle());
  document.body.addEventListener("htmx:responseError", ({ detail }) => redirectIfSignedOut(detail.xhr.status));
  window.addEventListener("offline", () => stop?.());
  window.addEventListener("pagehide", () => stop?.());
  window.addEventListener("pageshow", ({ persisted }) => persisted && connect());
}

function connect() {
  stop = listen(place, { onOpen, onEvent, onResync, onEnd });
}

function onOpen() {
  show("live", word("live"));
  document.body.classList.remove("stale");
  if (lost !== null) refreshAll();
  lost = null;
  failures = 0;
}

function onResync({ seq, epoch }) {
  Object.assign(place, { after: seq, epoch });
  refreshAll();
}

async function onEnd() {
  lost ??= now();
  show("off", word("not_live", { at: timeOfDay(lost) }));
  document.body.classList.add("stale");
  setTimeout(connect, RETRIES[Math.min(failures++, RETRIES.length - 1)]);
  const signedIn = await fetch("/v1/sign-in", { cache: "no-store" }).catch(() => null);
  redirectIfSignedOut(signedIn?.status);
}

// A sign-in that has ended leads to the sign-in page, which says so and leads back to this page; not
// where a command that is under way leads elsewhere, as signing out does.
function redirectIfSignedOut(status) {
  if (status !== 401 || "leaving" in document.body.dataset) return;
  location.assign(`/sign-in?ended&back=${encodeURIComponent(location.pathname + location.search)}`);
}

function onEvent({ seq, type, subject }) {
  if (seq) place.after = seq;
  for (const piece of document.querySelectorAll("[data-live]")) {
    const topics = piece.dataset.live.split(" ");
    if (topics.some((topic) => topic === type || topic === `${type}:${subject}`)) refresh(piece);
  }
}

function refreshAll() {
  document.querySelectorAll("[data-live]").forEach((piece) => refresh(piece));
}

// Fetches a piece at once, and again only after a moment, however many events arrive meanwhile; a
// person's own action (`own`) is shown without delay. A list of which later pages were loaded
// (data-later) is left alone.
export function refresh(piece, { own = false } = {}) {
  if (piece.querySelector("[data-later]")) return;
  const state = throttled.get(piece);
  if (state) {
    state.again = !own;
    if (own) htmx.trigger(piece, "refresh");
    return;
  }
  throttled.set(piece, { again: false });
  htmx.trigger(piece, "refresh");
  setTimeout(() => {
    const { again } = throttled.get(piece);
    throttled.delete(piece);
    const current = piece.isConnected ? piece : document.getElementById(piece.id);
    if (again && current) refresh(current);
  }, MIN_INTERVAL);
}

// The count of people who wait is part of the title of every page.
function showTitle() {
  const count = document.querySelector("#chats-badge [data-waiting]")?.firstElementChild.textContent;
  const title = document.title.replace(/^\([0-9+]+\) /, "");
  document.title = count ? `(${count}) ${title}` : title;
}

function show(state, text) {
  const status = document.getElementById("live");
  if (!status || (status.dataset.state === state && state === "live")) return;
  status.dataset.state = state;
  status.querySelector(".live-words").textContent = text;
}

// Announces what has changed to screen readers.
function announce(target) {
  if (!target.dataset.live) return;
  const before = announced.get(target.id) ?? [];
  const changed = remember(target).filter((each) => !before.includes(each));
  if (changed.length) document.getElementById("announcer").textContent = changed.join(" ");
}

function remember(piece) {
  const texts = [...piece.querySelectorAll("[data-announce]")].map((each) => each.dataset.announce);
  announced.set(piece.id, texts);
  return texts;
}
