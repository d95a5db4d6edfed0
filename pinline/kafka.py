"""Connection settings for both Kafka clients: kafka-python's names and librdkafka's.

kafka-python serves the sink, the command line and tests; confluent-kafka the gateway, where a millisecond counts.
"""

from typing import Any

from pinline.errors import SettingsError
from pinline.settings import Settings, secret


def kafka_python_config(settings: Settings) -> dict[str, Any]:
    """Return the connection arguments of `KafkaConsumer`, `KafkaProducer` and `KafkaAdminClient`."""
    config: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "security_protocol": settings.kafka_security_protocol,
        # kafka-python's own 30 s would leave the sink idle that long after Kafka is back
        "reconnect_backoff_max_ms": 2000,
    }
    if settings.kafka_ssl_ca:
        config["ssl_cafile"] = str(settings.kafka_ssl_ca)
    match _sasl(settings):
        case None:
            pass
        case "AWS_MSK_IAM":
            config |= {
                "sasl_mechanism": "OAUTHBEARER",
                "sasl_oauth_token_provider": _token_provider(settings),
            }
        case mechanism:
            config |= {
                "sasl_mechanism": mechanism,
                "sasl_plain_username": settings.kafka_sasl_username,
                "sasl_plain_password": secret(settings.kafka_sasl_password, "KAFKA_SASL_PASSWORD"),
            }
    return config


def librdkafka_config(settings: Settings) -> dict[str, Any]:
    """Return the connection properties of confluent-kafka's clients."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_ssl_ca:
        config["ssl.ca.location"] = str(settings.kafka_ssl_ca)
    match _sasl(settings):
        case None:
            pass
        case "AWS_MSK_IAM":
            config |= {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": lambda _config: msk_iam_token(settings)}
        case mechanism:
            config |= {
                "sasl.mechanism": mechanism,
                "sasl.username": settings.kafka_sasl_username,
                "sasl.password": secret(settings.kafka_sasl_password, "KAFKA_SASL_PASSWORD"),
            }
    return config


def topic_configs(settings: Settings) -> dict[str, str]:
    """Return the configuration of a new topic of events or dead letters: it keeps everything."""
    configs = {"retention.ms": "-1"}
    if settings.kafka_min_insync_replicas:
        configs["min.insync.replicas"] = str(settings.kafka_min_insync_replicas)
    return configs


def msk_iam_token(settings: Settings) -> tuple[str, float]:
    """Return an MSK IAM token and the second since the epoch when it ends.

    It is signed, without asking anybody, for AWS_REGION with the settings' credentials; unset ones mean boto3's chain.
    """
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # only MSK needs it
    from botocore.credentials import CredentialProvider, Credentials

    if settings.aws_access_key_id is None:
        token, expiry_ms = MSKAuthTokenProvider.generate_auth_token(settings.aws_region)
        return token, expiry_ms / 1000

    class Given(CredentialProvider):  # type: ignore[misc,unused-ignore]  # its types come with boto3's stubs only
        METHOD = "pinline"

        def load(self) -> Credentials:
            session = settings.aws_session_token
            return Credentials(
                settings.aws_access_key_id or "",
                secret(settings.aws_secret_access_key, "AWS_SECRET_ACCESS_KEY"),
                session.get_secret_value() if session else None,
            )

    token, expiry_ms = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(settings.aws_region, Given())
    return token, expiry_ms / 1000


def _sasl(settings: Settings) -> str | None:
    if not settings.kafka_security_protocol.startswith("SASL"):
        return None
    if settings.kafka_sasl_mechanism is None:
        raise SettingsError(
            f"KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol} and KAFKA_SASL_MECHANISM is not set. "
            "Valid: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, AWS_MSK_IAM."
        )
    return settings.kafka_sasl_mechanism


def _token_provider(settings: Settings) -> Any:
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class MskTokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
        def token(self) -> str:
            return msk_iam_token(settings)[0]

    return MskTokenProvider()
