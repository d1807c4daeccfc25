import Link from 'next/link';
import type { ReactNode } from 'react';
import { SignOut } from './sign-out';
import { currentUser } from '@/lib/current-user';

export default async function DashboardLayout({ children }: { children: ReactNode }) {
  const user = await currentUser();
  return (
    <>
      <header>
        <b>Blog writer</b>
        <nav>
          <Link href="/dashboard/documents">Documents</Link>
          <Link href="/dashboard/generate">Generate</Link>
        </nav>
        <span id="who">{user ? user.email : 'Not signed in'}</span>
        <SignOut />
      </header>
      <main>{children}</main>
    </>
  );
}
