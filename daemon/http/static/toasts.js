// Short messages at the foot of the page; with onUndo one counts down and can be undone until it ends.
import { word } from "./page-data.js";

const SHOWN_SECONDS = 6;

export function toast(text, { seconds = SHOWN_SECONDS, onUndo = null, onEnd = null } = {}) {
  const place = document.getElementById("toasts");
  const item = document.createElement("div");
  item.className = "toast";
  item.setAttribute("role", "status");
  const message = document.createElement("p");
  item.append(message);
  place.append(item);
  message.textContent = text; // after it is in the page, so that it is announced
  let left = seconds;
  const button = onUndo && item.appendChild(document.createElement("button"));
  const label = () => word("undo", { n: left });
  const tick = setInterval(() => {
    left -= 1;
    if (button) button.textContent = label();
    if (left <= 0) end(onEnd);
  }, 1000);
  const end = (then) => {
    clearInterval(tick);
    item.remove();
    then?.();
  };
  if (button) {
    Object.assign(button, { type: "button", className: "button", textContent: label() });
    button.addEventListener("click", () => end(onUndo));
  }
}
