// A small program on the generated types: it lists sessions and enqueues a message.
import type { components, operations, paths } from "./api";

type Schemas = components["schemas"];
type Enqueued = paths["/v1/messages"]["post"]["responses"][202]["content"]["application/json"];
type EnqueueQuery = operations["enqueue_messages"]["parameters"]["query"];

async function call<Answer>(base: string, token: string, path: string, body?: object): Promise<Answer> {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const request: RequestInit = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  const response = await fetch(base + path, request);
  if (!response.ok) {
    const problem = (await response.json()) as Schemas["ProblemDetails"];
    throw new Error(`${problem.code}: ${problem.detail}`);
  }
  return (await response.json()) as Answer;
}

export async function listSessions(base: string, token: string): Promise<string[]> {
  const page = await call<Schemas["SessionViewPage"]>(base, token, "/v1/sessions");
  return page.items.map((session) => session.name);
}

export async function enqueue(base: string, token: string, to: string, text: string): Promise<string> {
  const body: Schemas["NewMessageBody"] = { to, text };
  const query: EnqueueQuery = { wait: "verdict" };
  const made = await call<Enqueued>(base, token, `/v1/messages?wait=${query.wait}`, body);
  return "items" in made ? made.items.map((item) => item.status).join() : made.id;
}

// What must not compile: a field that is missing, one that does not exist, a word that is none, and a list for an object.
// @ts-expect-error `text` is needed
export const withoutText: Schemas["NewMessageBody"] = { to: "+5491141234567" };
// @ts-expect-error it is called `name`
export const misnamed = (session: Schemas["SessionView"]): string => session.title;
// @ts-expect-error only `verdict` can be waited for
export const impatient: EnqueueQuery = { wait: "delivery" };
// @ts-expect-error the ends of a ramp are objects
export const ramp: Schemas["PointsRamp"] = { from: [30, 0], to: [90, -20] };
