// Sends commands to /v1: a form with data-call sends its fields as JSON, and shows what came of it.
// data-undo: so many seconds pass first, in which the command can be taken back.
// data-and-then: a second command behind it, unless an option with data-and-wait is chosen.
// data-regret: what is done at once can be corrected by the dialog at this path.
// data-once: what the answer has under this name is shown in the dialog, this once.
// Fields with data-hundredths are amounts, sent in hundredths; with data-lines, lists with an entry a line; with
// data-always, entries of a list that can't be left out.
// Other scripts follow "command" events: delayed, undone, sent (with the answer), refused.
import { closeDialog, openDialog } from "./dialogs.js";
import { pageData, word } from "./page-data.js";
import { toast } from "./toasts.js";

const REGRET_SECONDS = 10;

export function startCalls() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.call) return;
    event.preventDefault();
    const command = readCommand(form, event.submitter);
    if (form.dataset.undo) delayCommand(form, command);
    else submitCommand(form, command);
  });
}

// Sends JSON and returns the answer; throws a problem with `detail` and `hint` for people.
export async function call(method, path, body, keepalive = false) {
  const response = await send(method, path, body, keepalive);
  return response.json().catch(() => ({}));
}

// Sends JSON and returns the piece of a page that answers it.
export async function callPiece(path, body) {
  const response = await send("POST", path, body);
  return response.text();
}

// Sends JSON and lets the browser store the file that answers it.
export async function download(path, body, name) {
  const response = await send("POST", path, body);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function send(method, path, body, keepalive = false) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": pageData.csrf };
  const options = { method, headers, keepalive, body: JSON.stringify(body) };
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw { detail: word("unreachable"), hint: "" };
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw { detail: answer.detail ?? word("refused"), hint: answer.hint ?? "" };
}

// Fields with data-optional are left out while empty; those with data-json are no text, and a box
// that can be ticked is true or false.
function readCommand(form, submitter) {
  const body = Object.fromEntries(new FormData(form, submitter));
  for (const field of form.querySelectorAll("[data-optional]")) {
    if (!field.value.trim()) delete body[field.name];
  }
  const [ticks, others] = [new Map(), new Set()];
  for (const { type, name, checked } of form.querySelectorAll("[data-json]")) {
    if (type === "checkbox") ticks.set(name, checked);
    else others.add(name);
  }
  for (const { name, value, checked } of form.querySelectorAll("[data-list]")) {
    body[name] = (Array.isArray(body[name]) ? body[name] : []).concat(checked ? value : []);
  }
  for (const name of others) body[name] = JSON.parse(body[name]);
  for (const { name, value } of form.querySelectorAll("[data-always]")) {
    body[name] = [value].concat(Array.isArray(body[name]) ? body[name] : []).filter((each, place, all) => all.indexOf(each) === place);
  }
  for (const { name, value } of form.querySelectorAll("[data-hundredths]")) body[name] = Math.round(Number(value) * 100);
  for (const { name, value } of form.querySelectorAll("[data-lines]")) {
    body[name] = value.split("\n").map((line) => line.trim()).filter(Boolean);
  }
  Object.assign(body, Object.fromEntries(ticks));
  const method = form.dataset.method ?? "POST";
  const [andThen, then] = [fill(form.dataset.andThen, body), form.dataset.then];
  const next = form.querySelector("option[data-and-wait]:checked") ? undefined : andThen;
  // What is chosen about a deletion stands in its address: a DELETE has no body.
  const chosen = method === "DELETE" && Object.keys(body).length;
  const path = chosen ? `${form.dataset.call}?${new URLSearchParams(body)}` : form.dataset.call;
  return { method, path, body: chosen ? {} : body, next, then };
}

function fill(path, values) {
  return path?.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name]));
}

async function sendCommand({ method, path, body, next }, keepalive = false) {
  const answer = await call(method, path, body, keepalive);
  if (next) await call("POST", next, {}, keepalive);
  return answer;
}

function announceStage(stage, form, answer = null) {
  document.dispatchEvent(new CustomEvent("command", { detail: { stage, form, answer } }));
}

async function submitCommand(form, command) {
  const button = form.querySelector("button:not([type=button])");
  button.disabled = true;
  if (command.then) document.body.dataset.leaving = "";
  try {
    const answer = await sendCommand(command);
    if (form.dataset.once) showOnce(form, answer[form.dataset.once]);
    else finishForm(form, fill(command.then, { ...command.body, ...answer }));
    announceStage("sent", form, answer);
  } catch (problem) {
    delete document.body.dataset.leaving;
    showProblem(form, problem);
  } finally {
    button.disabled = false;
  }
}

function showOnce(form, value) {
  form.querySelector("[data-once-before]").hidden = true;
  form.querySelector("[data-once-after]").hidden = false;
  const list = form.querySelector("[data-once-list]");
  if (list) {
    const lines = value.map(({ target, failure }) => `${target}: ${failure || list.dataset.good}`);
    list.replaceChildren(...(lines.length ? lines : [list.dataset.none]).map(buildItem));
    return;
  }
  const field = form.querySelector("[data-once-value]");
  field.value = value;
  field.select();
}

function buildItem(text) {
  return Object.assign(document.createElement("li"), { textContent: text });
}

function finishForm(form, then) {
  const { done, regret } = form.dataset;
  closeDialog(form);
  if (done && regret) toast(done, { seconds: REGRET_SECONDS, onUndo: () => openDialog(regret) });
  else if (done) toast(done);
  if (then) location.assign(then);
}

// Waits before it sends; a page that is left meanwhile sends at once: the person did decide.
function delayCommand(form, command) {
  const done = form.dataset.done;
  closeDialog(form);
  const leave = () => sendCommand(command, true);
  const commit = () => {
    removeEventListener("pagehide", leave);
    sendCommand(command).then(
      (answer) => announceStage("sent", form, answer),
      ({ detail, hint }) => {
        toast(`${detail} ${hint}`);
        announceStage("refused", form);
      },
    );
  };
  addEventListener("pagehide", leave, { once: true });
  toast(done, {
    seconds: Number(form.dataset.undo),
    onUndo: () => {
      removeEventListener("pagehide", leave);
      announceStage("undone", form);
    },
    onEnd: commit,
  });
  announceStage("delayed", form);
}

function showProblem(form, { detail, hint }) {
  const place = form.querySelector(".problem");
  if (!place) {
    toast(`${detail} ${hint}`);
    return;
  }
  place.textContent = `${detail} ${hint}`;
  place.hidden = false;
}
