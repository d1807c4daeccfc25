"""The backend of the Next.js frontend: FastAPI that signs users in itself and knows bearer tokens alone, `HTTPBearer` in front of each endpoint."""

import os
import secrets
import time
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, UploadFile
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

JWT_SECRET = os.environ["JWT_SECRET"]
ACCESS_SECONDS = 900
REFRESH_SECONDS = 7 * 86400
PASSWORDS = {"ada@example.com": "correct horse", "grace@example.com": "battery staple"}


def signed(email: str, seconds: int, audience: str) -> str:
    now = int(time.time())
    claims = {"iss": "auth-service", "aud": audience, "sub": email, "iat": now, "exp": now + seconds}
    return jwt.encode(claims, JWT_SECRET, algorithm="HS256")


class Bearer(HTTPBearer):
    """As it answered up to FastAPI 0.121: 403, where today it would be 401."""

    def make_not_authenticated_error(self) -> HTTPException:
        return HTTPException(status_code=403, detail="Not authenticated")


def get_current_user_id(credentials: Annotated[HTTPAuthorizationCredentials, Depends(Bearer())]) -> str:
    try:
        options = {"algorithms": ["HS256"], "issuer": "auth-service", "audience": "api-service"}
        return jwt.decode(credentials.credentials, JWT_SECRET, **options)["sub"]
    except jwt.InvalidTokenError:
        raise HTTPException(status_code=401, detail="Could not validate credentials") from None


CurrentUserId = Annotated[str, Depends(get_current_user_id)]

app = FastAPI(title="blog backend")
uploaded: dict[str, list[dict]] = {}


class Login(BaseModel):
    email: str
    password: str


class NewSession(BaseModel):
    title: str


@app.post("/api/v1/auth/login")
async def login(who: Login):
    if not secrets.compare_digest(PASSWORDS.get(who.email, ""), who.password):
        raise HTTPException(status_code=401, detail="Incorrect email or password")
    return {
        "access_token": signed(who.email, ACCESS_SECONDS, "api-service"),
        "refresh_token": signed(who.email, REFRESH_SECONDS, "refresh"),
        "expires_in": ACCESS_SECONDS,
    }


@app.get("/api/v1/auth/me")
async def me(user_id: CurrentUserId):
    return {"email": user_id}


@app.get("/api/v1/documents")
async def documents(user_id: CurrentUserId):
    return uploaded.get(user_id, [])


@app.post("/api/v1/documents/upload")
async def upload(user_id: CurrentUserId, file: UploadFile):
    document = {"filename": file.filename, "bytes": len(await file.read())}
    uploaded.setdefault(user_id, []).append(document)
    return document


@app.post("/api/v1/sessions", status_code=201)
async def create_session(session: NewSession, user_id: CurrentUserId):
    return {"title": session.title, "owner": user_id}


@app.get("/healthz")
async def healthz():
    return {"status": "ok"}
