// Sends by hand: opens the chat in a tab of its own, and refreshes the page after each step.
import { refresh } from "./live.js";

export function startManual() {
  const page = document.getElementById("manual");
  if (!page) return;
  document.addEventListener("command", ({ detail: { stage, answer } }) => {
    if (stage !== "sent") return;
    if (answer?.link) openChat(answer.link);
    refresh(page, { own: true });
  });
  document.body.addEventListener("htmx:configRequest", ({ target, detail }) => {
    if (target === page) detail.parameters.was = page.querySelector("[data-open]")?.dataset.open ?? "";
  });
}

export function openChat(link) {
  const anchor = document.createElement("a");
  Object.assign(anchor, { href: link, target: "_blank", rel: "noopener noreferrer" });
  anchor.click();
}
