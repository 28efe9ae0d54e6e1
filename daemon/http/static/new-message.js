// A new message to one person: says while it is typed what would become of it, and sends it once.
import { call, callPiece } from "./calls.js";
import { findTemplate } from "./text-choices.js";
import { toast } from "./toasts.js";

const CHECK_DELAY = 400;
const UNDO_SECONDS = 5;
const LINKS = /\s*(?:https?:\/\/|www\.|wa\.me\/)\S+/gi;
let timer = null;
let latest = 0;
let key = crypto.randomUUID();

const form = () => document.getElementById("new-message");
const sheet = () => document.getElementById("sheet");
const verdict = () => document.getElementById("verdict");

export function startNewMessage() {
  if (!form()) return;
  sheet().addEventListener("input", () => {
    verdict().replaceChildren(); // no answer is shown while one to what was typed is due
    check(CHECK_DELAY);
  });
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  sheet().addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form().requestSubmit();
  });
  sheet().addEventListener("click", ({ target }) => target.closest("[data-remove-link]") && removeLink());
  // What was done about a "no" changes the answer: a consent, a checked number, a resumed halt.
  verdict().addEventListener("refresh", () => check(0));
  document.addEventListener("command", ({ detail }) => detail.stage === "sent" && check(0));
}

function readMessage() {
  const { text, session, when } = Object.fromEntries(new FormData(form()));
  const message = { to: form().dataset.to, text, template: findTemplate(text) };
  if (session) message.session = session;
  if (when) message.not_before = new Date(when).toISOString();
  return message;
}

// Asks what would become of the message; an older answer never replaces a newer one.
function check(delay) {
  clearTimeout(timer);
  latest += 1;
  const mine = latest;
  const message = readMessage();
  if (!message.text.trim() || sheet().hidden) return;
  timer = setTimeout(async () => {
    const piece = await callPiece("/pieces/messages/check", message).catch(showProblem);
    if (mine !== latest) return;
    verdict().innerHTML = piece ?? "";
    htmx.process(verdict());
  }, delay);
}

function showProblem({ detail, hint }) {
  const place = document.getElementById("new-message-problem");
  place.textContent = `${detail} ${hint}`;
  place.hidden = false;
}

function removeLink() {
  const field = form().elements.namedItem("text");
  field.value = field.value.replace(LINKS, "").trim();
  field.focus();
  check(0);
}

// One key until it is sent, so that two taps send one message.
async function send() {
  const message = readMessage();
  if (!message.text.trim()) return;
  document.getElementById("new-message-problem").hidden = true;
  const delay = message.not_before ? 0 : UNDO_SECONDS;
  try {
    const stored = await call("POST", "/v1/messages?wait=verdict", { ...message, key, delay_seconds: delay });
    key = crypto.randomUUID();
    sheet().hidden = true;
    clearTimeout(timer);
    latest += 1;
    await showSent(stored.id);
    offerUndo(stored.id);
  } catch (problem) {
    showProblem(problem);
  }
}

const showSent = (id) =>
  htmx.ajax("GET", `/pieces/messages/${id}/sent`, { target: "#sent", swap: "innerHTML" });

function offerUndo(message) {
  const place = document.getElementById("sent");
  const onUndo = async () => {
    try {
      await call("POST", `/v1/messages/${message}/cancel`, { reason: "taken back" });
    } catch ({ detail, hint }) {
      toast(`${detail} ${hint}`);
      return;
    }
    place.replaceChildren();
    sheet().hidden = false;
    toast(place.dataset.takenBack);
    check(0);
  };
  toast(place.dataset.sent, { seconds: UNDO_SECONDS, onUndo });
}
