// The demo's auth service: better-auth with e-mail and password, its sessions in SQLite,
// and one endpoint of its own, GET /api/auth/jwt, which exchanges a session for an access token.
// better-auth's own jwt plugin stands beside it: /api/auth/token, signed with the keys at /api/auth/jwks.

import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { createAuthEndpoint, getSession } from "better-auth/api";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import Database from "better-sqlite3";
import { SignJWT } from "jose";

const port = Number(process.env.PORT ?? 3001);
const publicUrl = process.env.BETTER_AUTH_URL ?? "http://localhost:10000";
const jwtSecret = new TextEncoder().encode(required("JWT_SECRET"));
const database = new Database(required("DATABASE"));

const auth = betterAuth({
  baseURL: publicUrl,
  secret: required("BETTER_AUTH_SECRET"),
  database,
  trustedOrigins: ["localhost", "127.0.0.1"].map((host) => originAt(host)),
  emailAndPassword: { enabled: true },
  session: { updateAge: seconds("SESSION_UPDATE_AGE") },
  user: {
    additionalFields: {
      softwareBackground: { type: "string", required: false, input: true },
    },
  },
  plugins: [accessToken(), jwt()],
  telemetry: { enabled: false },
});

const { runMigrations } = await getMigrations(auth.options);
await runMigrations();

const authHandler = toNodeHandler(auth);

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, publicUrl);
  response.on("finish", () => console.log(`${request.method} ${pathname} ${response.statusCode}`));

  if (pathname === "/healthz") {
    response.end("ok\n");
  } else {
    authHandler(request, response);
  }
});

server.listen(port, "127.0.0.1", () => {
  console.log(`auth service listening on http://127.0.0.1:${port}`);
});

process.on("SIGTERM", () => {
  server.close(() => database.close());
  server.closeIdleConnections();
});

function accessToken() {
  return {
    id: "access-token",
    endpoints: {
      getAccessToken: createAuthEndpoint("/jwt", { method: "GET", requireHeaders: true }, async (context) => {
        const session = await sessionOf(context);
        if (!session) throw context.error("UNAUTHORIZED");
        return context.json({ token: await signFor(session.user) });
      }),
    },
  };
}

// What better-auth's sessionMiddleware does, but its Set-Cookie lines are kept: a rolling session moves its cookie on with them.
async function sessionOf(context) {
  const { response, headers } = await getSession()({ ...context, asResponse: false, returnHeaders: true });
  for (const line of headers.getSetCookie()) context.responseHeaders.append("set-cookie", line);
  return response;
}

function signFor({ id, email, softwareBackground }) {
  return new SignJWT({ email, softwareBackground })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuer("auth-service")
    .setAudience("api-service")
    .setSubject(id)
    .setIssuedAt()
    .setExpirationTime("15m")
    .sign(jwtSecret);
}

function originAt(hostname) {
  const url = new URL(publicUrl);
  url.hostname = hostname;
  return url.origin;
}

// Undefined, and so better-auth's own default, when it is not set.
function seconds(name) {
  const value = process.env[name];
  return value === undefined ? undefined : Number(value);
}

function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(1);
  }
  return value;
}
