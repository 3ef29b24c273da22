"""A stand-in for the hub: a real HTTP server on 127.0.0.1, reached by the real huggingface_hub through HF_ENDPOINT.

It speaks as much of the hub's protocol as fetching a model needs: repository info with sizes and hashes, ``resolve``
with commit and ETag headers, large files redirected to a second address (as the hub sends to its CDN), ranges,
tokens, gates; and it misbehaves on demand: connections cut in the middle, content changed on the way, silence.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000
"""Files above this many bytes are stored in LFS, as the hub calls it: named by SHA-256, sent by the CDN."""


@dataclass
class Repo:
    """One repository and who may have it."""

    files: dict[str, bytes]
    commit: str = COMMIT
    revisions: tuple[str, ...] = ("main",)
    gated: bool = False
    admits: tuple[str, ...] = ()
    """Tokens that are let in where it is gated or private."""
    private: bool = False
    license: str = "apache-2.0"


@dataclass
class Request:
    """One request as it came in."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    at_cdn: bool
    moment: float = field(default_factory=time.monotonic)
    """When it came."""


@dataclass
class StandInHub:
    """The hub and its CDN, each on a port of its own; a context manager."""

    repos: dict[str, Repo] = field(default_factory=dict)
    tokens: tuple[str, ...] = ("hf_good",)
    """Tokens that belong to somebody; any other is refused."""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """File -> for each of the next requests of its content, how many bytes are sent before the connection is cut."""
    replaced: dict[str, bytes] = field(default_factory=dict)
    """File -> the content that is sent in place of its own."""
    holds: dict[str, threading.Event] = field(default_factory=dict)
    """File -> content is sent up to its half, then not before this is set."""
    closes: dict[str, int] = field(default_factory=dict)
    """File -> how many of the next questions about it (HEAD) find the connection closed."""
    ignores_ranges: bool = False
    is_silent: bool = False
    """Take connections and never answer."""
    status: int | None = None
    """Answer everything with this status."""
    cdn_status: int | None = None
    """Answer everything that is asked of the CDN with this status."""
    cdn_moods: list[int] = field(default_factory=list)
    """Answer the next requests of the CDN with these, one each."""
    hides_sizes: bool = False
    """Leave sizes and hashes out of what is told of a repository, as some mirrors do."""
    warning: str = ""
    """What every answer wants the user to be told (``X-HF-Warning``)."""
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._servers = [_start(self, at_cdn=False), _start(self, at_cdn=True)]
        self.url, self.cdn = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        for event in self.holds.values():
            event.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def env(self, **more: str) -> dict[str, str]:
        """Return what a child process must have in its environment to talk to this hub, patiently if it answers."""
        patient = {} if self.is_silent else {"HF_HUB_ETAG_TIMEOUT": "60", "HF_HUB_DOWNLOAD_TIMEOUT": "60"}
        return {"HF_ENDPOINT": self.url, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1", **patient, **more}

    def fetched(self, name: str) -> list[str | None]:
        """Return the range of each request of a file's content, None where all of it was asked for."""
        asked = [item for item in self.requests if item.method == "GET" and item.path.endswith(f"/{name}")]
        return [item.range for item in asked if item.at_cdn or not self._is_large(name)]

    def _is_large(self, name: str) -> bool:
        return any(len(repo.files.get(name, b"")) > LARGE for repo in self.repos.values())


def etag_of(content: bytes) -> str:
    """Return the name the hub gives to a content: SHA-256 of a large file, git's hash of a small one."""
    if len(content) > LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 (git's own)


def _start(hub: StandInHub, *, at_cdn: bool) -> ThreadingHTTPServer:
    class Handler(_Handler):
        stand_in = hub
        is_cdn = at_cdn

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: StandInHub
    is_cdn: bool

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_GET  # noqa: N815 (its name)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self) -> None:
        hub, path = self.stand_in, unquote(urlsplit(self.path).path)
        authorization = self.headers.get("Authorization")
        hub.requests.append(Request(self.command, path, self.headers.get("Range"), authorization, self.is_cdn))
        if hub.is_silent:
            hub.closing.wait()
            self.close_connection = True
        elif status := hub.cdn_status if self.is_cdn else hub.status:
            self._send(status)
        elif self.is_cdn and hub.cdn_moods:
            self._send(hub.cdn_moods.pop(0))
        elif path.startswith("/api/models/"):
            self._info(path.removeprefix("/api/models/"))
        elif path.startswith("/api/datasets/") and "/tree/" in path:
            self._tree(path.removeprefix("/api/"))
        elif path.startswith("/api/datasets/"):
            self._info(path.removeprefix("/api/"))
        elif "/resolve/" in path:
            self._resolve(path.strip("/"))
        else:
            self._send(404)

    def _token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _refuse(self, repo: Repo | None, *, content: bool) -> bool:
        """Refuse whoever may not have ``repo``, in the hub's manner; True where that was done."""
        token = self._token()
        if self.is_cdn:
            return False
        if token and token not in self.stand_in.tokens:
            self._send(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repo is None or (repo.private and token not in repo.admits):
            self._send(
                404 if token else 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            )
        elif content and repo.gated and token not in repo.admits:
            self._send(403 if token else 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        else:
            return False
        return True

    def _info(self, rest: str) -> None:
        repo_id, _, revision = rest.partition("/revision/")
        repo = self.stand_in.repos.get(repo_id)
        if self._refuse(repo, content=False) or repo is None:
            return
        if revision and revision not in (*repo.revisions, repo.commit):
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
            return
        with_sizes = not self.stand_in.hides_sizes and "blobs" in parse_qs(urlsplit(self.path).query)
        siblings = [_sibling(name, content, with_sizes=with_sizes) for name, content in repo.files.items()]
        info = {
            "id": repo_id,
            "sha": repo.commit,
            "private": repo.private,
            "gated": "auto" if repo.gated else False,
            "cardData": {"license": repo.license},
            "siblings": siblings,
            **{"tags": [], "downloads": 0},
        }
        self._send(200, {"Content-Type": "application/json"}, json.dumps(info).encode())

    def _tree(self, rest: str) -> None:
        """List the files of a data set: its repository is called ``datasets/OWNER/NAME``."""
        repo_id, _, place = rest.partition("/tree/")
        repo, folder = self.stand_in.repos.get(repo_id), place.partition("/")[2]
        if self._refuse(repo, content=False) or repo is None:
            return
        begin = f"{folder}/" if folder else ""
        inside = [name for name in repo.files if name.startswith(begin)]
        files = [name for name in inside if "/" not in name.removeprefix(begin)]
        rows = [{"type": "file", "path": name, "size": len(repo.files[name]), "oid": "0" * 40} for name in files]
        folders = {begin + name.removeprefix(begin).partition("/")[0] for name in inside if name not in files}
        rows += [{"type": "directory", "path": name, "oid": "0" * 40} for name in sorted(folders)]
        self._send(200 if rows else 404, {"Content-Type": "application/json"}, json.dumps(rows).encode())

    def _resolve(self, path: str) -> None:
        repo_id, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        repo = self.stand_in.repos.get(repo_id)
        if self._refuse(repo, content=True) or repo is None:
            return
        if self.command == "HEAD" and self.stand_in.closes.get(name):
            self.stand_in.closes[name] -= 1
            self.close_connection = True
        elif revision not in (*repo.revisions, repo.commit):
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
        elif name not in repo.files:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repo.commit})
        else:
            self._file(repo, name)

    def _file(self, repo: Repo, name: str) -> None:
        content = repo.files[name]
        headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{etag_of(content)}"', "Accept-Ranges": "bytes"}
        if len(content) > LARGE and not self.is_cdn:
            headers["X-Linked-Size"] = str(len(content))
            headers["X-Linked-Etag"] = headers["ETag"]
            self._send(302, {**headers, "Location": self.stand_in.cdn + self.path + "?X-Signature=secret"})
        elif self.command == "HEAD":
            self._send(200, headers, content)
        else:
            self._content(name, self.stand_in.replaced.get(name, content), headers)

    def _content(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        start, asked = 0, self.headers.get("Range")
        if asked and not self.stand_in.ignores_ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            if start >= len(content):
                self._send(416)
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["Connection"] = "close"  # else a client may send its next request where nobody reads any more
        self._head(206 if "Content-Range" in headers else 200, headers, len(content) - start)
        cuts = self.stand_in.cuts.get(name)
        body = content[start:][: cuts.pop(0)] if cuts else content[start:]
        if hold := self.stand_in.holds.get(name):
            half = len(body) // 2
            self._write(body[:half])
            hold.wait()
            body = body[half:]
        self._write(body)

    def _write(self, body: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # the other side went away, as some tests want
            self.wfile.write(body)
            self.wfile.flush()

    def _send(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self._head(status, headers or {}, len(body))
        if self.command != "HEAD":
            self._write(body)

    def _head(self, status: int, headers: Mapping[str, str], length: int) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        if self.stand_in.warning:
            self.send_header("X-HF-Warning", self.stand_in.warning)
        self.end_headers()


def _sibling(name: str, content: bytes, *, with_sizes: bool) -> dict[str, object]:
    if not with_sizes:
        return {"rfilename": name}
    row: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": etag_of(content)}
    if len(content) > LARGE:
        row["blobId"] = "f" * 40
        row["lfs"] = {"sha256": etag_of(content), "size": len(content), "pointerSize": 134}
    return row
