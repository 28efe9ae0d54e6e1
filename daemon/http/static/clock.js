// The daemon's clock, as the server told it, running on here; keeps every relative time up to date.
import { pageData, word } from "./page-data.js";

const INTERVAL = 10_000;
const NOW_LIMIT = 45_000;
const UNITS = [[86_400_000, "days"], [3_600_000, "hours"], [60_000, "minutes"]];
const loaded = performance.now();

// Returns the daemon's time in milliseconds: its clock may be another than this browser's.
export function now() {
  return pageData.now + (performance.now() - loaded) * pageData.rate;
}

// Returns a time of day in the zone of all times of the page.
export function timeOfDay(at) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: pageData.zone };
  return new Intl.DateTimeFormat(document.documentElement.lang, options).format(at);
}

function formatRelative(at) {
  const distance = Math.abs(at - now());
  if (distance < NOW_LIMIT) return word("time.now");
  const way = at > now() ? "in" : "ago";
  const [size, unit] = UNITS.find(([least]) => distance >= least) ?? UNITS.at(-1);
  const n = Math.max(1, Math.floor(distance / size));
  return word(`time.${way}.${unit}`, { n });
}

function refresh() {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const text = formatRelative(Date.parse(element.dateTime));
    if (element.textContent !== text) element.textContent = text;
  }
}

export function startClock() {
  setInterval(refresh, INTERVAL);
  document.addEventListener("visibilitychange", refresh);
}
