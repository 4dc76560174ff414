"""HTTP with one registry: asks whether it is one, signs in where it is asked to, and turns what goes wrong into errors.

The protocol is that of https://github.com/opencontainers/distribution-spec/blob/main/spec.md, the tokens those of
https://distribution.github.io/distribution/spec/auth/token/. The `oras` package speaks both, but writes manifests anew
(their digest is the image's name), holds blobs in memory, mounts none and knows no identity tokens or certificates.
"""

from __future__ import annotations

import copy
import io
import json
import os
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.structures import CaseInsensitiveDict

from build_model.image import certificates, login
from build_model.image.reference import Address, is_loopback
from model.errors import DragomanError

CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
STORE_SECONDS = 600
"""How long a registry may take over what was uploaded: it reads all of it once more, and may copy it."""
CLIENT = "build-model"
UNKNOWN_CODES = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"})
"""What a registry says in a 404 when it has nothing of that name; Harbor says the last one."""
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_REPOSITORY = re.compile(r"/v2/(.+)/(?:manifests|blobs|tags|referrers)/")
_ELSEWHERE = range(300, 400)  # where a registry keeps its blobs at another address
_SHOWN = 200  # characters of what a registry says

Body = Callable[[], bytes | IO[bytes] | io.RawIOBase]
"""Makes a request's body, anew for each attempt."""


class RegistryUnreachable(DragomanError):
    """The registry doesn't answer, or not as a registry."""


class AccessRefused(DragomanError):
    """The registry doesn't let us in, or not do this."""


