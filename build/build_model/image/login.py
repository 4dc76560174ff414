"""What `docker login` stored for a registry: in Docker's config file, or with the credential helper that it names.

docker-py reads the same file, but passes over one that is broken, says of a missing helper only that it is missing, and
knows no token in place of a password.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build_model.image.reference import DOCKER_HUB
from model.errors import DragomanError

HUB_KEY = "https://index.docker.io/v1/"
"""What Docker files a login at Docker Hub under."""
TOKEN_USER = "<token>"
"""The user name by which a helper says that its secret is an identity token."""
HELPER_SECONDS = 60
_NONE_STORED = "credentials not found"
"""How a helper's answer begins when it has nothing for a registry (docker-credential-helpers)."""


class LoginUnreadable(DragomanError):
    """A login is stored, and can't be read."""


@dataclass(frozen=True)
class Login:
    """A user's name and password, or an identity token that a token server takes in their place."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def for_engine(host: str) -> dict[str, str]:
    """The login for the registry ``host`` as the engine's API wants it; empty without one. LoginUnreadable."""
    login = stored(host)
    if login is None:
        return {}
    if login.identity_token:
        return {"identitytoken": login.identity_token, "serveraddress": host}
    return {"username": login.username, "password": login.password, "serveraddress": host}


def stored(host: str, environment: Mapping[str, str] = os.environ) -> Login | None:
    """The login for the registry ``host``, or None. Raises LoginUnreadable, which says what to mend."""
    path = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    settings = _settings(path, host)
    helpers = _mapping(settings, "credHelpers", path, host)
    helper = next((name for key, name in helpers.items() if _host(key) == host), settings.get("credsStore"))
    if helper:
        login = _from_helper(str(helper), host, path, environment)
        if login:
            return login
    entries = {_host(key): entry for key, entry in _mapping(settings, "auths", path, host).items()}
    return _from_entry(entries.get(host), host, path)


def _settings(path: Path, host: str) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LoginUnreadable(f"{path} can't be read ({error.strerror}): it has the login for {host}.") from error
    except ValueError as error:  # not UTF-8, or no JSON
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "not UTF-8"
        raise _broken(path, where, host) from error
    if not isinstance(settings, dict):
        raise _broken(path, "expected an object", host)
    return settings


def _mapping(settings: Mapping[str, Any], name: str, path: Path, host: str) -> dict[str, Any]:
    value = settings.get(name) or {}
    if not isinstance(value, dict):
        raise _broken(path, f"{name} is not an object", host)
    return value


def _broken(path: Path, what: str, host: str) -> LoginUnreadable:
    return LoginUnreadable(
        f"{path} is not what Docker writes ({what}). Mend it, or move it away and run `docker login {host}`."
    )


def _from_entry(entry: object, host: str, path: Path) -> Login | None:
    """An entry of ``auths``; Docker leaves an empty one where a credential store has the rest."""
    if entry is None:
        return None
    if not isinstance(entry, dict):
        raise _broken(path, f"the entry for {host} is not an object", host)
    if entry.get("identitytoken"):
        return Login(identity_token=str(entry["identitytoken"]))
    if entry.get("username"):
        return Login(str(entry["username"]), str(entry.get("password", "")))
    if not entry.get("auth"):
        return None
    try:
        username, colon, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        username = colon = password = ""
    if not colon:
        raise _broken(path, f"auth of {host} is no USER:PASSWORD in base64", host)
    return Login(username, password.strip("\0"))


def _from_helper(name: str, host: str, path: Path, environment: Mapping[str, str]) -> Login | None:
    """What ``docker-credential-NAME get`` answers; None when it has nothing for ``host``."""
    program = f"docker-credential-{name}"
    try:
        ran = subprocess.run(
            [program, "get"],
            input=HUB_KEY if host == DOCKER_HUB else host,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=HELPER_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise LoginUnreadable(
            f"{path} says that {program} keeps the login for {host}, and there is no such program on the PATH. "
            "Install it, or remove the helper's name from the file and run `docker login`."
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = f"it took more than {HELPER_SECONDS} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise _helper_failed(program, host, path, reason) from error
    if ran.returncode:
        said = (ran.stdout.strip() or ran.stderr.strip() or f"it ended with {ran.returncode}").splitlines()[0]
        if said.startswith(_NONE_STORED):
            return None
        raise _helper_failed(program, host, path, said)
    try:
        answer = json.loads(ran.stdout)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, TypeError, KeyError) as error:  # the answer isn't shown: it may hold the secret
        raise _helper_failed(program, host, path, "its answer has no Username and Secret") from error
    if not secret:
        return None
    return Login(identity_token=secret) if username == TOKEN_USER else Login(username, secret)


def _helper_failed(program: str, host: str, path: Path, reason: str) -> LoginUnreadable:
    return LoginUnreadable(
        f"{program}, which {path} names for {host}, gives no login: {reason}. Run `docker login {host}`."
    )


def _host(key: str) -> str:
    """The registry of a key of the config file: bare, or a URL as old versions of Docker wrote it."""
    host = re.sub(r"^https?://", "", key).partition("/")[0]
    return DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host
