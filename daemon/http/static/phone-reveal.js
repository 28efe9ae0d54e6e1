// Shows a masked phone number whole when it is pressed; the server audits who did.
import { call } from "./calls.js";
import { toast } from "./toasts.js";

export function startPhoneReveal() {
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("[data-reveal]");
    if (!button || button.dataset.masked) return;
    const { reveal, revealKind } = button.dataset;
    try {
      const { phone } = await call("POST", "/reveal", { kind: revealKind, id: reveal });
      const text = button.querySelector("span");
      button.dataset.masked = text.textContent;
      text.textContent = phone;
      button.setAttribute("aria-label", phone);
    } catch ({ detail, hint }) {
      toast(`${detail} ${hint}`);
    }
  });
}
