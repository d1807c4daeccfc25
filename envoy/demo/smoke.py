"""Drives the demo's main job once and prints what was asked and answered; ends non-zero at the first surprise."""

import contextlib
import http.client
import json
import secrets
import sys
import tempfile
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from stack import Ports, Stack, StackError, stop_on_signals

FIVE_MEGABYTES = 5 * 1024 * 1024


def main() -> int:
    stop_on_signals()
    transcript = Transcript()
    try:
        with temporary_folder() as folder, Stack(folder, ports=Ports.free()) as stack:
            try:
                drive(stack.start(), transcript.step)
            except Unmet:
                print(f"\nThe end of Envoy's log:\n{stack.envoy.log_tail()}")
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        transcript.failed += 1
    except KeyboardInterrupt:
        return 130
    print(f"smoke: {transcript.passed} passed, {transcript.failed} failed")
    return 1 if transcript.failed else 0


def drive(stack: Stack, step) -> None:
    ada, grace, eve, nobody = (Browser(stack.url) for _ in range(4))

    with step("Ada signs up and is given a session cookie"):
        expect(ada.sign_up("Ada"), 200)
        require("better-auth.session_token" in ada.cookies, "a session cookie")

    with step("With the cookie alone, the backend's middleware knows her"):
        answer = expect(ada.post("/api/personalize?as=ada", {"chapter_id": "ch1"}), 200)
        require(answer.json()["email"] == "ada@example.com", "Ada's e-mail in the answer")

    with step("So does its HTTPBearer dependency"):
        answer = expect(ada.call("GET", "/api/v1/auth/me"), 200)
        require(answer.json()["email"] == "ada@example.com", "Ada's e-mail in the answer")

    with step("A plain fetch can create a session"):
        expect(ada.post("/api/v1/sessions", {"title": "A blog post"}), 201)

    with step("A page of another site cannot create one for her"):
        elsewhere = {"origin": "https://elsewhere.example"}
        expect(ada.post("/api/v1/sessions?as=elsewhere", {"title": "A blog post"}, elsewhere), 403)
        require("?as=elsewhere" not in stack.backend.log(), "none of it in the backend's log")

    with step("An upload of 5 MB arrives whole"):
        answer = expect(ada.upload("/api/v1/documents/upload", FIVE_MEGABYTES), 200)
        require(answer.json()["bytes"] == FIVE_MEGABYTES, f"{FIVE_MEGABYTES} bytes counted by the backend")

    with step("The auth service was asked once for all four, and for what her other connections bring to other workers"):
        others = [Browser(stack.url, ada.cookies).call("GET", "/api/v1/auth/me").status for _ in range(8)]
        require(others == [200] * 8, f"eight times 200, and not {others}")
        exchanges = stack.auth.log().count("GET /api/auth/jwt 200")
        require(exchanges == 1, f"1 exchange in its log, and not {exchanges}")

    with step("Without a cookie the answer is 401, a problem document"):
        answer = expect(nobody.post("/api/personalize?as=nobody", {"chapter_id": "ch1"}), 401)
        require(answer.header("content-type") == "application/problem+json", "content-type: application/problem+json")
        require("Bearer" in answer.header("www-authenticate"), "www-authenticate: Bearer")

    with step("An Authorization of the client's own making changes nothing"):
        expect(nobody.post("/api/personalize?as=nobody", {"chapter_id": "ch1"}, {"authorization": "Bearer a.b.c"}), 401)

    with step("The backend has seen neither of the two"):
        require("?as=ada" in stack.backend.log(), "Ada's request in its log")
        require("?as=nobody" not in stack.backend.log(), "none of nobody's")

    with step("An Envoy whose JWT_SECRET is wrong answers 503: the deployment is at fault, not Ada"):
        misconfigured = stack.add_envoy("wrong-secret", jwt_secret=secrets.token_urlsafe(48))
        misconfigured.start()
        elsewhere = Browser(f"http://localhost:{misconfigured.port}", ada.cookies)
        expect(elsewhere.call("GET", "/api/v1/auth/me"), 503)
        misconfigured.stop()

    with step("The auth service goes down: Grace, just exchanged, goes on working"):
        expect(eve.sign_up("Eve"), 200)
        expect(grace.sign_up("Grace"), 200)
        expect(grace.call("GET", "/api/v1/auth/me"), 200)
        stack.auth.stop()
        expect(grace.call("GET", "/api/v1/auth/me"), 200)

    with step("Eve, not exchanged yet, is asked to try again later"):
        answer = expect(eve.call("GET", "/api/v1/auth/me"), 503)
        require(answer.header("retry-after").isdigit(), "a Retry-After in seconds")

    with step("The auth service comes back, and so does Eve"):
        stack.auth.start()
        expect(eve.call("GET", "/api/v1/auth/me"), 200)

    with step("Ada signs out, and her browser forgets the cookie"):
        expect(ada.call("GET", "/api/v1/auth/me"), 200)
        thief = Browser(stack.url, ada.cookies)
        expect(thief.call("GET", "/api/v1/auth/me"), 200)
        expect(ada.post("/api/auth/sign-out", {}), 200)
        require(not ada.cookies, "her browser to be told to forget it")

    with step("The next request is answered 401, with the old cookie too, in whichever worker"):
        expect(ada.call("GET", "/api/v1/auth/me"), 401)
        expect(thief.call("GET", "/api/v1/auth/me"), 401)


