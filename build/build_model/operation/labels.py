"""The labels in which an engine keeps what was deployed: any machine that reaches the engine can go on from there."""

from build_model.container import Container
from build_model.image.reference import Reference

DEPLOYMENT, ROLE = "dragoman.deployment", "dragoman.role"
REFERENCE, PREVIOUS = "dragoman.reference", "dragoman.previous"
REGISTRY, SETTINGS, METRICS_PORT = "dragoman.registry", "dragoman.settings", "dragoman.metrics-port"
GENERATION, REPLICAS, ACTION = "dragoman.generation", "dragoman.replicas", "dragoman.action"
CLIENT_AMQP_URL = "dragoman.client-amqp-url"
"""Only replicas of Dragoman 1.0 carry it, and their broker's URL in the environment; today both are secrets."""

AMQP_URL_SECRET, CLIENT_AMQP_URL_SECRET = "amqp_url", "client_amqp_url"


def version_of(replica: Container) -> str:
    """The model version of a replica."""
    return Reference.parse(replica.labels[REFERENCE]).tag
