'use client';

import { type FormEvent, useState } from 'react';
import { login } from '@/actions/auth';
import { useReady } from '@/lib/use-ready';

export function LoginForm({ returnTo }: { returnTo: string }) {
  const [problem, setProblem] = useState('');
  const ready = useReady();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const { error } = await login(String(form.get('email')), String(form.get('password')));
    if (error) setProblem(error);
    else goTo(returnTo);
  }

  return (
    <form id="login" className="card" onSubmit={submit}>
      <h1>Sign in</h1>
      <p className="quiet">to write a blog post from your documents</p>
      <label>E-mail <input name="email" type="email" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <p><button className="main" disabled={!ready}>Sign in</button></p>
      {problem && <p role="alert">{problem}</p>}
    </form>
  );
}

// To a page of this site, wherever the parameter points.
function goTo(returnTo: string) {
  const wanted = new URL(returnTo, window.location.origin);
  window.location.assign(wanted.origin === window.location.origin ? wanted : '/dashboard/documents');
}
