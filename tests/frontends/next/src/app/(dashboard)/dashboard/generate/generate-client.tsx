'use client';

import { type FormEvent, useState } from 'react';
import { useReady } from '@/lib/use-ready';

const API_URL = process.env.NEXT_PUBLIC_API_URL || 'http://localhost:8002';

export function Generate({ topic }: { topic: string }) {
  const [created, setCreated] = useState<{ title: string; owner: string }>();
  const [problem, setProblem] = useState('');
  const ready = useReady();

  async function handleGenerate(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const title = new FormData(event.currentTarget).get('title');
    const response = await fetch(`${API_URL}/api/v1/sessions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      credentials: 'include',
      body: JSON.stringify({ title }),
    });
    if (response.ok) {
      setCreated(await response.json());
      setProblem('');
    } else {
      setProblem(`Failed to create session: ${await response.text()}`);
    }
  }

  return (
    <form className="card" onSubmit={handleGenerate}>
      <h1>Generate a blog post</h1>
      <label>Topic <input name="title" defaultValue={topic} required /></label>
      <p><button id="generate" className="main" disabled={!ready}>Create session</button></p>
      {created && <p id="created" role="status">Session “{created.title}” created for {created.owner}</p>}
      {problem && <p id="problem" role="alert">{problem}</p>}
    </form>
  );
}
