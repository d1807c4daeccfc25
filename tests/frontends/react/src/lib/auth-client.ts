import { inferAdditionalFields } from 'better-auth/client/plugins';
import { createAuthClient } from 'better-auth/react';

export const { signIn, signUp, signOut, useSession } = createAuthClient({
  baseURL: 'http://localhost:3001',
  plugins: [inferAdditionalFields({ user: { softwareBackground: { type: 'string', required: false } } })],
});

/**
 * Get JWT token from auth service using the current session cookie
 * This token is required for authenticated API requests to the backend
 */
export async function getJWTToken(): Promise<string | null> {
  try {
    console.log('[Auth] Fetching JWT token from auth service');

    const response = await fetch('http://localhost:3001/api/auth/jwt', {
      method: 'GET',
      credentials: 'include', // IMPORTANT: Send session cookie
    });

    if (!response.ok) {
      console.error('[Auth] Failed to get JWT token:', response.status);
      return null;
    }

    const data = await response.json();
    console.log('[Auth] JWT token received');
    return data.token || null;
  } catch (error) {
    console.error('[Auth] Error getting JWT token:', error);
    return null;
  }
}
