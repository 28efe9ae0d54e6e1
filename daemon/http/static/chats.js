// The page of chats: opens them and marks them as read, follows what is done to one, and leads to the
// next one that waits once a chat is done.
import { call } from "./calls.js";
import { checkBox, openChat, path, refreshChat, startBox } from "./chat-box.js";
import { startPresence, view } from "./chat-presence.js";
import { refresh } from "./live.js";
import { word } from "./page-data.js";
import { toast } from "./toasts.js";

const OUTCOME_UNDO_SECONDS = 10;
const decided = new Set();

const place = () => document.getElementById("chats");
const rows = () => [...document.querySelectorAll("#chat-list [data-chat]")];
const refreshList = () => refresh(document.getElementById("chat-list"), { own: true });

export function startChats() {
  if (!place()) return;
  startBox();
  startPresence();
  document.addEventListener("click", ({ target }) => {
    const row = target.closest("#chat-list a");
    if (!row) return;
    place().dataset.chosen = "";
    // What is pressed meanwhile must not be meant for the one that was open before.
    if (row.dataset.chat !== openChat()) document.getElementById("chat").replaceChildren();
  });
  document.addEventListener("command", ({ detail }) => follow(detail));
  document.body.addEventListener("htmx:afterSwap", ({ target }) => arrange(target));
  arrange(document.getElementById("chat"));
}

// Marks the row of the open chat; who opens one has read it, which ends nobody's wait.
function arrange(target) {
  const current = openChat();
  for (const row of rows()) {
    if (row.dataset.chat === current) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
  for (const question of document.querySelectorAll("[data-question]")) {
    question.hidden = decided.has(question.dataset.question);
  }
  checkBox();
  const visible = document.getElementById("chat").checkVisibility();
  view(visible ? current : null);
  if (target.id !== "chat") return;
  const lines = document.getElementById("talk-lines");
  if (lines) lines.scrollTop = lines.scrollHeight;
  if (!current || !visible) return;
  call("POST", `${path(current)}/read`, { read: true }).then(refreshList, () => undefined);
}

// What was done to a chat: an outcome can be undone, and a chat that is done leads to the next one.
function follow({ stage, form, answer }) {
  const { outcome, chat, leaves, reopens, unreads, settles, revealsChat } = form.dataset;
  if (settles) return followAnswer(stage, settles);
  if (stage !== "sent") return;
  if (revealsChat !== undefined) return showLines(answer.items);
  if (outcome) offerUndo(outcome, chat, answer.id);
  if (outcome || leaves) openNext(chat ?? leaves);
  else if (reopens) open(reopens);
  else if (unreads) refreshList();
  else refreshChat();
}

// What a message meant: the question goes while the answer can be taken back, and comes again then.
function followAnswer(stage, question) {
  if (stage === "undone" || stage === "refused") decided.delete(question);
  else decided.add(question);
  arrange(place());
  if (stage === "sent") refreshChat();
}

function offerUndo(sentence, chat, outcome) {
  if (outcome === null) return;
  const undo = () => call("POST", `${path(chat)}/outcome/undo`, { id: outcome });
  const onUndo = () => undo().then(() => open(chat), ({ detail, hint }) => toast(`${detail} ${hint}`));
  toast(sentence, { seconds: OUTCOME_UNDO_SECONDS, onUndo });
}

function openNext(after) {
  const all = rows();
  const at = all.findIndex((row) => row.dataset.chat === after);
  // Not by what is visible: on a phone the list is hidden behind the chat.
  const others = [...all.slice(at + 1), ...all.slice(0, Math.max(0, at))];
  const next = others.find((row) => !row.closest("details:not([open])"));
  if (next) return open(next.dataset.chat);
  document.getElementById("chat").replaceChildren(
    document.getElementById("no-chat").content.cloneNode(true),
  );
  view(null);
  history.replaceState(null, "", `/chats?tab=${place().dataset.tab}`);
  refreshList();
}

function open(contact) {
  htmx.ajax("GET", `/pieces/chats/${encodeURIComponent(contact)}`, "#chat");
  history.replaceState(null, "", `/chats/${encodeURIComponent(contact)}?tab=${place().dataset.tab}`);
}

// A stranger's words, which the server gives only to who asks for them, and notes that.
function showLines(lines) {
  const list = document.getElementById("talk-lines");
  list.dataset.kept = "";
  list.replaceChildren(
    ...lines.map((line) => {
      const item = document.createElement("li");
      item.className = line.theirs ? "theirs" : "ours";
      const bubble = item.appendChild(document.createElement("p"));
      bubble.className = "bubble";
      bubble.textContent = line.text || word("no_text");
      return item;
    }),
  );
  document.getElementById("reveal-chat").hidden = true;
  document.getElementById("stranger-choices").hidden = false;
  for (const id of ["reveal-chat", "stranger-choices"]) document.getElementById(id).dataset.kept = "";
}
