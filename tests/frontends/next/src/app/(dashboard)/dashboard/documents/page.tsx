import { Documents } from './documents-client';

export default function DocumentsPage() {
  return <Documents />;
}
