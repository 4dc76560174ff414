"""Old images go, but none that somebody may need."""

from dataclasses import replace

from build_model.container import Container
from build_model.engine import Image
from build_model.operation.prune import fates

REPOSITORY = "dragoman/fra-eng"
REPLICA = Container("c1", "dragoman-1", "", {}, {}, "bridge", "running", "healthy", None, 0, "", "")


def image(version: str, registry: str = "r:5000/", pushed: bool = True) -> Image:
    name = f"{registry}{REPOSITORY}"
    digests = (f"{name}@sha256:{version}",) if pushed else ()
    return Image(
        f"sha256:{version}", {"org.opencontainers.image.version": version}, (f"{name}:{version}",), digests, (), 1
    )


def kept(images: list[Image], containers: list[Container], keep: int) -> dict[str, str]:
    return {fate.version: fate.kept for fate in fates(images, containers, REPOSITORY, keep) if fate.kept}


VERSIONS = [image(version) for version in ("1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "2.0.0")]


def test_the_newest_versions_stay_by_their_number_not_by_their_letters() -> None:
    assert set(kept(VERSIONS, [], 3)) == {"2.0.0", "2.0.0-rc.1", "1.10.0"}


def test_what_runs_and_what_a_rollback_leads_to_stays_however_old_it_is() -> None:
    labels = {
        "dragoman.reference": f"r:5000/{REPOSITORY}:1.2.0@sha256:1.2.0",
        "dragoman.previous": f"r:5000/{REPOSITORY}:1.0.0@sha256:1.0.0",
    }
    found = kept(VERSIONS, [replace(REPLICA, labels=labels)], 1)
    assert found == {"2.0.0": "one of the 1 newest", "1.2.0": "runs", "1.0.0": "a rollback leads to it"}


def test_an_image_of_any_container_stays() -> None:
    by_id = replace(REPLICA, image_id="sha256:1.0.0", status="exited")
    by_name = replace(REPLICA, image=f"r:5000/{REPOSITORY}@sha256:1.2.0")
    assert set(kept(VERSIONS, [by_id, by_name], 1)) == {"2.0.0", "1.0.0", "1.2.0"}


def test_what_no_registry_has_stays() -> None:
    assert kept([image("2.0.0"), image("1.0.0", "", pushed=False)], [], 1)["1.0.0"] == "no registry has it"


def test_where_every_image_has_a_digest_the_registry_is_asked() -> None:
    found = fates(VERSIONS, [], REPOSITORY, 3, pushed=lambda one: "1.0.0" not in one.id)
    assert {one.version: one.kept for one in found if not one.kept or "registry" in one.kept} == {
        "1.2.0": "",
        "1.0.0": "no registry has it",
    }


def test_other_repositories_are_left_alone() -> None:
    other = replace(VERSIONS[0], tags=("r:5000/dragoman/deu-eng:1.0.0",), digests=("r:5000/dragoman/deu-eng@sha256:1",))
    assert fates([other], [], REPOSITORY, 1) == []
    below = replace(VERSIONS[0], tags=(), digests=(f"r:5000/team/{REPOSITORY}@sha256:1",))
    assert len(fates([below], [], REPOSITORY, 1)) == 1
