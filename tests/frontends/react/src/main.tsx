import { createRoot } from 'react-dom/client';
import { Chapter } from './Chapter';
import { useSession, signOut } from './lib/auth-client';
import { SignIn } from './SignIn';
import './style.css';

const onSignInPage = window.location.pathname === '/signin';

function App() {
  const { data: session, isPending, refetch } = useSession();

  return (
    <>
      <header>
        <b>A book on physical AI</b>
        {session && (
          <p>
            <span id="who">{session.user.email}</span>
            <button id="sign-out" onClick={() => signOut()}>Sign out</button>
          </p>
        )}
      </header>
      <main>
        {isPending ? <p>…</p> : session && !onSignInPage ? <Chapter onSignedOut={refetch} /> : <SignIn onSignedIn={goBack} />}
      </main>
    </>
  );
}

// Where the filter says, if that is a page of this site; a page that asked for a sign-in in its own place stays.
function goBack() {
  if (!onSignInPage) return;
  const wanted = new URL(new URLSearchParams(window.location.search).get('return_to') ?? '/', window.location.origin);
  window.location.assign(wanted.origin === window.location.origin ? wanted : '/');
}

createRoot(document.getElementById('root')!).render(<App />);