class _Bearer(AuthBase):
    """A token, or nothing: without any `auth`, requests would send what a .netrc has for the host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Connection:
    """To the registry at ``address``."""

    def __init__(self, address: Address, environment: Mapping[str, str] = os.environ) -> None:
        self.address = address
        self._environment = environment
        secure = address.scheme == "https"
        self._trusted = certificates.context(address.host, certificates.folders(environment)) if secure else None
        self._session = self._new_session()
        self._plain: HTTPConnection | None = None
        self._basic: AuthBase | None = None
        self._tokens: dict[tuple[str, bool], str] = {}
        self._known = False

    def twin(self) -> Connection:
        """Another one, for another thread: introduced and signed in as this one is."""
        other = copy.copy(self)
        other._session, other._plain = self._new_session(), None
        return other

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # A proxy meant for the web would only be in the way of a registry on this machine.
        session.trust_env = not is_loopback(self.address.host)
        if self._trusted is not None:
            session.mount("https://", certificates.Certificates(self._trusted))
        return session

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """The answer to a request, whatever its status; ``path`` is below ``/v2/``, or a URL that the registry gave.

        Raises RegistryUnreachable where none comes, and AccessRefused.
        """
        if not self._known:
            self._introduce()
        url = urljoin(f"{self.address.url}/v2/", path)
        return self._ask(method, url, headers or {}, body, stream=stream)

    def checked(self, answer: requests.Response) -> requests.Response:
        """``answer`` if it is a success, else RegistryUnreachable with what the registry said."""
        if answer.ok:
            return answer
        request = f"{answer.request.method} {urlsplit(answer.url).path}"
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            after = answer.headers.get("Retry-After", "")
            wait = f"in {after} s" if after.isdigit() else "later"
            raise RegistryUnreachable(f"{self.address.host} was asked too much{_said(answer)}. Try again {wait}.")
        raise RegistryUnreachable(f"{self.address.host} answered {answer.status_code} to {request}{_said(answer)}.")

    def says_unknown(self, answer: requests.Response) -> bool:
        """Whether the registry itself says that it has no such thing.

        Any other 404 is no statement about versions: it is a proxy's, or that of a server which is no registry, and a
        version that is there must not look free.
        """
        return answer.status_code == HTTPStatus.NOT_FOUND and not UNKNOWN_CODES.isdisjoint(
            code for code, _ in _errors(answer)
        )

    def _introduce(self) -> None:
        """Only what speaks version 2 of the API answers to ``/v2/``."""
        answer = self._ask("GET", f"{self.address.url}/v2/", {}, None, stream=False)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise RegistryUnreachable(
                f"What answers at {self.address.url} is no image registry: it answered 404 to /v2/. Check --registry."
            )
        self.checked(answer)
        self._known = True

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, *, stream: bool
    ) -> requests.Response:
        answer = self._send(method, url, headers, body, stream=stream)
        if answer.status_code == HTTPStatus.UNAUTHORIZED and self._ours(url) and self._sign_in(method, url, answer):
            answer.close()
            answer = self._send(method, url, headers, body, stream=stream)
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._refused(answer, f"{method} {urlsplit(url).path}")
        return answer

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, *, stream: bool
    ) -> requests.Response:
        auth = self._basic or _Bearer(self._tokens.get(_access(method, url), ""))
        patience = STORE_SECONDS if body else ANSWER_SECONDS
        try:
            if method == "GET" and not stream and (found := self._read(url, headers, auth)) is not None:
                return found
            return self._session.request(
                method,
                url,
                headers={"User-Agent": CLIENT, **headers},
                data=body() if body else None,
                # Storage elsewhere, which a registry may send us to, has its permission in the URL.
                auth=auth if self._ours(url) else _Bearer(""),
                timeout=(CONNECT_SECONDS, patience),
                stream=stream,
            )
        except requests.RequestException as error:
            raise RegistryUnreachable(
                f"No registry answers at {self.address.url} ({cause(error)}). "
                "Check --registry; `deploy/local up` starts one on this machine."
            ) from error

    def _read(self, url: str, headers: Mapping[str, str], auth: AuthBase) -> requests.Response | None:
        """What a registry on this machine answers over plain HTTP; None where a session has to ask.

        Sessions look for proxies, cookies, redirects and encodings, which takes longer than such a registry's answer:
        of 200 versions, a second.
        """
        if self._session.trust_env or not url.startswith(f"http://{self.address.host}/"):
            return None
        asked = requests.PreparedRequest()
        asked.method, asked.url = "GET", url
        asked.headers = CaseInsensitiveDict({"User-Agent": CLIENT, **headers})
        auth(asked)
        try:
            if self._plain is None:
                self._plain = HTTPConnection(self.address.host, timeout=ANSWER_SECONDS)
            self._plain.request("GET", url.removeprefix(f"http://{self.address.host}"), headers=dict(asked.headers))
            came = self._plain.getresponse()
            content = came.read()
        except (HTTPException, OSError):
            self._plain = None  # closed meanwhile, perhaps
            return None
        if came.status in _ELSEWHERE:
            return None
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = came.status, url, asked
        answer.headers = CaseInsensitiveDict(came.getheaders())
        answer.raw, answer._content = io.BytesIO(content), content
        return answer

    def _ours(self, url: str) -> bool:
        return url.startswith(f"{self.address.url}/")

    # Signing in

    def _sign_in(self, method: str, url: str, answer: requests.Response) -> bool:
        """Answer the challenge with what `docker login` stored, or as nobody; False where there is no way."""
        scheme, fields = challenge(answer.headers.get("WWW-Authenticate", ""))
        stored = login.stored(self.address.host, self._environment)
        if scheme == "basic":
            if stored is None or self._basic is not None:
                return False
            self._basic = HTTPBasicAuth(stored.username.encode(), stored.password.encode())
            return True
        if scheme != "bearer":
            return False
        self._tokens[_access(method, url)] = self._token(fields, stored)
        return True

    def _token(self, fields: Mapping[str, str], stored: login.Login | None) -> str:
        """A token from the server that the challenge names, by `docker login`'s name and password or identity token."""
        realm, scopes = fields.get("realm", ""), fields.get("scope", "").split()
        if urlsplit(realm).scheme not in ("http", "https"):
            raise RegistryUnreachable(f"{self.address.host} names no token server that could be asked.")
        if stored and self.address.scheme == "https" and not realm.startswith("https://"):
            raise RegistryUnreachable(
                f"{self.address.host} wants its login sent to {urlsplit(realm).netloc} over plain HTTP. It wasn't."
            )
        asked = {"service": fields.get("service", ""), "client_id": CLIENT}
        try:
            if stored and stored.identity_token:
                form = {
                    "grant_type": "refresh_token",
                    "refresh_token": stored.identity_token,
                    "scope": " ".join(scopes),
                }
                answer = self._session.post(realm, data={**asked, **form}, auth=_Bearer(""), timeout=ANSWER_SECONDS)
            else:
                auth = HTTPBasicAuth(stored.username.encode(), stored.password.encode()) if stored else _Bearer("")
                query = {**asked, "scope": scopes, **({"account": stored.username} if stored else {})}
                answer = self._session.get(realm, params=query, auth=auth, timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            raise RegistryUnreachable(
                f"The token server of {self.address.host} doesn't answer at {urlsplit(realm).netloc} ({cause(error)})."
            ) from error
        if answer.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._refused(answer, "sign in")
        try:
            token = self.checked(answer).json()
            return str(token.get("token") or token["access_token"])
        except (ValueError, KeyError, AttributeError) as error:
            raise RegistryUnreachable(f"The token server of {self.address.host} answered without a token.") from error

    def _refused(self, answer: requests.Response, doing: str) -> AccessRefused:
        host = self.address.host
        stored = login.stored(host, self._environment)
        who = "nobody is logged in there" if stored is None else f"logged in as {stored.username or 'a token'}"
        to = "" if host == "docker.io" else f" {host}"
        return AccessRefused(
            f"{host} refuses access ({answer.status_code} to {doing}{_said(answer)}; {who}). "
            f"Run `docker login{to}` as somebody who may do that, or name another repository."
        )


def challenge(header: str) -> tuple[str, dict[str, str]]:
    """(scheme in lower case, its fields) of a WWW-Authenticate header; a bearer's where there are several."""
    found = [
        (match["scheme"].lower(), dict(_CHALLENGE.findall(match["fields"])))
        for match in re.finditer(
            r"(?P<scheme>Basic|Bearer)(?P<fields>(?:[\s,]*\w+=\"[^\"]*\")*)", header, re.IGNORECASE
        )
    ]
    return next((one for one in found if one[0] == "bearer"), found[0] if found else ("", {}))


def cause(error: requests.RequestException) -> str:
    """Why no answer came, in few words."""
    text = str(error)
    known = {
        "Connection refused": "connection refused",
        "Name or service not known": "name or service not known",
        "timed out": "timed out",
        "CERTIFICATE_VERIFY_FAILED": "its certificate is signed by nobody known here; put its authority's into "
        "/etc/docker/certs.d/HOST:PORT/ca.crt",
        "WRONG_VERSION": "it doesn't speak TLS; plain HTTP is asked for with http://",
        "CERTIFICATE_REQUIRED": "it wants a client's certificate; put NAME.cert and NAME.key into "
        "/etc/docker/certs.d/HOST:PORT",
        "Connection aborted": "the connection was cut",
        "Connection broken": "the connection was cut",
    }
    return next((said for part, said in known.items() if part in text), type(error).__name__)


def _access(method: str, url: str) -> tuple[str, bool]:
    """What a token is for: (repository, whether it writes)."""
    match = _REPOSITORY.search(url)
    return (match[1] if match else "", method not in ("GET", "HEAD"))


def _errors(answer: requests.Response) -> list[tuple[str, str]]:
    """(code, message) of each error in an answer; none where it isn't a registry's own."""
    try:
        document: Any = answer.json()
        return [(str(error["code"]), str(error.get("message") or "")) for error in document["errors"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _said(answer: requests.Response) -> str:
    """``: CODE message`` for a message, on one line; empty when the registry gave no reason."""
    text = "; ".join(f"{code} {message}".strip() for code, message in _errors(answer))
    return f": {json.dumps(text[:_SHOWN], ensure_ascii=False)[1:-1]}" if text else ""
