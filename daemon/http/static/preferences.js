// Language and light or dark: kept in a cookie, because the server writes the words.
const YEAR = 31_536_000;

export function startPreferences() {
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-set]");
    if (!button) return;
    const { set, value } = button.dataset;
    document.cookie = `${set}=${value}; path=/; max-age=${YEAR}; SameSite=Strict`;
    location.reload();
  });
}
