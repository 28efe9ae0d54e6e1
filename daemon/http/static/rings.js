// Countdown rings: the seconds of a pairing code, drawn by the second; at nought its card is asked again.
import { refresh } from "./live.js";

const EVERY = 250;
const ASK_AGAIN = 1000;
const ends = new WeakMap();

export function startRings() {
  setInterval(drawAll, EVERY);
  document.body.addEventListener("htmx:afterSwap", drawAll);
}

function drawAll() {
  document.querySelectorAll("[data-countdown]").forEach(draw);
}

function draw(element) {
  const end = endOf(element);
  const left = Math.max(0, (end.at - performance.now()) / 1000);
  const share = Math.min(1, left / Number(element.dataset.of));
  element.querySelector(".ring-left").setAttribute("stroke-dashoffset", String(100 * (1 - share)));
  element.querySelector(".countdown-seconds").textContent = said(Math.ceil(left));
  if (left === 0 && performance.now() - end.asked > ASK_AGAIN) {
    end.asked = performance.now();
    refresh(element.closest("[data-live]"));
  }
}

// A piece that was fetched anew tells the seconds anew, on the same element.
function endOf(element) {
  const told = element.dataset.countdown;
  if (ends.get(element)?.told !== told) {
    ends.set(element, { told, at: performance.now() + Number(told) * 1000, asked: 0 });
  }
  return ends.get(element);
}

// Seconds as they are; from a minute on as 9:05.
function said(seconds) {
  if (seconds < 60) return String(seconds);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
