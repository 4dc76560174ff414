"""The Docker engine: the one place that calls the docker SDK and that turns its errors into ours.

That it is one place makes it longer than other modules. Streams are read here event by event: the SDK's own
``images.build``, ``push`` and ``pull`` overlook errors inside them (docker-py issues 3277, 3161, 2226).
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import IO, Any

import docker
import docker.errors
import requests.exceptions

from build_model.container import (
    HARDENING,
    PLATFORM,
    SECRETS,
    Container,
    ContainerSpec,
    Outcome,
    container_of,
    explained,
    options_of,
    secret_files,
)
from build_model.report import Progress
from build_model.tunnel import SCHEME, TunnelFailed, through_ssh
from model.errors import DragomanError

CONNECT_SECONDS = 10
STREAM_SECONDS = 1800
"""The longest silence inside a build, push or pull: nothing is said while a layer of torch's size is compressed."""


class EngineUnavailable(DragomanError):
    """No Docker engine answers."""


class EngineFailed(DragomanError):
    """The engine answered that it could not do what was asked; the message is its own."""


class ImageMissing(DragomanError):
    """The engine has no image of that name."""


class ContainerMissing(DragomanError):
    """The engine has no such container."""


class NameTaken(DragomanError):
    """The engine already has a container of that name."""


@contextmanager
def translated(doing: str, missing: type[DragomanError] = ImageMissing) -> Iterator[None]:
    """Turn the SDK's errors into ours; ``doing`` completes the sentence "The engine could not ...".

    ``missing`` is what to raise where what was asked about isn't there.
    """
    try:
        yield
    except docker.errors.NotFound as error:
        raise missing(f"The engine could not {doing}: {_explanation(error)}") from error
    except docker.errors.DockerException as error:
        raise EngineFailed(f"The engine could not {doing}: {_explanation(error)}") from error
    except requests.exceptions.RequestException as error:
        raise EngineUnavailable(
            f"The Docker engine at {_address()} stopped answering while asked to {doing}."
        ) from error


@dataclass(frozen=True)
class Image:
    """An image that the engine has. ``labels`` and ``digests`` (``repository@sha256:...``) are as its config says."""

    id: str
    labels: Mapping[str, str]
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    layers: tuple[str, ...]
    size_bytes: int


_WITH_USER = re.compile(r"(?:ssh://[\w.-]+@|unix://)[^@\s]*")


