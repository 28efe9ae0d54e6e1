// Imports a list: uploads the file, shows the preview, starts the import and shows its progress.
import { readLines } from "./ndjson.js";
import { pageData, word } from "./page-data.js";

export function startImports() {
  const place = document.getElementById("import");
  if (!place) return;
  const field = place.querySelector("input[type=file]");
  field.addEventListener("change", () => field.files.length && uploadFile(place, field.files[0]));
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) uploadFile(place, event.dataTransfer.files[0]);
  });
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-import]");
    if (button) startImport(button);
  });
  watchOptions();
}

// A preview is about the options that it was asked with: from the first change until the next one
// is here the button is off, and an answer that is older than a change is left out, so that no
// field gets back what a person has replaced.
function watchOptions() {
  const isOptions = (element) => element?.closest?.("#import-options");
  let changed = false;
  // Not "change": it comes when a field is left, which the very click on the button does.
  document.addEventListener("input", ({ target }) => {
    if (!isOptions(target)) return;
    changed = true;
    for (const button of document.querySelectorAll("[data-import], [data-plan]")) {
      button.disabled = true;
      button.textContent = word("reading");
    }
  });
  document.addEventListener("htmx:beforeRequest", ({ target }) => {
    if (isOptions(target)) changed = false;
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id === "preview" && changed) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:sendError", ({ target }) => {
    if (isOptions(target)) showProblem(document.getElementById("preview"), word("unreachable"));
  });
}

const post = (path, body, type) =>
  fetch(path, {
    method: "POST",
    headers: { "Content-Type": type, "X-CSRF-Token": pageData.csrf },
    body,
  }).catch(() => null);

async function uploadFile(place, file) {
  showProblem(place, "");
  place.setAttribute("aria-busy", "true");
  const path = `/v1/uploads?filename=${encodeURIComponent(file.name)}`;
  const response = await post(path, file, "application/octet-stream");
  const answer = await response?.json().catch(() => ({}));
  place.removeAttribute("aria-busy");
  if (!response?.ok) {
    showProblem(place, describeProblem(answer));
    return;
  }
  const preview = `${place.dataset.preview}?upload=${answer.upload}`;
  await htmx.ajax("GET", preview, "#preview");
  document.querySelector("#preview h2")?.scrollIntoView({ block: "start" });
}

function describeProblem(answer) {
  if (answer?.code === "body_too_large") return word("too_large");
  return answer ? `${answer.detail} ${answer.hint ?? ""}` : word("unreachable");
}

// Imports exactly what was previewed: the button carries the order and its plan as the server wrote
// them, and the server refuses what differs from the plan.
async function startImport(button) {
  const bar = document.querySelector("#preview progress");
  button.disabled = true;
  bar.hidden = false;
  const response = await post("/v1/imports", button.dataset.import, "application/json");
  let end = null;
  if (response?.ok) {
    await readLines(response, (line) => {
      if (line.type === "progress") Object.assign(bar, { max: line.total, value: line.done });
      else end = line;
    }).catch(() => undefined);
  }
  if (end?.type === "finished") {
    const address = `/prospects/imports/${end.report.id}`;
    location.assign(end.report.repeated ? `${address}?repeated=1` : address);
    return;
  }
  const problem = end?.problem ?? (await response?.json().catch(() => null));
  showProblem(document.getElementById("preview"), problem ? `${problem.detail} ${problem.hint}` : word("unreachable"));
  button.disabled = false;
  bar.hidden = true;
}

function showProblem(place, said) {
  const problem = place.querySelector(".problem");
  problem.textContent = said;
  problem.hidden = !said;
}
