// Dialogs: a button with data-dialog fetches the question, so that its numbers are those of now.
const dialog = () => document.getElementById("dialog");

export function startDialogs() {
  document.addEventListener("click", ({ target }) => {
    const opener = target.closest("[data-dialog]");
    if (opener) openDialog(opener.dataset.dialog);
    const shown = target.closest("[data-show]");
    if (shown) document.getElementById(shown.dataset.show).showModal();
    const answer = target.closest("[data-fill]");
    if (answer) fill(answer);
    if (target.closest("[data-close]")) target.closest("dialog").close();
    if (target instanceof HTMLDialogElement) target.close(); // the ground beside it
  });
}

export async function openDialog(path) {
  const place = dialog();
  if (place.open) return;
  await htmx.ajax("GET", path, { target: place, swap: "innerHTML" });
  if (place.open) return;
  place.showModal();
  place.querySelector("[data-select]")?.select();
}

// Fills an answer that is often given into the field before it.
function fill(answer) {
  const field = answer.closest("form").elements.namedItem("reason");
  field.value = answer.textContent;
  field.focus();
}

// Closes the dialog that this element stands in, if it stands in one.
export function closeDialog(element) {
  element.closest("dialog")?.close();
}
