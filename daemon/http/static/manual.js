// Sends by hand: the chat opens in a tab of its own, and the desk follows each step at once.
import { refresh } from "./live.js";

export function startManual() {
  const desk = document.getElementById("manual");
  if (!desk) return;
  document.addEventListener("order", ({ detail: { stage, answer } }) => {
    if (stage !== "given") return;
    if (answer?.link) openChat(answer.link);
    refresh(desk, { own: true });
  });
  document.body.addEventListener("htmx:configRequest", ({ target, detail }) => {
    if (target === desk) detail.parameters.was = desk.querySelector("[data-open]")?.dataset.open ?? "";
  });
}

function openChat(link) {
  const anchor = document.createElement("a");
  Object.assign(anchor, { href: link, target: "_blank", rel: "noopener noreferrer" });
  anchor.click();
}
