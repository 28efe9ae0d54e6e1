// What the server told this page about itself: its words for scripts, its clock, its place in the log.
const meta = document.querySelector('meta[name="house"]')?.dataset ?? {};
const words = JSON.parse(document.querySelector('meta[name="words"]').content);

export const house = {
  now: Date.parse(meta.now),
  rate: Number(meta.rate ?? 1),
  seq: Number(meta.seq ?? 0),
  epoch: Number(meta.epoch ?? 0),
  csrf: meta.csrf ?? "",
  zone: meta.zone,
};

// Returns a word, with what fills its {holes}; where n is 1 its `.one`, if it has one.
export function word(key, values = {}) {
  const said = (values.n === 1 && words[`${key}.one`]) || words[key] || key;
  return said.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}
