// Gives orders to /v1: a form with data-call sends its fields as JSON, and tells what came of it.
// data-undo: so many seconds pass first, in which the order can be taken back.
import { closeDialog } from "./dialogs.js";
import { house, word } from "./house.js";
import { toast } from "./toasts.js";

export function startCalls() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.call) return;
    event.preventDefault();
    const order = orderOf(form);
    if (form.dataset.undo) hold(form, order);
    else send(form, order);
  });
}

// Sends JSON and returns the answer; throws a problem with `detail` and `hint` for people.
export async function call(method, path, body, keepalive = false) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": house.csrf };
  const options = { method, headers, keepalive, body: JSON.stringify(body) };
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw { detail: word("unreachable"), hint: "" };
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw { detail: answer.detail ?? word("refused"), hint: answer.hint ?? "" };
  return answer;
}

function orderOf(form) {
  const body = Object.fromEntries(new FormData(form));
  const method = form.dataset.method ?? "POST";
  return { method, path: form.dataset.call, body, next: fill(form.dataset.andThen, body) };
}

function fill(path, values) {
  return path?.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name]));
}

async function carryOut({ method, path, body, next }, keepalive = false) {
  await call(method, path, body, keepalive);
  if (next) await call("POST", next, {}, keepalive);
}

async function send(form, order) {
  const button = form.querySelector("button:not([type=button])");
  button.disabled = true;
  try {
    await carryOut(order);
    finished(form);
  } catch (problem) {
    tell(form, problem);
  } finally {
    button.disabled = false;
  }
}

function finished(form) {
  closeDialog(form);
  if (form.dataset.done) toast(form.dataset.done);
  if (form.dataset.then) location.assign(form.dataset.then);
}

// Waits before it sends; a page that is left meanwhile sends at once: the person did decide.
function hold(form, order) {
  const said = form.dataset.done;
  closeDialog(form);
  const leave = () => carryOut(order, true);
  const commit = () => {
    removeEventListener("pagehide", leave);
    carryOut(order).catch(({ detail, hint }) => toast(`${detail} ${hint}`));
  };
  addEventListener("pagehide", leave, { once: true });
  toast(said, {
    seconds: Number(form.dataset.undo),
    onUndo: () => removeEventListener("pagehide", leave),
    onEnd: commit,
  });
}

function tell(form, { detail, hint }) {
  const place = form.querySelector(".problem");
  if (!place) {
    toast(`${detail} ${hint}`);
    return;
  }
  place.textContent = `${detail} ${hint}`;
  place.hidden = false;
}
