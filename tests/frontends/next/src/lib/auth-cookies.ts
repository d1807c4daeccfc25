import { cookies } from 'next/headers';

export interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

// With CLIENT_TOKEN=off in its environment the server no longer sets the second cookie, which scripts can read.
const setsClientToken = process.env.CLIENT_TOKEN !== 'off';

export function setAuthCookies(tokens: Tokens) {
  const options = { path: '/', sameSite: 'lax', maxAge: tokens.expires_in } as const;
  cookies().set('access_token', tokens.access_token, { ...options, httpOnly: true });
  if (setsClientToken) cookies().set('client_token', tokens.access_token, options);
}

export function clearAuthCookies() {
  cookies().delete('access_token');
  cookies().delete('client_token');
}
