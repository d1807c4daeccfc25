"""The demo's backend: a FastAPI service that knows bearer tokens and nothing else.

It protects its endpoints in the two ways that such services usually do, side by side:
a middleware that fills `request.state.user`, and `HTTPBearer` with a dependency.
"""

import os
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request, UploadFile
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware

JWT_SECRET = os.environ["JWT_SECRET"]


def verify_jwt_token(token: str):
    try:
        payload = jwt.decode(
            token,
            JWT_SECRET,
            algorithms=["HS256"],
            issuer="auth-service",
            audience="api-service",
        )
        return payload
    except jwt.InvalidTokenError:
        return None


class JWTAuthMiddleware(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next):
        auth_header = request.headers.get("authorization", "")

        user = None
        if auth_header.startswith("Bearer "):
            token = auth_header[7:]
            user = verify_jwt_token(token)

        request.state.user = user
        return await call_next(request)


def get_current_user_id(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> str:
    user = verify_jwt_token(credentials.credentials)
    if user is None:
        raise HTTPException(status_code=401, detail="Could not validate credentials")
    return user["sub"]


CurrentUserId = Annotated[str, Depends(get_current_user_id)]

app = FastAPI(title="session-bearer demo backend")
app.add_middleware(JWTAuthMiddleware)


class Chapter(BaseModel):
    chapter_id: str


class NewSession(BaseModel):
    title: str = "Untitled"


@app.post("/api/personalize")
async def personalize(chapter: Chapter, request: Request):
    user = request.state.user

    if not user:
        # FastAPI has no such return value: it answers 200 with a list of the two. Written so
        # in many services, it is one more reason to stop strangers in front of the backend.
        return {"error": "Unauthorized"}, 401

    return {
        "personalized_content": f"{chapter.chapter_id}, told for {user['softwareBackground']}",
        "email": user["email"],
        "background": user["softwareBackground"],
    }


@app.get("/api/v1/auth/me")
async def me(user_id: CurrentUserId, request: Request):
    return {"user_id": user_id, "email": request.state.user["email"]}


@app.post("/api/v1/documents/upload")
async def upload(user_id: CurrentUserId, file: UploadFile):
    return {"filename": file.filename, "bytes": len(await file.read()), "owner": user_id}


@app.post("/api/v1/sessions", status_code=201)
async def create_session(session: NewSession, user_id: CurrentUserId):
    return {"title": session.title, "owner": user_id}


@app.get("/healthz")
async def healthz():
    return {"status": "ok"}
