import { useState } from 'react';
import { ApiError, request } from './lib/api';
import { makeAuthenticatedRequest } from './lib/apiClient';

interface Personalized {
  personalized_content: string;
  email: string;
}

const chapter = window.location.pathname.split('/')[2] ?? 'ch1';
const asked = { method: 'POST', body: JSON.stringify({ chapter_id: chapter }) };

const ways = {
  personalize: () => request<Personalized>('/api/personalize', asked),
  'old-way': () => makeAuthenticatedRequest<Personalized>('/api/personalize', asked),
};

export function Chapter({ onSignedOut }: { onSignedOut: () => void }) {
  const [answers, setAnswers] = useState<string[]>([]);

  async function press(way: keyof typeof ways) {
    try {
      const { personalized_content, email } = await ways[way]();
      setAnswers((earlier) => [`${personalized_content}, for ${email}`, ...earlier]);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) onSignedOut();
      else setAnswers((earlier) => [String(error), ...earlier]);
    }
  }

  return (
    <article className="card">
      <h1>Chapter {chapter}</h1>
      <p className="quiet">You are at <code id="place">{window.location.pathname + window.location.search}</code></p>
      <p>A robot that plans in language acts in a world of friction, mass and delay. This chapter is told in the words of what you know already.</p>
      <p className="buttons">
        <button id="personalize" className="main" onClick={() => press('personalize')}>Personalize</button>
        <button id="old-way" onClick={() => press('old-way')}>Personalize with the old helper</button>
      </p>
      <ol id="answers">{answers.map((answer, index) => <li key={answers.length - index}>{answer}</li>)}</ol>
    </article>
  );
}
