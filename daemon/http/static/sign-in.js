// Signs in: with the secret after the # of a one-time link, or with a name and a password.
import { word } from "./page-data.js";
import { startPreferences } from "./preferences.js";

const page = document.getElementById("main");
const form = document.getElementById("sign-in");
const problem = form.querySelector(".problem");

startPreferences();
form.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn("/v1/sign-in", Object.fromEntries(new FormData(form)));
});
const link = location.hash.slice(1);
if (link) {
  history.replaceState(null, "", location.pathname + location.search); // used up: not for the history
  document.getElementById("by-link").hidden = false;
  form.hidden = true;
  signIn("/v1/sign-in/link", { link });
}

async function signIn(path, body) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options).catch(() => null);
  if (response?.ok) {
    location.replace(page.dataset.back);
    return;
  }
  const problemDocument = (await response?.json().catch(() => null)) ?? { detail: word("unreachable"), hint: "" };
  document.getElementById("by-link").hidden = true;
  form.hidden = false;
  problem.textContent = `${problemDocument.detail} ${problemDocument.hint}`;
  problem.hidden = false;
}
