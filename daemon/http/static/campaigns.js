// Campaigns: a draft is saved as it is typed, a start asks again where somebody moved, and people are
// worked off one after another.
import { call, callPiece } from "./calls.js";
import { refresh } from "./live.js";
import { openChat } from "./manual.js";
import { toast } from "./toasts.js";

const SAVE_DELAY = 400;
let timer = null;
let taken = ""; // the saved filter that was just chosen
let audienceEdits = 0; // how often somebody changed a field of the audience on this page,
let savedAudienceEdits = 0; // and which of these changes the server has
let saves = Promise.resolve();
let steps = 0; // counted at the beginning and the end of each step, so that it is odd during one
const asked = new WeakMap();

const draft = () => document.getElementById("campaign-draft");
const desk = () => document.getElementById("campaign-work");

export function startCampaigns() {
  document.addEventListener("command", ({ detail }) => follow(detail));
  if (draft()) startDraft();
  if (desk()) {
    document.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-work]");
      if (button) work(button);
    });
    // What was asked for before or during a step is about somebody who is done by now.
    document.body.addEventListener("htmx:beforeSend", ({ detail }) => asked.set(detail.xhr, steps));
    document.body.addEventListener("htmx:beforeSwap", ({ target, detail }) => {
      const late = steps % 2 === 1 || asked.get(detail.xhr) !== steps;
      if (target === desk() && late) detail.shouldSwap = false;
    });
  }
  // Names that are shown are those of the new count.
  document.body.addEventListener("htmx:afterSettle", ({ target }) => {
    if (!target.id?.startsWith("campaign-")) return;
    for (const list of target.querySelectorAll("details[open] > [data-names]")) htmx.trigger(list, "names");
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.dataset.starts) return;
    event.preventDefault();
    start(event.target);
  });
}

function follow({ stage, form, answer }) {
  if (stage !== "sent") return;
  if (form.dataset.goesTo) location.assign(form.dataset.goesTo + answer.campaign.id);
  if (form.id === "make-dry-run") refreshPiece("campaign-dry-run");
  if (form.dataset.takesNext !== undefined) takeNext();
  refreshPiece("campaign-live");
}

function refreshPiece(id) {
  const piece = document.getElementById(id);
  if (piece) refresh(piece, { own: true });
}

function startDraft() {
  draft().addEventListener("submit", (event) => event.preventDefault());
  draft().addEventListener("input", ({ target }) => {
    document.getElementById("draft-saved").textContent = "";
    showText();
    clearTimeout(timer);
    if (target.name === "saved_filter") {
      taken = target.value;
      return save();
    }
    if (target.name.startsWith("audience.")) {
      taken = "";
      audienceEdits += 1;
      chooseSavedFilter("");
    }
    timer = setTimeout(save, SAVE_DELAY);
  });
  draft().addEventListener("click", ({ target }) => {
    const person = target.closest("[data-leave-out]")?.dataset.leaveOut;
    if (!person) return;
    const out = new Set(JSON.parse(draft().dataset.leftOut));
    if (!out.delete(person)) out.add(person);
    draft().dataset.leftOut = JSON.stringify([...out]);
    save();
  });
}

function showText() {
  const chosen = draft().elements.namedItem("text").value;
  for (const text of draft().querySelectorAll("[data-text-of]")) text.hidden = text.dataset.textOf !== chosen;
  draft().querySelector("[data-typed-text]").hidden = Boolean(chosen);
}

function readDraft() {
  const fields = Object.fromEntries(new FormData(draft()));
  const audience = {};
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith("audience.") && value.trim()) audience[name.slice("audience.".length)] = value.trim();
  }
  const [text, version] = fields.text.split("@");
  const body = { name: fields.name, session: fields.session, typed: fields.typed, text };
  if (version) body.text_version = Number(version);
  // What this page did not change may be another one by now, by somebody else's page.
  if (taken) body.saved_filter = taken;
  else if (audienceEdits !== savedAudienceEdits) body.audience = audience;
  return { ...body, left_out: JSON.parse(draft().dataset.leftOut) };
}

function chooseSavedFilter(id) {
  const choice = draft().elements.namedItem("saved_filter");
  if (choice) choice.value = id;
}

// The fields of the saved filter as the server has them now. What this page can't show is read anew.
function fillAudience(audience) {
  for (const field of draft().querySelectorAll("[name^='audience.']")) {
    const value = audience[field.name.slice("audience.".length)] ?? "";
    field.value = value;
    if (field.value !== value) return location.reload();
  }
  if (audience.import_id && !draft().querySelector("[name='audience.import_id']")) location.reload();
}

// One after another, so that an older draft never replaces a newer one.
function save() {
  clearTimeout(timer);
  const problem = document.getElementById("draft-problem");
  const saved = document.getElementById("draft-saved");
  const { campaign } = draft().dataset;
  saves = saves.then(async () => {
    const [body, edits] = [readDraft(), audienceEdits];
    taken = "";
    try {
      const answer = await call("PATCH", `/v1/campaigns/${campaign}`, body);
      savedAudienceEdits = edits;
      // What was typed while the answer was on its way stays.
      if (body.saved_filter && edits === audienceEdits) fillAudience(answer.campaign.audience);
      problem.hidden = true;
      saved.textContent = saved.dataset.saved;
      refreshPiece("campaign-audience");
      refreshPiece("campaign-dry-run");
    } catch ({ detail, hint }) {
      if (body.saved_filter) chooseSavedFilter("");
      problem.textContent = `${detail} ${hint}`;
      problem.hidden = false;
    }
  });
}

// Where somebody moved, nothing was started: the new dry run says who did, and is started by itself.
async function start(form) {
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await call("POST", form.dataset.starts, Object.fromEntries(new FormData(form)));
    location.reload();
  } catch ({ detail, hint }) {
    toast(`${detail} ${hint}`);
    button.disabled = false;
    refreshPiece("campaign-dry-run");
  }
}

async function work(button) {
  const path = button.dataset.work;
  button.disabled = true;
  await takeStep(async () => {
    const answer = path === "next" ? {} : await call("POST", path, {});
    if (answer.link) openChat(answer.link);
    if (path === "next" || path.endsWith("/sent")) await showNext();
  });
  button.disabled = false;
}

const takeNext = () => takeStep(showNext);

async function takeStep(step) {
  if (steps % 2 === 1) return;
  steps += 1;
  try {
    await step();
  } catch ({ detail, hint }) {
    toast(`${detail} ${hint}`);
  }
  steps += 1;
  refresh(desk(), { own: true });
}

// Not morphed: what is pressed next must not be meant for the person who was here before.
async function showNext() {
  desk().innerHTML = await callPiece(`/pieces/campaigns/${desk().dataset.campaign}/next`, {});
  htmx.process(desk());
  desk().querySelector("[data-work]")?.focus();
}
