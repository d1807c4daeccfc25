import { useEffect, useState } from 'react';

/** Whether the page is alive: before that, a button would do what the browser makes of it. */
export function useReady() {
  const [ready, setReady] = useState(false);
  useEffect(() => setReady(true), []);
  return ready;
}
