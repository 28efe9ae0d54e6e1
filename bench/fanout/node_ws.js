// node's `ws` as its own README broadcasts: one JSON text, sent to each client in turn.
"use strict";
const { WebSocketServer, WebSocket } = require("ws");
const readline = require("node:readline");

const pad = (number, width) => String(number).padStart(width, "0");
const event = (number, last, size) => ({
  frame: "event", seq: number, epoch: 1, type: "message.changed",
  at: "2026-03-03T14:00:00.000Z", subject: `msg_${pad(number, 26)}`,
  data: {
    state: "sent", previous: "sending", reason_code: "acknowledged",
    sentence: "WhatsApp acknowledged the message." + ".".repeat(size),
    session: "ventas", channel: "simulated", contact: `t${pad(process.hrtime.bigint(), 20)}`,
    decision: number === last ? "the-end" : "dec_01J8ZZZZZZZZZZZZZZZZZZZZZZ", due_at: null,
  },
});

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false }, () =>
  say({ address: `http://127.0.0.1:${server.address().port}/ leadmaster.v1` }));
const say = (answer) => console.log(JSON.stringify(answer));
server.on("connection", (client) => client.send(JSON.stringify({ frame: "subscribed" })));

async function send({ count, burst, size, pause }) {
  const began = Number(process.hrtime.bigint()) / 1e9;
  const used = process.cpuUsage();
  for (let number = 0; number < count; number += 1) {
    const text = JSON.stringify(event(number, count - 1, size));
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(text);
    }
    if (number % burst === burst - 1) {
      await new Promise((done) => (pause ? setTimeout(done, pause * 1000) : setImmediate(done)));
    }
  }
  const { user, system } = process.cpuUsage(used);
  say({ began, cpu: (user + system) / 1e6, rss: process.resourceUsage().maxRSS });
}

readline.createInterface({ input: process.stdin })
  .on("line", (line) => send(JSON.parse(line)))
  .on("close", () => process.exit(0));
