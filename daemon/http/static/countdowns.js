// Countdowns: the seconds left of a pairing code or a lease, as a ring and as a figure; at zero the
// piece around it is fetched anew.
import { refresh } from "./live.js";

const INTERVAL = 250;
const RETRY_AFTER = 1000;
const ends = new WeakMap();

export function startCountdowns() {
  setInterval(drawAll, INTERVAL);
  document.body.addEventListener("htmx:afterSwap", drawAll);
}

function drawAll() {
  document.querySelectorAll("[data-countdown]").forEach(draw);
}

function draw(element) {
  const end = findEnd(element);
  const left = Math.max(0, (end.at - performance.now()) / 1000);
  const share = Math.min(1, left / Number(element.dataset.of));
  element.querySelector(".ring-left").setAttribute("stroke-dashoffset", String(100 * (1 - share)));
  element.querySelector(".countdown-seconds").textContent = formatSeconds(Math.ceil(left));
  if (left === 0 && performance.now() - end.refreshed > RETRY_AFTER) {
    end.refreshed = performance.now();
    refresh(element.closest("[data-live]"));
  }
}

// A piece that was fetched anew has new seconds on the same element.
function findEnd(element) {
  const seconds = element.dataset.countdown;
  if (ends.get(element)?.seconds !== seconds) {
    ends.set(element, { seconds, at: performance.now() + Number(seconds) * 1000, refreshed: 0 });
  }
  return ends.get(element);
}

// Seconds as they are; from a minute on as 9:05.
function formatSeconds(seconds) {
  if (seconds < 60) return String(seconds);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
