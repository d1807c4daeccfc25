'use client';

import { logout } from '@/actions/auth';
import { useReady } from '@/lib/use-ready';

export function SignOut() {
  const ready = useReady();

  async function leave() {
    await logout();
    window.location.assign('/login');
  }
  return <button id="sign-out" onClick={leave} disabled={!ready}>Sign out</button>;
}
