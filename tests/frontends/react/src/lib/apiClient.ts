import { getJWTToken } from './auth-client';

export async function makeAuthenticatedRequest<T>(
  endpoint: string,
  options: RequestInit = {}
): Promise<T> {
  // Get JWT token
  const token = await getJWTToken();

  if (!token) {
    throw new Error('Please sign in to continue');
  }

  // Add Authorization header
  const headers = {
    'Content-Type': 'application/json',
    'Authorization': `Bearer ${token}`,
    ...options.headers,
  };

  const response = await fetch(`http://localhost:8000${endpoint}`, {
    ...options,
    headers,
    credentials: 'include', // Also send cookies
  });

  if (!response.ok) {
    if (response.status === 401) {
      // Token expired or invalid
      window.location.href = '/signin';
    }
    throw new Error(`API error: ${response.status}`);
  }

  return response.json();
}
