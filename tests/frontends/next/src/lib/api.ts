import axios from 'axios';

const api = axios.create({
  baseURL: process.env.NEXT_PUBLIC_API_URL || 'http://localhost:8000',
  withCredentials: true,
});

api.interceptors.request.use((config) => {
  const token = clientToken();
  if (token) config.headers.Authorization = `Bearer ${token}`;
  return config;
});

function clientToken() {
  return document.cookie.match(/(?:^|; )client_token=([^;]*)/)?.[1];
}

export interface Document {
  filename: string;
  bytes: number;
}

export const documentsAPI = {
  list: () => api.get<Document[]>('/api/v1/documents').then((response) => response.data),
  upload: (file: File) => {
    const form = new FormData();
    form.append('file', file);
    return api.post<Document>('/api/v1/documents/upload', form).then((response) => response.data);
  },
};
