// Approved texts for a box: a / in the empty box, or its button, opens those that fit the person; one
// that is chosen is written into the box, and sent with the version that it is made of.
const DELAY = 200;
const made = new Map();
let timer = null;
let latest = 0;

// The version that these words are made of, while nobody has changed them.
export const findTemplate = (words) => made.get(words.trim());

export function startTextChoices() {
  document.addEventListener("input", ({ target }) => {
    const list = target.localName === "textarea" && findList(target.id);
    if (!list) return;
    const asked = /^\/(\S*)$/.exec(target.value);
    if (asked) open(target, asked[1], DELAY);
    else close(list);
  });
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-open-texts]");
    const choice = target.closest("[data-template]");
    if (button) toggle(document.getElementById(button.dataset.openTexts));
    else if (choice) choose(choice);
  });
  document.addEventListener("keydown", move);
}

const findList = (field) => document.getElementById(`${field}-texts`);
const findField = (list) => document.getElementById(list.id.replace(/-texts$/, ""));
const listChoices = (list) => [...list.querySelectorAll("button:enabled")].filter((each) => !each.hidden);

function toggle(field) {
  const list = findList(field.id);
  if (list.hidden) open(field, "", 0).then(() => listChoices(list)[0]?.focus());
  else close(list);
}

// An older answer never replaces a newer one.
async function open(field, asked, delay) {
  const list = findList(field.id);
  clearTimeout(timer);
  latest += 1;
  const mine = latest;
  await new Promise((resolve) => (timer = setTimeout(resolve, delay)));
  const path = `/pieces/texts/choices?prospect=${encodeURIComponent(list.dataset.prospect)}`;
  const piece = await fetch(path).then((answer) => (answer.ok ? answer.text() : ""), () => "");
  if (mine !== latest) return;
  list.innerHTML = piece;
  for (const choice of list.querySelectorAll("[data-name]")) {
    choice.hidden = !choice.dataset.name.includes(asked.toLowerCase());
  }
  show(list, true);
}

function close(list) {
  latest += 1;
  show(list, false);
}

function show(list, visible) {
  list.hidden = !visible;
  const button = document.querySelector(`[aria-controls="${list.id}"]`);
  button?.setAttribute("aria-expanded", String(visible));
}

function choose({ dataset, parentElement: list }) {
  const field = findField(list);
  made.set(dataset.words.trim(), dataset.template);
  field.value = dataset.words;
  close(list);
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function move(event) {
  const list = event.target.closest?.(".text-choices") ?? findList(event.target.id);
  if (!list || list.hidden) return;
  const choices = listChoices(list);
  const at = choices.indexOf(document.activeElement);
  const next = { ArrowDown: choices[at + 1], ArrowUp: choices[at - 1] ?? findField(list) }[event.key];
  if (event.key === "Escape") close(list);
  if (event.key === "Escape") findField(list).focus();
  else if (!next || (at < 0 && event.key === "ArrowUp")) return;
  else next.focus();
  event.preventDefault();
}