class Browser:
    """One user's browser: a connection that is kept open, and the cookies it was given."""

    def __init__(self, origin: str, cookies: dict[str, str] | None = None) -> None:
        self.origin = origin
        self.cookies = dict(cookies or {})
        self.password = secrets.token_urlsafe(12)
        self._connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=30)

    def sign_up(self, name: str) -> "Answer":
        user = {"name": name, "email": f"{name.lower()}@example.com", "password": self.password}
        return self.post("/api/auth/sign-up/email", user | {"softwareBackground": "Rust"})

    def post(self, path: str, value: dict, headers: dict[str, str] | None = None) -> "Answer":
        json_type = {"content-type": "application/json"}
        return self.call("POST", path, json.dumps(value).encode(), json_type | (headers or {}))

    def upload(self, path: str, size: int) -> "Answer":
        boundary = "smoke"
        part = 'content-disposition: form-data; name="file"; filename="document.bin"'
        body = f"--{boundary}\r\n{part}\r\n\r\n".encode() + bytes(size) + f"\r\n--{boundary}--\r\n".encode()
        return self.call("POST", path, body, {"content-type": f"multipart/form-data; boundary={boundary}"})

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> "Answer":
        sent = dict(headers or {})
        if method != "GET":
            sent.setdefault("origin", self.origin)
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self._connection.request(method, path, body, sent)
        response = self._connection.getresponse()
        answer = Answer(f"{method} {path}", response.status, response.headers, response.read())
        self._keep_cookies(answer)
        return answer

    def _keep_cookies(self, answer: "Answer") -> None:
        for line in answer.headers.get_all("set-cookie", []):
            for name, cookie in SimpleCookie(line).items():
                if cookie["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = cookie.coded_value


@dataclass
class Answer:
    request: str
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def __str__(self) -> str:
        text = self.body.decode(errors="replace")
        with contextlib.suppress(ValueError, AttributeError):
            # better-auth repeats the session token in its answers.
            text = json.dumps({name: value for name, value in self.json().items() if name != "token"})
        return f"{self.request} -> {self.status} {text[:90]}"


class Unmet(Exception):
    """An expectation that did not come true."""


class Transcript:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    @contextlib.contextmanager
    def step(self, title: str):
        print(f"{self.passed + 1:3}. {title}", flush=True)
        try:
            yield
        except (Unmet, OSError, http.client.HTTPException) as error:
            self.failed += 1
            print(f"      FAILED: {error or type(error).__name__}", flush=True)
            raise Unmet from error
        self.passed += 1


def expect(answer: Answer, status: int) -> Answer:
    print(f"      {answer}", flush=True)
    require(answer.status == status, f"status {status}")
    return answer


def require(met: bool, expectation: str) -> None:
    if not met:
        raise Unmet(f"expected {expectation}")


@contextlib.contextmanager
def temporary_folder():
    with tempfile.TemporaryDirectory(prefix="session-bearer-smoke-") as name:
        yield Path(name)


if __name__ == "__main__":
    sys.exit(main())
