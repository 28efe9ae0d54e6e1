// A masked number is shown whole to whoever presses it; the server writes down who did.
import { call } from "./calls.js";
import { toast } from "./toasts.js";

export function startNumbers() {
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("[data-reveal]");
    if (!button || button.dataset.shown) return;
    const { reveal, revealKind } = button.dataset;
    try {
      const { phone } = await call("POST", "/reveal", { kind: revealKind, id: reveal });
      button.querySelector("span").textContent = phone;
      button.setAttribute("aria-label", phone);
      button.dataset.shown = "yes";
    } catch ({ detail, hint }) {
      toast(`${detail} ${hint}`);
    }
  });
}
