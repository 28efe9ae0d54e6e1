// Brings a list in: hands the file over, shows what it would do, and how far it has come.
import { house, word } from "./house.js";
import { readLines } from "./lines.js";

export function startImports() {
  const place = document.getElementById("import");
  if (!place) return;
  const field = place.querySelector("input[type=file]");
  field.addEventListener("change", () => field.files.length && handOver(place, field.files[0]));
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) handOver(place, event.dataTransfer.files[0]);
  });
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-import]");
    if (button) bringIn(button);
  });
}

const post = (path, body, type) =>
  fetch(path, {
    method: "POST",
    headers: { "Content-Type": type, "X-CSRF-Token": house.csrf },
    body,
  }).catch(() => null);

async function handOver(place, file) {
  tell(place, "");
  place.setAttribute("aria-busy", "true");
  const path = `/v1/uploads?filename=${encodeURIComponent(file.name)}`;
  const response = await post(path, file, "application/octet-stream");
  const answer = await response?.json().catch(() => ({}));
  place.removeAttribute("aria-busy");
  if (!response?.ok) {
    tell(place, whyNot(answer));
    return;
  }
  const preview = `/pieces/imports/preview?upload=${answer.upload}`;
  await htmx.ajax("GET", preview, "#preview");
  document.querySelector("#preview h2")?.scrollIntoView({ block: "start" });
}

function whyNot(answer) {
  if (answer?.code === "body_too_large") return word("too_large");
  return answer ? `${answer.detail} ${answer.hint ?? ""}` : word("unreachable");
}

// Imports exactly what was previewed: the button carries the order as the server wrote it.
async function bringIn(button) {
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
    location.assign(`/prospects/imports/${end.report.id}`);
    return;
  }
  const problem = end?.problem ?? (await response?.json().catch(() => null));
  tell(document.getElementById("preview"), problem ? `${problem.detail} ${problem.hint}` : word("unreachable"));
  button.disabled = false;
  bar.hidden = true;
}

function tell(place, said) {
  const problem = place.querySelector(".problem");
  problem.textContent = said;
  problem.hidden = !said;
}
