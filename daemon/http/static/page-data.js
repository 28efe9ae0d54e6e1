// What the server told this page: the words of scripts, its clock, its place in the event log.
const meta = document.querySelector('meta[name="page-data"]')?.dataset ?? {};
const words = JSON.parse(document.querySelector('meta[name="words"]').content);

export const pageData = {
  now: Date.parse(meta.now),
  rate: Number(meta.rate ?? 1),
  seq: Number(meta.seq ?? 0),
  epoch: Number(meta.epoch ?? 0),
  csrf: meta.csrf ?? "",
  zone: meta.zone,
  places: JSON.parse(meta.places ?? "{}"),
};

// Returns a word with its {placeholders} filled; where n is 1 its `.one`, if it has one.
export function word(key, values = {}) {
  const text = (values.n === 1 && words[`${key}.one`]) || words[key] || key;
  return text.replace(/\{(\w+)\}/g, (placeholder, name) => values[name] ?? placeholder);
}