class Engine:
    """A connection to one Docker engine."""

    def __init__(self, client: docker.DockerClient, host: str = "") -> None:
        self.client = client
        self.host = host or _address()

    @classmethod
    def connect(cls, host: str = "") -> Engine:
        """The engine at ``host``, else that of ``DOCKER_HOST``; EngineUnavailable if none answers."""
        named = host or os.environ.get("DOCKER_HOST", "")
        option = "--host" if host else "DOCKER_HOST"
        if "@" in named and _WITH_USER.fullmatch(named) is None:
            raise EngineUnavailable(
                f"{option} is no engine's address that can be used or shown. Expected unix:///PATH, tcp://HOST:PORT or "
                "ssh://USER@HOST; a password is no part of it: give ssh a key."
            )
        try:
            reached = through_ssh(named) if named.startswith(SCHEME) else named
            environment = {**os.environ, "DOCKER_HOST": reached} if reached else None
            client = docker.from_env(timeout=CONNECT_SECONDS, environment=environment)
            client.ping()
        except TunnelFailed as error:
            raise EngineUnavailable(
                f"No Docker engine answers at {named}: {str(error).rstrip('.')}. Try `ssh {named} docker version`."
            ) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise EngineUnavailable(
                f"No Docker engine answers at {host or _address()}. "
                f"Start one (`deploy/local up` does), or name one in {option}."
            ) from error
        client.api.timeout = STREAM_SECONDS
        return cls(client, host)

    def about(self) -> dict[str, str]:
        """What it is: name, version, os, architecture, how it stores images, and where (``root``)."""
        with translated("say what it is"):
            told, version = self.client.info(), self.client.version()
        name = (version.get("Components") or [{}])[0].get("Name", "Engine")
        return {
            "name": "Docker" if name == "Engine" else str(name),
            "version": str(version.get("Version", "")),
            "os": str(told.get("OSType", "")),
            "architecture": str(told.get("Architecture", "")),
            "storage": str(told.get("Driver", "")),
            "root": str(told.get("DockerRootDir", "")),
        }

    def gives_digests_to_all(self) -> bool:
        """Whether images have digests here that no registry ever had: with podman, and in containerd's store."""
        with translated("say what it is"):
            status = self.client.info().get("DriverStatus") or []
        return ["driver-type", "io.containerd.snapshotter.v1"] in status or "podman" in self.about()["name"].lower()

    # Images

    def image(self, reference: str) -> Image | None:
        """The image that ``reference`` (a tag, a digest or an ID) names here, or None."""
        try:
            with translated(f"look up {reference}"):
                attributes = self.client.images.get(reference).attrs
        except ImageMissing:
            return None
        return _image(attributes)

    def images(self, label: str) -> list[Image]:
        """The images that have ``label``, whatever its value."""
        with translated(f"list images with the label {label}"):
            found = self.client.images.list(filters={"label": label})
        return [_image(one.attrs) for one in found]

    def remove_name(self, name: str) -> None:
        """Take a tag or a digest from its image, and with the last one the image; one that is gone is fine."""
        try:
            with translated(f"remove {name}"):
                self.client.images.remove(name)
        except ImageMissing:
            return

    def digests(self, repository: str, version: str) -> list[str]:
        """The digests under which the engine has pulled or pushed ``version`` of ``repository`` (registry and all)."""
        with translated(f"list the images of {repository}"):
            images = self.client.api.images()
        ours = [one for one in images if (one.get("Labels") or {}).get("org.opencontainers.image.version") == version]
        names = {name for one in ours for name in one.get("RepoDigests") or ()}
        return sorted(name.partition("@")[2] for name in names if name.partition("@")[0] == repository)

    def attributes(self, image: str) -> dict[str, Any]:
        """What the engine's API says of an image, as `docker image inspect` shows it."""
        with translated(f"look up {image}"):
            found: dict[str, Any] = self.client.images.get(image).attrs
        return found

    def tags(self, repository: str) -> list[str]:
        """The tags that the engine has of ``repository``."""
        with translated(f"list the images of {repository}"):
            images = self.client.api.images(name=repository)
        names = [name for image in images for name in image.get("RepoTags") or ()]
        return sorted(name.rpartition(":")[2] for name in names if name.rpartition(":")[0] == repository)

    def build(
        self,
        context: IO[bytes],
        *,
        tags: Sequence[str],
        progress: Progress,
        labels: Mapping[str, str] | None = None,
        buildargs: Mapping[str, str] | None = None,
        target: str | None = None,
    ) -> str:
        """Build the ``Dockerfile`` inside the tar ``context``; the image ID. EngineFailed has its last words."""
        said: deque[str] = deque(maxlen=20)
        image_id = ""
        with translated("build the image"):
            events = self.client.api.build(
                fileobj=context,
                custom_context=True,
                decode=True,
                rm=True,
                forcerm=True,
                labels=dict(labels or {}),
                buildargs=dict(buildargs or {}),
                target=target or "",
                # The user's proxy settings would become build arguments, and with them part of every layer's history.
                use_config_proxy=False,
            )
            for event in events:
                text = event.get("stream", "").rstrip()
                if text:
                    said.append(text)
                if text.startswith("Step "):
                    progress.line(text)
                _raise_if_failed(event, "build the image", said)
                image_id = event.get("aux", {}).get("ID", image_id)
        if not image_id:
            raise EngineFailed(
                "The engine ended the build without naming an image. Its last words: " + " / ".join(said)
            )
        for tag in tags:
            self.tag(image_id, tag)
        return image_id

    def tag(self, image: str, reference: str) -> None:
        """Give ``image`` one more name."""
        repository, _, tag = reference.rpartition(":")
        with translated(f"tag {image} as {reference}"):
            self.client.api.tag(image, repository, tag)

    def push(self, reference: str, progress: Progress) -> str:
        """Push ``repository:tag``; the digest of the manifest that the registry has now."""
        repository, _, tag = reference.rpartition(":")
        digest = ""
        with translated(f"push {reference}"), progress.transfers(f"Pushing {reference}") as show:
            for event in self.client.api.push(repository, tag=tag, stream=True, decode=True):
                _raise_if_failed(event, f"push {reference}", ())
                digest = event.get("aux", {}).get("Digest", digest)
                _show(show, event)
        if not digest:
            raise EngineFailed(
                f"The engine pushed {reference}, but the registry named no digest for it. Push it again."
            )
        return digest

    def pull(self, reference: str, progress: Progress, login: Mapping[str, str] | None = None) -> Image:
        """Pull ``repository:tag`` or ``repository@digest``; the image as it is here now.

        ``login`` is the engine's own form of one; without it, docker-py looks one up.
        """
        separator = "@" if "@" in reference else ":"
        repository, _, tag = reference.rpartition(separator)
        with translated(f"pull {reference}"), progress.transfers(f"Pulling {reference}") as show:
            given = dict(login) if login is not None else None
            events = self.client.api.pull(
                repository, tag=tag, stream=True, decode=True, auth_config=given, platform=PLATFORM
            )
            for event in events:
                _raise_if_failed(event, f"pull {reference}", ())
                _show(show, event)
        image = self.image(reference)
        if image is None:
            raise EngineFailed(f"The engine pulled {reference} but doesn't have it. Pull it again.")
        return image

    @contextmanager
    def saved(self, image: str) -> Iterator[IO[bytes]]:
        """An image with all its layers, as `docker save` writes it."""
        with translated(f"save {image}"), tempfile.TemporaryFile() as file:
            for piece in self.client.api.get_image(image):
                file.write(piece)
            file.seek(0)
            yield file

    def load(self, archive: IO[bytes]) -> str:
        """Take in an archive of one image without a name, as `docker load` does; its ID."""
        said: list[str] = []
        with translated("load the image"):
            for event in self.client.api.load_image(archive, quiet=True):  # type: ignore[no-untyped-call]
                _raise_if_failed(event, "load the image", said)
                if "message" in event:  # of a request that was refused as a whole
                    raise EngineFailed(f"The engine could not load the image: {event['message']}")
                said.append(str(event.get("stream", "")).strip())
        match = re.search(r"sha256:[0-9a-f]{64}", " ".join(said))
        if match is None:
            raise EngineFailed(f"The engine loaded the image without naming it. Its last words: {' / '.join(said)}")
        return match[0]

    def import_root(self, root: IO[bytes], reference: str, changes: Sequence[str]) -> None:
        """An image ``reference`` of one layer, the tar of a root folder; ``changes`` are Dockerfile instructions."""
        repository, _, tag = reference.rpartition(":")
        with translated(f"import {reference}"):
            self.client.api.import_image_from_data(root, repository=repository, tag=tag, changes=list(changes))

    def prune(self, label: str) -> None:
        """Remove the unnamed images that have ``label`` (``NAME=VALUE``): what a build leaves of its earlier stages."""
        with translated(f"remove unnamed images with the label {label}"):
            self.client.images.prune(filters={"dangling": True, "label": label})

    def layer_sizes(self, reference: str) -> list[tuple[str, int]]:
        """(instruction, bytes on disk) of each layer that holds files, lowest first.

        Empty where the engine can't say: podman (5.4) stumbles over steps without a time, which OCI allows.
        """
        with translated(f"read the history of {reference}"):
            image = self.client.images.get(reference)
            try:
                history = image.history()
            except docker.errors.APIError as error:
                if error.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
                    return []
                raise
        return [(step["CreatedBy"], step["Size"]) for step in reversed(history) if step["Size"]]

    def read_files(self, image: str, paths: Sequence[str]) -> dict[str, bytes]:
        """The bytes of ``paths`` inside ``image``, without starting it; EngineFailed when one isn't there."""
        with translated(f"read files of {image}", missing=EngineFailed):
            container = self.client.containers.create(image, network_mode="none")
            try:
                return {path: _only_member(container.get_archive(path)[0]) for path in paths}
            finally:
                container.remove(force=True)

    # Containers that run to their end

    def run_to_end(self, image: str, command: Sequence[str], *, network: str, seconds: float) -> Outcome:
        """Run ``command`` in a hardened container of ``image``; EngineFailed when it takes longer than ``seconds``."""
        with translated(f"run {' '.join(command)} in {image}"):
            container = self.client.containers.create(
                image,
                list(command),
                platform=PLATFORM,
                environment={"LOG_FORMAT": "text"},
                network_mode=network,
                **HARDENING,
            )
            try:
                container.start()
                exit_code = container.wait(timeout=seconds)["StatusCode"]
                return Outcome(exit_code, explained(container.logs().decode("utf-8", "replace")))
            except docker.errors.APIError:
                raise  # it didn't start; the SDK makes that a request's error too
            except requests.exceptions.RequestException as error:
                log = container.logs(tail=5).decode("utf-8", "replace").strip()
                raise EngineFailed(
                    f"`{' '.join(command)}` in {image} had not ended after {seconds:.0f} s. Its last words: {log}"
                ) from error
            finally:
                container.remove(force=True)

    # Containers that live

    def create(self, spec: ContainerSpec) -> str:
        """Create a hardened container and don't start it; its ID. NameTaken when one of that name is there."""
        try:
            container = self.client.containers.create(spec.image, name=spec.name, **options_of(spec))
        except docker.errors.APIError as error:
            if error.status_code == HTTPStatus.CONFLICT:
                raise NameTaken(f"The engine already has a container named {spec.name}.") from error
            with translated(f"create {spec.name}"):
                raise
        except requests.exceptions.RequestException:
            with translated(f"create {spec.name}"):
                raise
        if spec.secrets:
            try:
                self._put_secrets(str(container.id), spec)
            except BaseException:
                self.remove(str(container.id))
                raise
        return str(container.id)

    def _put_secrets(self, container: str, spec: ContainerSpec) -> None:
        with translated(f"put the secrets of {spec.name} into it", missing=ContainerMissing):
            user = self.client.images.get(spec.image).attrs["Config"].get("User", "")
            self.client.api.put_archive(container, SECRETS, secret_files(spec.secrets, user))

    def secrets(self, container: str, names: Sequence[str]) -> dict[str, str]:
        """The secrets that ``container`` was created with, by name; those that it hasn't are left out."""
        found = {}
        for name in names:
            try:
                with translated(f"read the secrets of {container[:12]}", missing=ContainerMissing):
                    archive = self.client.containers.get(container).get_archive(f"{SECRETS}/{name}")[0]
                    found[name] = _only_member(archive).decode()
            except ContainerMissing:
                continue
        return found

    def start(self, container: str) -> None:
        """Start a container that was created or has ended."""
        with translated(f"start {container[:12]}", missing=ContainerMissing):
            self.client.containers.get(container).start()

    def container(self, container: str) -> Container:
        """How ``container`` (ID or name) is now; ContainerMissing when it is gone."""
        with translated(f"look at {container[:12]}", missing=ContainerMissing):
            return container_of(self.client.containers.get(container).attrs)

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """The containers that carry all of ``labels``, whether they run or not, by name."""
        filters: dict[str, str | list[str] | bool] = {"label": [f"{name}={value}" for name, value in labels.items()]}
        with translated("list containers"):
            found = self.client.containers.list(all=True, filters=filters, ignore_removed=True)
            return sorted((container_of(one.attrs) for one in found), key=lambda one: one.name)

    def execute(self, container: str, command: Sequence[str]) -> Outcome:
        """Run ``command`` beside the main process of a running container; its exit code and what it printed."""
        with translated(f"run {' '.join(command)} in {container[:12]}", missing=ContainerMissing):
            exit_code, said = self.client.containers.get(container).exec_run(list(command))
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else ""
        return Outcome(-1 if exit_code is None else exit_code, text)

    def clock(self) -> float:
        """The time on the engine's machine, seconds since 1970."""
        with translated("tell the time"):
            text: str = self.client.info()["SystemTime"]
        whole, _, fraction = text.rstrip("Z").partition(".")  # nanoseconds: more than Python reads
        return datetime.fromisoformat(f"{whole[:19]}+00:00").timestamp() + float(f"0.{fraction[:6] or 0}")

    def exit_codes(self, container: str, since: float, until: float) -> list[int]:
        """With what ``container`` ended between two times of ``clock``, whether it was started again or not.

        The engine remembers its last 256 events.
        """
        with translated(f"read the events of {container[:12]}"):
            api: Any = self.client.api  # its types know whole seconds only
            events = api.events(
                since=f"{since:.6f}",
                until=f"{until:.6f}",
                filters={"type": "container", "event": "die", "container": container},
                decode=True,
            )
            return [int(event["Actor"]["Attributes"]["exitCode"]) for event in events]

    def stop(self, container: str, seconds: int) -> int:
        """SIGTERM, then SIGKILL after ``seconds``; the exit code."""
        with translated(f"stop {container[:12]}", missing=ContainerMissing):
            handle = self.client.containers.get(container)
            handle.stop(timeout=seconds)
            return int(handle.wait(timeout=CONNECT_SECONDS)["StatusCode"])

    def log(self, container: str, lines: int) -> str:
        """The last ``lines`` of a container's standard output and error."""
        with translated(f"read the log of {container[:12]}", missing=ContainerMissing):
            return explained(self.client.containers.get(container).logs(tail=lines).decode("utf-8", "replace"))

    def remove(self, container: str) -> None:
        """Remove a container, running or not, and its secrets; one that is already gone is fine."""
        try:
            with translated(f"remove {container[:12]}", missing=ContainerMissing):
                self.client.containers.get(container).remove(force=True, v=True)
        except ContainerMissing:
            return


