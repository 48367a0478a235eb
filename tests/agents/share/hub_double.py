"""A hub on loopback: what huggingface_hub and datasets ask the Hugging Face hub for, with faults on demand."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_planted0123456789"
OWNER = "someone"
LARGE = (".safetensors", ".bin")
"""Endings of files that go to large file storage."""

DROP = -1
"""A fault: the connection is closed without an answer."""


@dataclasses.dataclass
class Repo:
    private: bool
    branches: dict[str, str] = dataclasses.field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = dataclasses.field(default_factory=dict)

    def add(self, branch: str, files: dict[str, bytes]) -> str:
        content = repr([branch, len(self.commits), sorted(files.items())]).encode()
        commit = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self.commits[commit] = files
        self.branches[branch] = commit
        return commit

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commit = self.branches.get(revision, revision)
        return (commit, self.commits[commit]) if commit in self.commits else None


class Hub:
    """The repositories, by kind and name, and what was asked."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.fault: Callable[[str, str], int | None] = lambda method, path: None
        """The status to answer a request with, in place of what is right."""
        self.address = ""

    def files(self, name: str, kind: str = "models", revision: str = "main") -> dict[str, bytes]:
        found = self.repos[kind, name].files(revision)
        assert found is not None
        return found[1]

    def make(self, name: str, files: dict[str, bytes], *, private: bool = False, kind: str = "models") -> None:
        repo = self.repos[kind, name] = Repo(private)
        repo.add("main", files)


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "refused") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Prints nothing."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        fault = self.hub.fault(self.command, path)
        if fault == DROP:
            self.close_connection = True
            self.connection.close()
            return
        try:
            if fault is not None:
                raise _RefusedError(
                    fault, message=f"a planted fault; your token was {self.headers.get('Authorization')}"
                )
            for method, pattern, act in _ROUTES:
                found = re.fullmatch(pattern, path)
                if found and self.command in method:
                    getattr(self, act)(*found.groups(), body=body)
                    return
            raise _RefusedError(404, message=f"no such page: {path}")
        except _RefusedError as refused:
            self._send(
                json.dumps({"error": refused.message}).encode(),
                refused.status,
                {"X-Error-Code": refused.code, "X-Error-Message": refused.message},
            )

    do_GET = do_HEAD = do_POST = do_PUT = _handle

    def _send(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), status)

    # -- who may do what -----------------------------------------------------------------------------------------------

    @property
    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repo(self, kind: str | None, name: str, *, write: bool = False) -> Repo:
        repo = self.hub.repos.get((kind or "models", name))
        if write and not self._known:
            raise _RefusedError(401, message="Invalid username or password.")
        if repo is None or (repo.private and not self._known):
            raise _RefusedError(404 if self._known else 401, "RepoNotFound", "Repository not found")
        if write and name.partition("/")[0] != OWNER:
            raise _RefusedError(403, message="You don't have the rights to write to this namespace.")
        return repo

    def _at(self, kind: str | None, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        found = self._repo(kind, name).files(revision)
        if found is None:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found

    # -- pages ---------------------------------------------------------------------------------------------------------

    def create(self, body: bytes) -> None:
        row = json.loads(body)
        kind, name = f"{row.get('type') or 'model'}s", f"{row['organization']}/{row['name']}"
        if not self._known:
            raise _RefusedError(401, message="Invalid username or password.")
        if row["organization"] != OWNER:
            raise _RefusedError(
                403, message=f"You don't have the right to create a model under {row['organization']!r}."
            )
        url = f"{self.hub.address}/{'datasets/' if kind == 'datasets' else ''}{name}"
        if (kind, name) in self.hub.repos:
            self._json({"url": url, "error": "You already created this model repo"}, 409)
            return
        self.hub.make(name, {}, private=row.get("visibility") == "private", kind=kind)
        self._json({"url": url})

    def info(self, kind: str, name: str, revision: str | None = None, *, body: bytes) -> None:
        commit, files = self._at(kind, name, revision or "main")
        repo = self.hub.repos[kind, name]
        about = {"siblings": [{"rfilename": file} for file in sorted(files)], "tags": [], "cardData": {}}
        self._json({"id": name, "sha": commit, "private": repo.private, **about})

    def tree(self, kind: str, name: str, revision: str, folder: str | None = None, *, body: bytes) -> None:
        _, files = self._at(kind, name, revision)
        self._json([_entry(file, content) for file, content in sorted(files.items())])

    def paths(self, kind: str, name: str, revision: str, *, body: bytes) -> None:
        _, files = self._at(kind, name, revision)
        asked = json.loads(body)["paths"]
        self._json([_entry(file, files[file]) for file in asked if file in files])

    def preupload(self, kind: str, name: str, revision: str, *, body: bytes) -> None:
        self._repo(kind, name, write=True)
        rows = json.loads(body)["files"]
        modes = [("lfs" if row["path"].endswith(LARGE) else "regular") for row in rows]
        self._json(
            {
                "files": [
                    {"path": row["path"], "uploadMode": mode, "shouldIgnore": False}
                    for row, mode in zip(rows, modes, strict=True)
                ]
            }
        )

    def batch(self, kind: str | None, name: str, *, body: bytes) -> None:
        self._repo(kind, name, write=True)
        rows = json.loads(body)["objects"]
        for row in rows:
            if row["oid"] not in self.hub.large:
                row["actions"] = {"upload": {"href": f"{self.hub.address}/large/{row['oid']}", "header": {}}}
        self._json({"transfer": "basic", "objects": rows})

    def put(self, oid: str, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.large[oid] = body
        self._json({})

    def commit(self, kind: str, name: str, revision: str, *, body: bytes) -> None:
        repo = self._repo(kind, name, write=True)
        _, present = self._at(kind, name, revision)
        files = dict(present)
        for line in body.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif row["key"] == "deletedFile":
                del files[value["path"]]
        commit = repo.add(revision, files)
        self._json({"commitUrl": f"{self.hub.address}/{name}/commit/{commit}", "commitOid": commit})

    def branch(self, kind: str, name: str, branch: str, *, body: bytes) -> None:
        repo = self._repo(kind, name, write=True)
        if branch in repo.branches:
            raise _RefusedError(409, message="Reference already exists")
        repo.branches[branch] = repo.branches["main"]
        self._json({})

    def check_yaml(self, body: bytes) -> None:
        import yaml

        content = json.loads(body)["content"]
        head = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        assert head is not None, "a card begins with its metadata"
        assert isinstance(yaml.safe_load(head[1]), dict)
        self._json({"errors": [], "warnings": []})

    def resolve(self, kind: str | None, name: str, revision: str, file: str, *, body: bytes) -> None:
        commit, files = self._at(kind, name, revision)
        if file not in files:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        about = {"X-Repo-Commit": commit, "ETag": f'"{_oid(files[file])}"'}
        self._send(files[file], headers={**about, "Content-Type": "application/octet-stream"})


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _entry(file: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": file, "size": len(content), "oid": _oid(content)}


_KIND, _NAME, _REVISION = r"(models|datasets)", r"([^/]+/[^/]+)", r"([^/]+(?:/pr/\d+)?)"
_ROUTES = [
    (("POST",), r"/api/repos/create", "create"),
    (("POST",), r"/api/validate-yaml", "check_yaml"),
    (("GET",), rf"/api/{_KIND}/{_NAME}", "info"),
    (("GET",), rf"/api/{_KIND}/{_NAME}/revision/{_REVISION}", "info"),
    (("GET",), rf"/api/{_KIND}/{_NAME}/tree/{_REVISION}(/.*)?", "tree"),
    (("POST",), rf"/api/{_KIND}/{_NAME}/paths-info/{_REVISION}", "paths"),
    (("POST",), rf"/api/{_KIND}/{_NAME}/preupload/{_REVISION}", "preupload"),
    (("POST",), rf"/api/{_KIND}/{_NAME}/commit/{_REVISION}", "commit"),
    (("POST",), rf"/api/{_KIND}/{_NAME}/branch/{_REVISION}", "branch"),
    (("POST",), rf"/(?:(datasets)/)?{_NAME}\.git/info/lfs/objects/batch", "batch"),
    (("PUT",), r"/large/(\w+)", "put"),
    (("GET", "HEAD"), rf"/(?:(datasets)/)?{_NAME}/resolve/{_REVISION}/(.+)", "resolve"),
]
