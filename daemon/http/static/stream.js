// The event stream, `leadmaster.v1` over a WebSocket: calls back when it opens, for each event, when
// missed events can't be sent (so that all is fetched anew), and when it ends.
const PROTOCOL = "leadmaster.v1";
const PROBE_INTERVAL = 1_000;
const PROBE_LIMIT = 800;
const SLOW_FACTOR = 4;
let lastDuration = 0;

// Listens from a sequence number on; returns a function that ends it.
export function listen(place, { onOpen, onEvent, onResync, onEnd }) {
  const address = new URL("/v1/events", location.href);
  address.protocol = location.protocol.replace("http", "ws");
  address.search = new URLSearchParams(place);
  const socket = new WebSocket(address, PROTOCOL);
  const probing = setInterval(() => probe(socket), PROBE_INTERVAL);
  let over = false;
  const end = () => {
    if (over) return;
    over = true;
    clearInterval(probing);
    socket.close();
    onEnd();
  };
  socket.addEventListener("close", end);
  socket.addEventListener("silent", end);
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.frame === "subscribed") onOpen();
    else if (message.frame === "snapshot") onResync(message);
    else if (message.frame === "event" || message.frame === "qr") onEvent(message);
  });
  return end;
}

// A connection that broke silently is noticed by another request to the same server, while the page
// is visible; the limit grows where answers usually take long.
async function probe(socket) {
  if (document.hidden) return;
  const asked = performance.now();
  const signal = AbortSignal.timeout(Math.max(PROBE_LIMIT, SLOW_FACTOR * lastDuration));
  const answer = await fetch("/health", { signal, cache: "no-store" }).catch(() => null);
  if (answer) lastDuration = performance.now() - asked;
  else socket.dispatchEvent(new Event("silent"));
}