def _image(attributes: Mapping[str, Any]) -> Image:
    return Image(
        id=attributes["Id"],
        labels=dict(attributes["Config"].get("Labels") or {}),
        tags=tuple(attributes.get("RepoTags") or ()),
        digests=tuple(attributes.get("RepoDigests") or ()),
        layers=tuple(attributes["RootFS"].get("Layers") or ()),
        size_bytes=attributes["Size"],
    )


def _raise_if_failed(event: Mapping[str, Any], doing: str, said: Sequence[str] | deque[str]) -> None:
    message = event.get("errorDetail", {}).get("message") or event.get("error")
    if message:
        before = "".join(f"\n  {line}" for line in said)
        raise EngineFailed(f"The engine could not {doing}: {message.strip()}{before}")


def _show(show: Any, event: Mapping[str, Any]) -> None:
    if "id" in event and "status" in event:
        detail = event.get("progressDetail") or {}
        show(event["id"], event["status"], detail.get("current", 0), detail.get("total", 0))


def _only_member(chunks: Iterator[bytes]) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        content = tar.extractfile(tar.getmembers()[0])
        return content.read() if content is not None else b""


def _explanation(error: Exception) -> str:
    text = getattr(error, "explanation", None) or str(error)
    return explained(str(text).strip())


def _address() -> str:
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
