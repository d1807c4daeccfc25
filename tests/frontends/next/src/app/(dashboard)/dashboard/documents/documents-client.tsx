'use client';

import { isAxiosError } from 'axios';
import { type ChangeEvent, useEffect, useState } from 'react';
import { type Document, documentsAPI } from '@/lib/api';

export function Documents() {
  const [documents, setDocuments] = useState<Document[]>();
  const [problem, setProblem] = useState('');

  function refresh() {
    documentsAPI.list().then(setDocuments).catch(complain);
  }

  function complain(error: unknown) {
    // Navigated to, the page is answered with the way to sign in, and back.
    if (isAxiosError(error) && error.response?.status === 401) window.location.reload();
    else setProblem(String(error));
  }

  function upload(event: ChangeEvent<HTMLInputElement>) {
    const file = event.target.files?.[0];
    if (file) documentsAPI.upload(file).then(refresh).catch(complain);
  }

  useEffect(refresh, []);

  return (
    <section className="card">
      <h1>Documents</h1>
      <label className="upload">Add a document <input id="file" type="file" onChange={upload} /></label>
      {documents && (
        <ul id="documents">
          {documents.length === 0 && <li className="quiet">Nothing uploaded yet.</li>}
          {documents.map(({ filename, bytes }) => (
            <li key={filename}><b>{filename}</b> <span className="quiet">{bytes.toLocaleString('en')} bytes</span></li>
          ))}
        </ul>
      )}
      {problem && <p role="alert">{problem}</p>}
    </section>
  );
}
