// The editor of a text: chips write variables, and what is typed is shown on three real people.
import { callPiece } from "./calls.js";

const DELAY = 400;
let field = null;
let timer = null;
let previews = 0;
let people = 0; // which three of those who are found

export function startTexts() {
  const form = document.getElementById("text-editor");
  if (!form) return;
  field = form.elements.namedItem("body");
  form.addEventListener("focusin", ({ target }) => {
    if (target.matches("textarea")) field = target;
  });
  form.addEventListener("input", () => follow(form));
  const filter = document.getElementById("preview-filter");
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", () => showOthers(form, 0));
  document.getElementById("text-preview").addEventListener("click", ({ target }) => {
    const page = target.closest("[data-preview-page]")?.dataset.previewPage;
    if (page !== undefined) showOthers(form, Number(page));
  });
  form.addEventListener("click", ({ target }) => {
    const chip = target.closest("[data-variable]");
    if (!chip) return;
    field.setRangeText(`{${chip.dataset.variable}}`, field.selectionStart, field.selectionEnd, "end");
    field.focus();
    follow(form);
  });
  follow(form);
}

function showOthers(form, page) {
  people = page;
  follow(form);
}

// No preview is shown while one is due, and an older one never replaces a newer one.
function follow(form) {
  const [body, footer] = ["body", "footer"].map((name) => form.elements.namedItem(name)?.value ?? "");
  const fallbacks = {};
  for (const label of form.querySelectorAll("[data-for-variable]")) {
    label.hidden = !`${body}${footer}`.includes(`{${label.dataset.forVariable}}`);
    const words = label.querySelector("input").value.trim();
    if (words && !label.hidden) fallbacks[label.dataset.forVariable] = words;
  }
  form.elements.namedItem("fallbacks").value = JSON.stringify(fallbacks);
  clearTimeout(timer);
  previews += 1;
  const mine = previews;
  const place = document.getElementById("text-preview");
  place.replaceChildren();
  if (!body.trim()) return;
  timer = setTimeout(async () => {
    const typed = { purpose: form.dataset.purpose, body, footer, fallbacks, ...readFilter() };
    const piece = await callPiece("/pieces/texts/preview", typed).catch(() => "");
    if (mine === previews) place.innerHTML = piece;
  }, DELAY);
}

function readFilter() {
  const chosen = Object.fromEntries(new FormData(document.getElementById("preview-filter")));
  const filled = Object.entries(chosen).filter(([, value]) => value.trim());
  return { ...Object.fromEntries(filled), page: people };
}
