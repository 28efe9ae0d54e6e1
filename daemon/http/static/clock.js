// The house's clock, as the server told it, going on here; keeps every relative time up to date.
import { house, word } from "./house.js";

const EVERY = 10_000;
const NEAR = 45_000;
const STEPS = [[86_400_000, "days"], [3_600_000, "hours"], [60_000, "minutes"]];
const loaded = performance.now();

// Returns the house's time in milliseconds: its clock may be another than this browser's.
export function now() {
  return house.now + (performance.now() - loaded) * house.rate;
}

// Returns a moment's time of day in the zone that all of the page's times are told in.
export function timeOfDay(at) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: house.zone };
  return new Intl.DateTimeFormat(document.documentElement.lang, options).format(at);
}

function relative(at) {
  const distance = Math.abs(at - now());
  if (distance < NEAR) return word("moments_now");
  const way = at > now() ? "in" : "ago";
  const [size, unit] = STEPS.find(([least]) => distance >= least) ?? STEPS.at(-1);
  const n = Math.max(1, Math.floor(distance / size));
  return word(`moments_${way}_${unit}`, { n });
}

function refresh() {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const said = relative(Date.parse(element.dateTime));
    if (element.textContent !== said) element.textContent = said;
  }
}

export function startClock() {
  setInterval(refresh, EVERY);
  document.addEventListener("visibilitychange", refresh);
}
