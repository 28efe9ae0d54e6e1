// The box of a chat: keeps drafts, says what would become of an answer, and sends it once.
import { call, callPiece } from "./calls.js";
import { closeDialog, openDialog } from "./dialogs.js";
import { refresh } from "./live.js";
import { findTemplate } from "./text-choices.js";
import { toast } from "./toasts.js";

const CHECK_DELAY = 400;
const DRAFT_DELAY = 700;
const PROBLEM_SECONDS = 10;
const UNDO_SECONDS = 5;
const keys = new Map();
let draftTimer = null;
let checkTimer = null;
let checks = 0;
let checkedMode = null;

const box = () => document.getElementById("chat-box");
const field = () => document.getElementById("chat-text");
export const openChat = () => document.querySelector("#chat [data-chat]")?.dataset.chat;
export const path = (contact) => `/v1/conversations/${contact}`;

export function startBox() {
  document.addEventListener("input", ({ target }) => target.id === "chat-text" && followTyping());
  document.addEventListener("keydown", sendByKey);
  document.addEventListener("submit", (event) => {
    const { reply, takesOver } = event.target.dataset;
    if (reply === undefined && takesOver === undefined) return;
    event.preventDefault();
    if (takesOver !== undefined) closeDialog(event.target);
    sendReply(takesOver !== undefined);
  });
  document.addEventListener("click", ({ target }) => {
    const focus = target.closest("[data-focus]");
    if (focus) document.querySelector(focus.dataset.focus)?.focus();
    const text = target.closest("[data-write]");
    if (text) write(text.dataset.write);
  });
}

export function refreshChat() {
  const piece = document.getElementById("chat-open");
  if (piece) refresh(piece, { own: true });
}

// Says of a draft that was opened, or of a box that has changed, what would become of it.
export function checkBox() {
  const mode = box() && `${openChat()} ${box().dataset.mode}`;
  if (mode === checkedMode) return;
  checkedMode = mode;
  if (mode) checkLater();
}

function followTyping() {
  keepDraft();
  checkLater();
}

function keepDraft() {
  const contact = openChat();
  const first = draftTimer === null;
  clearTimeout(draftTimer);
  const save = () => {
    const text = openChat() === contact && field();
    if (text) call("POST", `${path(contact)}/draft`, { text: text.value }).catch(() => undefined);
  };
  if (first) save(); // the first key says that somebody answers this chat
  draftTimer = setTimeout(() => {
    draftTimer = null;
    save();
  }, DRAFT_DELAY);
}

// No answer is shown while one is due, and an older one never replaces a newer one.
function checkLater() {
  clearTimeout(checkTimer);
  checks += 1;
  const mine = checks;
  document.getElementById("chat-verdict").replaceChildren();
  if (!field().value.trim()) return;
  checkTimer = setTimeout(async () => {
    const form = box();
    const text = field().value;
    const asked = { text, template: findTemplate(text) };
    const piece = await callPiece(form.dataset.check, asked).catch(() => "");
    if (mine === checks && form.isConnected) document.getElementById("chat-verdict").innerHTML = piece;
  }, CHECK_DELAY);
}

function sendByKey(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  if (!event.target.closest?.("[data-reply]")) return;
  event.preventDefault();
  sendReply();
}

// One key for each box until it is sent, so that two taps send one message.
async function sendReply(takeOver = false) {
  const [form, text] = [box(), field()];
  if (!form) return;
  if (!text.value.trim()) return text.focus();
  if (form.dataset.takeOver && !takeOver) return openDialog(form.dataset.takeOver);
  const [contact, sent] = [openChat(), text.value.trim()];
  if (!keys.has(contact)) keys.set(contact, crypto.randomUUID());
  const seen = document.getElementById("chat-inner").dataset.lastSeen;
  const template = findTemplate(sent);
  const body = { text: sent, last_seen: seen, key: keys.get(contact), template, take_over: takeOver };
  clearTimeout(draftTimer);
  draftTimer = null;
  try {
    const message = await call("POST", `${path(contact)}/reply`, body);
    keys.delete(contact);
    if (openChat() === contact) empty(text);
    refreshChat();
    offerUndo(form.dataset.undoWord, contact, message.id, sent);
  } catch ({ detail, hint }) {
    toast(`${detail} ${hint}`, { seconds: PROBLEM_SECONDS });
    await call("POST", `${path(contact)}/draft`, { text: text.value }).catch(() => undefined);
    refreshChat();
  }
}

function empty(text) {
  text.value = "";
  checkLater();
}

function offerUndo(sentence, contact, message, text) {
  const onUndo = async () => {
    try {
      await call("POST", `/v1/messages/${message}/cancel`, { reason: "taken back" });
    } catch ({ detail, hint }) {
      toast(`${detail} ${hint}`);
      return;
    }
    if (openChat() === contact && field()) write(text);
    else await call("POST", `${path(contact)}/draft`, { text });
  };
  toast(sentence, { seconds: UNDO_SECONDS, onUndo });
}

// Writes into the box, and does not send.
function write(text) {
  field().value = text;
  field().focus();
  followTyping();
}
