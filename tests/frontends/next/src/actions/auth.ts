'use server';

import { clearAuthCookies, setAuthCookies } from '@/lib/auth-cookies';

const API_URL = process.env.API_URL || 'http://localhost:8000';

export async function login(email: string, password: string): Promise<{ error?: string }> {
  const response = await fetch(`${API_URL}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email, password }),
    cache: 'no-store',
  });
  if (!response.ok) return { error: response.status === 401 ? 'Wrong e-mail or password' : `The API answered ${response.status}` };
  setAuthCookies(await response.json());
  return {};
}

export async function logout() {
  clearAuthCookies();
}
