// Language, light or dark, and the zone where this browser is: kept in cookies, because the server
// writes the words and the times.
const YEAR = 31_536_000;

export function startPreferences() {
  keep("zone", Intl.DateTimeFormat().resolvedOptions().timeZone);
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-set]");
    if (!button) return;
    const { set, value } = button.dataset;
    keep(set, value);
    location.reload();
  });
}

function keep(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR}; SameSite=Strict`;
}
