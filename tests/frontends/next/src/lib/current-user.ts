import { cookies, headers } from 'next/headers';

const API_URL = process.env.API_URL || 'http://localhost:8000';

export interface User {
  email: string;
}

/** The user for whom the server renders a page. */
export async function currentUser(): Promise<User | null> {
  const authorization = currentAuthorization();
  if (!authorization) return null;
  const response = await fetch(`${API_URL}/api/v1/auth/me`, { headers: { authorization }, cache: 'no-store' });
  return response.ok ? response.json() : null;
}

// Behind the filter there is the header, and not the cookie.
function currentAuthorization() {
  const cookie = cookies().get('access_token')?.value;
  return headers().get('authorization') ?? (cookie && `Bearer ${cookie}`);
}
