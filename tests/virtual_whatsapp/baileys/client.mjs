// A client of WhatsApp Web that shares no code with the library of the linked channel.
//
// `node client.mjs FOLDER` obeys lines of JSON and answers with lines of JSON, as `library_client.py`
// does; FOLDER keeps its login. The package is taken from `node_modules` of the folder that this is
// started in, as it is published: its root key and its way to the virtual WhatsApp are set in the
// memory of this process, from the same variables as the library's.

import { Console } from "node:console";
import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

// What the package prints must not come between the lines of JSON.
globalThis.console = new Console(process.stderr);

const baileys = createRequire(join(process.cwd(), "package.json"))("baileys");
const { DisconnectReason, WA_CERT_DETAILS, makeWASocket, proto, useMultiFileAuthState } = baileys;

const { state, saveCreds } = await useMultiFileAuthState(process.argv[2]);
const agent = new Agent({
  ca: readFileSync(process.env.SSL_CERT_FILE),
  proxyEnv: { HTTPS_PROXY: process.env.HTTPS_PROXY },
});
const logger = { level: "silent", child: () => logger };
for (const level of ["trace", "debug", "info", "warn", "error"]) {
  logger[level] = () => {};
}
WA_CERT_DETAILS.PUBLIC_KEY.set(Buffer.from(process.env.VIRTUAL_WHATSAPP_ROOT_KEY, "hex"));

let client;
// One after the other: a login that is written while the process ends would be cut off.
let saving = Promise.resolve();

function report(event, text) {
  process.stdout.write(`${JSON.stringify({ event, text })}\n`);
}

function connect() {
  // Else it keeps every event back for 20 s, until an account's history has come.
  const shouldSyncHistoryMessage = () => false;
  client = makeWASocket({ auth: state, agent, logger, shouldSyncHistoryMessage });
  client.ev.on("creds.update", () => {
    saving = saving.then(saveCreds);
  });
  client.ev.on("connection.update", reportConnection);
  client.ev.on("messages.upsert", ({ messages }) => messages.forEach(reportMessage));
  client.ev.on("messages.update", (updates) => updates.forEach(reportStatus));
}

function reportConnection({ qr, connection, lastDisconnect }) {
  if (qr) {
    report("code", qr);
  } else if (connection === "open") {
    report("connected", "");
  } else if (connection === "close") {
    const { error } = lastDisconnect;
    const code = error.output?.statusCode ?? error.message;
    if (code === DisconnectReason.restartRequired) {
      connect();
    } else {
      report("closed", String(code));
    }
  }
}

function reportMessage({ key, message, pushName, status }) {
  const text = message?.conversation || message?.extendedTextMessage?.text;
  if (key.fromMe) {
    // What became of it meanwhile may come with it, and not again.
    reportStatus({ key, update: { status } });
  } else {
    report("message", `${pushName}: ${text}`);
  }
}

function reportStatus({ key, update }) {
  if (update.status != null) {
    report(proto.WebMessageInfo.Status[update.status], key.id);
  }
}

const orders = {
  async send(number, text) {
    const { key } = await client.sendMessage(`${number}@s.whatsapp.net`, { text });
    report("sent", key.id);
  },
  async check(...numbers) {
    const answers = await client.onWhatsApp(...numbers);
    report("checked", JSON.stringify(answers.map(({ jid }) => jid)));
  },
  async pair(number) {
    report("link_code", await client.requestPairingCode(number.replace("+", "")));
  },
  async logout() {
    await client.logout();
    report("logged_out", "");
  },
};

connect();
for await (const line of createInterface({ input: process.stdin })) {
  const [order, ...words] = JSON.parse(line);
  orders[order](...words).catch((error) => report("error", error.message));
}
await saving;
process.exit(0);
