// The rows of a delivery: a letter presses the button of the row that has the focus.
export function startDeliveries() {
  if (!document.getElementById("delivery")) return;
  document.addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey, target }) => {
    const row = target.closest?.(".delivery-row");
    if (!row || ctrlKey || metaKey || altKey || localStorage.getItem("keys") === "off") return;
    row.querySelector(`[data-row-key="${CSS.escape(key)}"]`)?.click();
  });
}
