// A masked number is shown whole to whoever presses it; the server writes down who did.
import { call } from "./calls.js";
import { toast } from "./toasts.js";

export function startNumbers() {
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("[data-reveal]");
    if (!button || button.dataset.masked) return;
    const { reveal, revealKind } = button.dataset;
    try {
      const { phone } = await call("POST", "/reveal", { kind: revealKind, id: reveal });
      const said = button.querySelector("span");
      button.dataset.masked = said.textContent;
      said.textContent = phone;
      button.setAttribute("aria-label", phone);
    } catch ({ detail, hint }) {
      toast(`${detail} ${hint}`);
    }
  });
}
