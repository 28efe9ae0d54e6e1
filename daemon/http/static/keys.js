// The keyboard: g and a letter go somewhere, j and k move, a control's own letter presses it.
import { openDialog } from "./dialogs.js";
import { pageData } from "./page-data.js";

const CHORD = 3000; // between two presses, whenever the page gets round to them
let begun = -Infinity;

export function startKeys() {
  const choice = document.getElementById("keys-on");
  choice.checked = localStorage.getItem("keys") !== "off";
  choice.addEventListener("change", () => {
    localStorage.setItem("keys", choice.checked ? "on" : "off");
  });
  document.addEventListener("keydown", (event) => {
    if (!choice.checked || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    if (press(event)) event.preventDefault();
  });
}

// A dialog that was closed keeps the focus until the next frame: what is hidden takes no letters.
function isTyping({ target }) {
  return Boolean(target.closest?.("input, select, textarea, dialog[open]")?.checkVisibility());
}

function press({ key, timeStamp }) {
  const chord = timeStamp - begun < CHORD;
  begun = -Infinity;
  if (chord) return go(key);
  switch (key) {
    case "g":
      begun = timeStamp;
      return true;
    case "j":
      return move(1);
    case "k":
      return move(-1);
    case "/":
      return focus(document.querySelector("[data-search]"));
    case "?":
      document.getElementById("help").showModal();
      return true;
    case "H":
      openDialog("/pieces/halt");
      return true;
    case "Enter":
      return open();
    default:
      return click(`[data-shortcut="${CSS.escape(key)}"]`);
  }
}

function go(letter) {
  const path = pageData.places[letter];
  if (path) location.assign(path);
  return Boolean(path);
}

function click(selector) {
  const found = [...document.querySelectorAll(selector)].find((each) => each.checkVisibility());
  found?.click();
  return Boolean(found);
}

function focus(element) {
  element?.focus();
  return Boolean(element);
}

function move(step) {
  const rows = [...document.querySelectorAll("main [data-row]")].filter((row) => row.checkVisibility());
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  return focus(rows[Math.min(rows.length - 1, Math.max(0, here + step))]);
}

// A row that is a link opens by itself; in any other one, its first link or fold does. With the focus
// on nothing that enter presses, or on the row that a person has opened, it presses what has it as its
// letter: a row that the page opened by itself is opened first.
function open() {
  const focused = document.activeElement;
  const row = focused?.closest("[data-row]:not(a)");
  const link = row === focused ? row?.querySelector("a[href], summary") : null;
  link?.click();
  const isOpen = focused?.matches("[data-chosen] [data-row][aria-current]");
  const takes = !isOpen && focused?.closest("a, button, summary, label, [data-row]");
  return Boolean(link) || (!takes && click('[data-shortcut="Enter"]'));
}
