import { type FormEvent, useState } from 'react';
import { signIn, signUp } from './lib/auth-client';

export function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const [problem, setProblem] = useState('');

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [email, password, softwareBackground] = ['email', 'password', 'background'].map((name) => String(form.get(name)));
    const isNew = (event.nativeEvent as SubmitEvent).submitter?.id === 'sign-up';
    const { error } = isNew
      ? await signUp.email({ name: email, email, password, softwareBackground })
      : await signIn.email({ email, password });
    if (error) setProblem(error.message ?? `The auth service answered ${error.status}`);
    else onSignedIn();
  }

  return (
    <form id="sign-in-form" className="card narrow" onSubmit={submit}>
      <h1>Sign in to personalize chapters</h1>
      <label>E-mail <input name="email" type="email" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" minLength={8} required /></label>
      <label>Software background <input name="background" defaultValue="Rust and Python" /></label>
      <p className="buttons">
        <button id="sign-in" className="main">Sign in</button>
        <button id="sign-up">Sign up</button>
      </p>
      {problem && <p role="alert">{problem}</p>}
    </form>
  );
}
