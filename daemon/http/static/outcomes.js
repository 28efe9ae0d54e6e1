// Outcomes outside the chats: the undo of one, and 1 to 5 on a row of a list that has the focus.
import { call } from "./calls.js";
import { openDialog } from "./dialogs.js";
import { toast } from "./toasts.js";

const UNDO_SECONDS = 10;
const PROBLEM_SECONDS = 10;

export function startOutcomes() {
  if (document.getElementById("chats")) return; // which leads to the next chat, too
  document.addEventListener("command", ({ detail }) => {
    const { outcome, chat } = detail.form.dataset;
    if (detail.stage === "sent" && outcome) offerUndo(outcome, chat, detail.answer.id);
  });
  document.addEventListener("keydown", classifyRow);
}

function offerUndo(sentence, contact, id) {
  const undo = () => call("POST", `/v1/conversations/${contact}/outcome/undo`, { id }).catch(tell);
  toast(sentence, { seconds: UNDO_SECONDS, onUndo: undo });
}

function tell({ detail, hint }) {
  toast(`${detail} ${hint}`, { seconds: PROBLEM_SECONDS });
}

async function classifyRow({ key, ctrlKey, metaKey, altKey, target }) {
  const contact = target.closest?.("[data-row]")?.dataset.classifies;
  const choice = document.querySelector(`#outcome-keys [data-key="${CSS.escape(key)}"]`);
  if (!contact || !choice || ctrlKey || metaKey || altKey || localStorage.getItem("keys") === "off") return;
  if (choice.value === "minor") return openDialog(`/pieces/chats/${contact}/minor`);
  const body = { outcome: choice.value };
  await call("POST", `/v1/conversations/${contact}/outcome`, body).then(
    ({ id }) => offerUndo(`${target.querySelector("strong").textContent}: ${choice.dataset.done}`, contact, id),
    tell,
  );
}
