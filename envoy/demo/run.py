"""Runs the demo until Ctrl-C: auth service, backend, Envoy with the filter, and a page to try it from."""

import sys
import time

from stack import ROOT, Part, Stack, StackError, stop_on_signals

WHAT_TO_TRY = """
  Open {url} in a browser: sign up, call the backend, sign out.

  Or in another terminal:

    curl -c jar {url}/api/auth/sign-up/email -H 'content-type: application/json' \\
      -d '{{"name": "Ada", "email": "ada@curl.example", "password": "correct horse", "softwareBackground": "Rust"}}'
    curl -b jar {url}/api/v1/auth/me                       # 200: the cookie was exchanged for a token
    curl -b jar {url}/api/v1/sessions -H 'origin: {url}' -H 'content-type: application/json' -d '{{}}'
                                                                   # 201; 403 without the origin, or with that of another site
    curl -i {url}/api/v1/auth/me                           # 401: no cookie
    curl -i http://localhost:{backend}/api/v1/auth/me -b jar       # 401: the backend itself knows no cookies
    curl -b jar {url}/api/auth/sign-out -H 'origin: {url}' -H 'content-type: application/json' -d '{{}}'
    curl -i -b jar {url}/api/v1/auth/me                    # 401: the jar still has the cookie, but it is worth nothing now

  Envoy's admin interface: http://localhost:{admin}    Logs: {folder}
  Ctrl-C stops everything. What the services are asked from now on:
"""


def main() -> int:
    stop_on_signals()
    folder = ROOT / "target" / "demo"
    try:
        with Stack(folder) as stack:
            stack.start(lambda line: print(line, flush=True))
            print(
                WHAT_TO_TRY.format(
                    url=stack.url,
                    backend=stack.ports.backend,
                    admin=stack.ports.admin,
                    folder=folder.relative_to(ROOT),
                ),
                flush=True,
            )
            dead = follow(stack)
            print(f"\n{dead.name} has ended by itself. The end of its log:\n{dead.log_tail()}", file=sys.stderr)
            return 1
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", flush=True)
        return 0


def follow(stack: Stack) -> Part:
    """Shows what the services log until one of the parts ends."""
    logs = [(part, part.log_path.open(errors="replace")) for part in (stack.auth, stack.backend)]
    for _, log in logs:
        log.seek(0, 2)
    while (dead := stack.dead()) is None:
        for part, log in logs:
            for line in log.read().splitlines():
                print(f"  {part.name:8} {line}", flush=True)
        time.sleep(0.2)
    return dead


if __name__ == "__main__":
    sys.exit(main())
