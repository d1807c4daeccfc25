"""What the tests stand on: a real Envoy, a scripted auth service, an echoing backend and a client."""
