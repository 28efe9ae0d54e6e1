// Dialogs: a button with data-dialog fetches its content, so that the counts in it are current.
import { word } from "./page-data.js";
import { toast } from "./toasts.js";

const dialog = () => document.getElementById("dialog");
let opening = false;

export function startDialogs() {
  document.addEventListener("click", ({ target }) => {
    const opener = target.closest("[data-dialog]");
    if (opener) openDialog(opener.dataset.dialog);
    const shown = target.closest("[data-show]");
    if (shown) document.getElementById(shown.dataset.show).showModal();
    const suggestion = target.closest("[data-fill]");
    if (suggestion) fillReason(suggestion);
    if (target.closest("[data-close]")) target.closest("dialog").close();
    if (target instanceof HTMLDialogElement) target.close(); // a press on the backdrop
  });
}

// Returns whether it is open. What an earlier question left is never shown for another one, and one question is asked at a time.
export async function openDialog(path) {
  const place = dialog();
  if (opening || place.open) return false;
  opening = true;
  place.replaceChildren();
  const question = { source: place, target: place, swap: "innerHTML" };
  let problem = "";
  const listen = ({ detail }) => { problem = readProblem(detail.xhr.responseText); };
  place.addEventListener("htmx:responseError", listen);
  const sent = await htmx.ajax("GET", path, question).then(() => true, () => false);
  place.removeEventListener("htmx:responseError", listen);
  opening = false;
  if (!place.firstElementChild) {
    toast(problem || word(sent ? "refused" : "unreachable"));
    return false;
  }
  place.showModal();
  place.querySelector("[data-select]")?.select();
  return true;
}

// The sentence and the hint of a problem that is answered as a piece of a page.
function readProblem(text) {
  const piece = new DOMParser().parseFromString(text, "text/html").querySelector("[role=alert]");
  return piece ? [...piece.querySelectorAll("h1, p")].map((each) => each.textContent).join(" ") : "";
}

// Fills a suggested reason into the field.
function fillReason(suggestion) {
  const field = suggestion.closest("form").elements.namedItem("reason");
  field.value = suggestion.textContent;
  field.focus();
}

// Closes the dialog around this element, if there is one.
export function closeDialog(element) {
  element.closest("dialog")?.close();
}
