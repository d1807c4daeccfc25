import { LoginForm } from './login-form';

export default function LoginPage({ searchParams }: { searchParams: { return_to?: string } }) {
  return (
    <main className="narrow">
      <LoginForm returnTo={searchParams.return_to ?? '/dashboard/documents'} />
    </main>
  );
}
