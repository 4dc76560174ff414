"""The labels in which an engine keeps what was deployed: any machine that reaches the engine can go on from there."""

from build_model.engine import Container
from build_model.image.reference import Reference

DEPLOYMENT, ROLE = "dragoman.deployment", "dragoman.role"
REFERENCE, PREVIOUS = "dragoman.reference", "dragoman.previous"
REGISTRY, CLIENT_AMQP_URL, SETTINGS = "dragoman.registry", "dragoman.client-amqp-url", "dragoman.settings"


def version_of(replica: Container) -> str:
    """The model version of a replica."""
    return Reference.parse(replica.labels[REFERENCE]).tag
