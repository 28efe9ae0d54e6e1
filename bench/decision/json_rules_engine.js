// json-rules-engine as its own README shows it: one engine, one run for each decision.
"use strict";
const { Engine } = require("json-rules-engine");
const readline = require("node:readline");

const engines = new Map();

function engineOf(size) {
  if (!engines.has(size)) {
    const engine = new Engine();
    for (let n = 0; n < size; n += 1) {
      engine.addRule({
        conditions: { all: [
          { fact: "sent_30d", operator: "greaterThanInclusive", value: n },
          { fact: "sent_7d", operator: "lessThan", value: n + 1 },
        ] },
        event: { type: `r${n}`, params: { points: 1, reason: "r" } },
      });
    }
    engines.set(size, engine);
  }
  return engines.get(size);
}

async function decided({ count, size, every, known }) {
  const engine = engineOf(size);
  const times = [];
  let fired = 0;
  const used = process.cpuUsage();
  let before = process.hrtime.bigint();
  for (let number = 0; number < count; number += 1) {
    const [month, week] = every ? [size, 0] : [number % size, number % 7];
    const { events } = await engine.run({ ...known, sent_30d: month, sent_7d: week });
    JSON.stringify({ score: Math.min(100, 50 + events.length), fired: events });
    fired += events.length;
    const now = process.hrtime.bigint();
    times.push(Number(now - before) / 1e3);
    before = now;
  }
  const { user, system } = process.cpuUsage(used);
  times.sort((one, other) => one - other);
  return {
    p50: times[Math.floor(count / 2)], p99: times[Math.floor(count * 0.99)],
    cpu: (user + system) / count, rss: process.resourceUsage().maxRSS / 1024, fired,
  };
}

readline.createInterface({ input: process.stdin })
  .on("line", async (line) => console.log(JSON.stringify(await decided(JSON.parse(line)))));
