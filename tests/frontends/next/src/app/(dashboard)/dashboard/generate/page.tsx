import { Generate } from './generate-client';

export default function GeneratePage({ searchParams }: { searchParams: { topic?: string } }) {
  return <Generate topic={searchParams.topic ?? 'Robots that read'} />;
}
