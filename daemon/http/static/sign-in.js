// Signs in: with what stands behind the # of a one-time link, or with a name and a password.
import { startPreferences } from "./preferences.js";
import { word } from "./house.js";

const page = document.getElementById("main");
const form = document.getElementById("sign-in");
const problem = form.querySelector(".problem");

startPreferences();
form.addEventListener("submit", (event) => {
  event.preventDefault();
  enter("/v1/sign-in", Object.fromEntries(new FormData(form)));
});
const link = location.hash.slice(1);
if (link) {
  history.replaceState(null, "", location.pathname + location.search); // spent, and not to be kept
  document.getElementById("by-link").hidden = false;
  form.hidden = true;
  enter("/v1/sign-in/link", { link });
}

async function enter(path, body) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options).catch(() => null);
  if (response?.ok) {
    location.replace(page.dataset.back);
    return;
  }
  const said = (await response?.json().catch(() => null)) ?? { detail: word("unreachable"), hint: "" };
  document.getElementById("by-link").hidden = true;
  form.hidden = false;
  problem.textContent = `${said.detail} ${said.hint}`;
  problem.hidden = false;
}
