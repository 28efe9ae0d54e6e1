// Stores language, theme and the browser's time zone in cookies: the server renders words and times.
const YEAR_SECONDS = 31_536_000;

export function startPreferences() {
  storeCookie("zone", Intl.DateTimeFormat().resolvedOptions().timeZone);
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-set]");
    if (!button) return;
    const { set, value } = button.dataset;
    storeCookie(set, value);
    location.reload();
  });
}

function storeCookie(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR_SECONDS}; SameSite=Strict`;
}
