// The event stream, `leadmaster.v1` over a WebSocket. Whoever listens is told each event, when the
// stream is open, when what it missed can't be told (so that all is fetched anew), and when it ends.
const PROTOCOL = "leadmaster.v1";
const PROBE_EVERY = 1_000;
const PROBE_LIMIT = 800;
const SLOW = 4;
let usual = 0;

// Listens from a place in the log on; returns a function that ends it.
export function listen(place, { onOpen, onEvent, onResync, onEnd }) {
  const address = new URL("/v1/events", location.href);
  address.protocol = location.protocol.replace("http", "ws");
  address.search = new URLSearchParams(place);
  const socket = new WebSocket(address, PROTOCOL);
  const probing = setInterval(() => probe(socket), PROBE_EVERY);
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
    const said = JSON.parse(data);
    if (said.frame === "subscribed") onOpen();
    else if (said.frame === "snapshot") onResync(said);
    else if (said.frame === "event" || said.frame === "qr") onEvent(said);
  });
  return end;
}

// A line that broke without a word is noticed by asking something else of the same server, for as
// long as somebody looks; where answers usually take long, they may.
async function probe(socket) {
  if (document.hidden) return;
  const asked = performance.now();
  const signal = AbortSignal.timeout(Math.max(PROBE_LIMIT, SLOW * usual));
  const answer = await fetch("/health", { signal, cache: "no-store" }).catch(() => null);
  if (answer) usual = performance.now() - asked;
  else socket.dispatchEvent(new Event("silent"));
}
