// Stores language, theme and the browser's time zone in cookies: the server renders words and times.
import { call } from "./calls.js";
import { pageData } from "./page-data.js";

const YEAR_SECONDS = 31_536_000;

export function startPreferences() {
  storeCookie("zone", Intl.DateTimeFormat().resolvedOptions().timeZone);
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-set]");
    if (!button) return;
    const { set, value } = button.dataset;
    storeCookie(set, value);
    keepForUser(set, value).finally(() => location.reload());
  });
}

// The language is the person's: it holds in the next browser that they sign in with, too.
async function keepForUser(set, value) {
  if (set !== "language" || !pageData.csrf) return;
  await call("POST", "/v1/sign-in/language", { language: value }).catch(() => {});
}

function storeCookie(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR_SECONDS}; SameSite=Strict`;
}
