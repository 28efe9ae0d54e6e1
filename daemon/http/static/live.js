// Keeps the page live: a piece that names an event in data-live is fetched anew when it is heard.
// Without a stream the page says so, since when, and shows what it knows as no longer fresh.
import { now, timeOfDay } from "./clock.js";
import { house, word } from "./house.js";
import { listen } from "./stream.js";

const LEAST_BETWEEN = 400;
const RETRIES = [500, 1000, 2000, 4000, 8000];
const place = { after: house.seq, epoch: house.epoch };
const resting = new WeakMap();
const told = new Map();
let stop = null;
let lost = null;
let failures = 0;

export function startLive() {
  connect();
  document.querySelectorAll("[data-live]").forEach(remember);
  document.body.addEventListener("htmx:afterSettle", ({ target }) => announce(target));
  document.body.addEventListener("htmx:responseError", ({ detail }) => leaveIf(detail.xhr.status));
  window.addEventListener("offline", () => stop?.());
  window.addEventListener("pagehide", () => stop?.());
  window.addEventListener("pageshow", ({ persisted }) => persisted && connect());
}

function connect() {
  stop = listen(place, { onOpen: opened, onEvent: heard, onResync: begunAnew, onEnd: ended });
}

function opened() {
  show("live", word("live"));
  document.body.classList.remove("stale");
  if (lost !== null) refreshAll();
  lost = null;
  failures = 0;
}

function begunAnew({ seq, epoch }) {
  Object.assign(place, { after: seq, epoch });
  refreshAll();
}

async function ended() {
  lost ??= now();
  show("off", word("not_live", { at: timeOfDay(lost) }));
  document.body.classList.add("stale");
  setTimeout(connect, RETRIES[Math.min(failures++, RETRIES.length - 1)]);
  const signedIn = await fetch("/v1/sign-in", { cache: "no-store" }).catch(() => null);
  leaveIf(signedIn?.status);
}

// Whoever is nobody any more is led to the door, which says so and leads back to this page.
function leaveIf(status) {
  if (status !== 401) return;
  location.assign(`/sign-in?ended&back=${encodeURIComponent(location.pathname + location.search)}`);
}

function heard({ seq, type, subject }) {
  if (seq) place.after = seq;
  for (const piece of document.querySelectorAll("[data-live]")) {
    const topics = piece.dataset.live.split(" ");
    if (topics.some((topic) => topic === type || topic === `${type}:${subject}`)) refresh(piece);
  }
}

function refreshAll() {
  document.querySelectorAll("[data-live]").forEach((piece) => refresh(piece));
}

// Fetches a piece at once, and however much is heard, again only a little later; what somebody did
// here themselves (`own`) waits for nothing. A list that somebody has gone on in (data-later) keeps
// its place instead.
export function refresh(piece, { own = false } = {}) {
  if (piece.querySelector("[data-later]")) return;
  const state = resting.get(piece);
  if (state) {
    state.again = !own;
    if (own) htmx.trigger(piece, "refresh");
    return;
  }
  resting.set(piece, { again: false });
  htmx.trigger(piece, "refresh");
  setTimeout(() => {
    const { again } = resting.get(piece);
    resting.delete(piece);
    const there = piece.isConnected ? piece : document.getElementById(piece.id);
    if (again && there) refresh(there);
  }, LEAST_BETWEEN);
}

function show(state, said) {
  const place = document.getElementById("live");
  if (!place || (place.dataset.state === state && state === "live")) return;
  place.dataset.state = state;
  place.querySelector(".live-words").textContent = said;
}

// What is another than before is told, to whoever listens to the page instead of looking at it.
function announce(target) {
  if (!target.dataset.live) return;
  const before = told.get(target.id) ?? [];
  const news = remember(target).filter((each) => !before.includes(each));
  if (news.length) document.getElementById("announcer").textContent = news.join(" ");
}

function remember(piece) {
  const said = [...piece.querySelectorAll("[data-announce]")].map((each) => each.dataset.announce);
  told.set(piece.id, said);
  return said;
}
