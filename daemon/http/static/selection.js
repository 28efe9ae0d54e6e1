// Ticked rows of a list: shift ticks a range, "all" is what the filter finds as the server counts it, and
// each action names how many it is about. The server refuses one that would be about others by now.
import { call, download } from "./calls.js";
import { openDialog } from "./dialogs.js";
import { toast } from "./toasts.js";

const PROBLEM_SECONDS = 10;
let selection = null;
let last = null;
let asked = 0;

const bar = () => document.getElementById("selection");
const PATHS = {
  prospects: "/v1/prospects/selection",
  messages: "/v1/messages/selection",
  audit: "/v1/audit/selection",
};
const path = () => PATHS[bar().dataset.list];
const ticks = () => [...document.querySelectorAll("[data-tick]")];
const ticked = () => ticks().filter((each) => each.checked).map((each) => each.value);

export function startSelection() {
  if (!bar()) return;
  document.addEventListener("click", ({ target, shiftKey }) => {
    const tick = target.closest("[data-tick]");
    if (tick) return tickRange(tick, shiftKey);
    if (target.closest("[data-select-all]")) select({ filter: readFilter() });
    if (target.closest("[data-select-none]")) clear();
    if (target.closest("[data-export]")) exportSelection();
    const action = target.closest("[data-selected]");
    if (action) openAction(action.dataset.selected);
  });
  document.addEventListener("command", ({ detail }) => detail.stage === "sent" && showResult(detail));
  document.body.addEventListener("htmx:afterSwap", ({ target }) => {
    if (target.id === bar().dataset.filled) clear();
    else restoreTicks();
  });
}

function tickRange(tick, wide) {
  const all = ticks();
  const [from, to] = [all.indexOf(last), all.indexOf(tick)].sort((a, b) => a - b);
  if (wide && from >= 0) for (const each of all.slice(from, to + 1)) each.checked = tick.checked;
  last = tick;
  const ids = ticked();
  if (ids.length) select({ ids });
  else clear();
}

// The fields of the filter have the names that the server takes; what is empty filters nothing.
function readFilter() {
  const fields = [...new FormData(document.querySelector("form.filters"))];
  return Object.fromEntries(fields.map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));
}

// The newest choice counts, whichever answer comes last.
async function select(chosen) {
  asked += 1;
  const mine = asked;
  try {
    const { count, names, hash } = await call("POST", path(), chosen);
    if (mine !== asked) return;
    selection = { ...chosen, hash, count, names };
  } catch ({ detail, hint }) {
    return toast(`${detail} ${hint}`, { seconds: PROBLEM_SECONDS });
  }
  restoreTicks();
  show();
}

// A list that is fetched anew comes without ticks.
function restoreTicks() {
  if (!selection) return;
  const ids = new Set(selection.ids);
  for (const each of ticks()) each.checked = Boolean(selection.filter) || ids.has(each.value);
}

function show() {
  bar().hidden = !selection;
  if (!selection) return;
  document.getElementById("selection-count").textContent = describe();
  document.getElementById("selection-names").textContent = listNames();
}

const describe = () => bar().dataset.people.replace("#", selection.count);

function listNames() {
  const more = selection.count > selection.names.length ? " …" : "";
  return selection.names.join(", ") + more;
}

function clear() {
  asked += 1;
  selection = null;
  last = null;
  for (const each of ticks()) each.checked = false;
  show();
}

async function exportSelection() {
  const { ids, filter, hash } = selection;
  const body = { ids: ids ?? null, filter: filter ?? null, hash };
  try {
    await download(`${path()}/export`, body, `${bar().dataset.list}.csv`);
  } catch ({ detail, hint }) {
    toast(`${detail} ${hint}`, { seconds: PROBLEM_SECONDS });
  }
}

async function openAction(action) {
  const { ids, filter, hash } = selection;
  if (!(await openDialog(`/pieces/${bar().dataset.list}/selection/${action}`))) return;
  const form = document.querySelector("#dialog form");
  form.elements.namedItem("ids").value = JSON.stringify(ids ?? null);
  form.elements.namedItem("filter").value = JSON.stringify(filter ?? null);
  form.elements.namedItem("hash").value = hash;
  document.getElementById("selection-people").textContent = `${describe()}: ${listNames()}`;
}

function showResult({ form, answer }) {
  if (!("selects" in form.dataset)) return;
  const { done, refused } = bar().dataset;
  const parts = [done.replace("#", answer.done)];
  if (answer.refused) parts.push(refused.replace("#", answer.refused));
  const reasons = answer.refusals.slice(0, 3).map(({ name, sentence }) => `${name}: ${sentence}`);
  toast([...parts, ...reasons].join(" "), { seconds: PROBLEM_SECONDS });
  clear();
  htmx.trigger("form.filters", "submit");
}
