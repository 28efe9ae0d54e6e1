// The event stream as lines over HTTP. Whoever listens is told each event, and when it opens or ends.
const SILENCE = 25_000; // the server writes an empty line every 15 s

// Listens from `after` on until it ends; returns a function that ends it.
export function listen({ after, onOpen, onEvent, onEnd }) {
  const abort = new AbortController();
  let watch;
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => abort.abort(), SILENCE);
  };
  read(`/v1/events?after=${after}`, abort.signal, heard, onOpen, onEvent)
    .catch(() => undefined)
    .finally(() => {
      clearTimeout(watch);
      onEnd();
    });
  return () => abort.abort();
}

async function read(path, signal, heard, onOpen, onEvent) {
  heard();
  const response = await fetch(path, { signal, cache: "no-store" });
  if (!response.ok) return;
  onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.filter(Boolean).forEach((line) => onEvent(JSON.parse(line)));
  }
}
