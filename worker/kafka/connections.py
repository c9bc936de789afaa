"""Make a kafka-python client that is connected, or say which address does not answer, and why."""

from collections.abc import Callable, Mapping
from typing import Any

import kafka.errors as client
from kafka.net.compat import KafkaNetClient

from worker.errors import Unavailable
from worker.kafka.client_errors import last_words, reason


def connected(make: Callable[..., Any], config: Mapping[str, Any], servers: str) -> Any:
    """Make a consumer or producer; Unavailable, with the address, when it cannot connect."""
    nets: list[KafkaNetClient] = []

    def remembered(**kwargs: Any) -> KafkaNetClient:
        nets.append(KafkaNetClient(**kwargs))
        return nets[-1]

    with last_words() as listener:
        try:
            return make(**config, kafka_client=remembered)
        except (client.KafkaError, OSError, ValueError) as error:
            for net in nets:  # A client that failed to start leaves its sockets and its thread.
                net.close()
            why = listener.words or reason(error)
            raise Unavailable(
                f"no Kafka answers at {servers} ({why}): "
                "start it, or name another with TUWEN_BOOTSTRAP_SERVERS"
            ) from error
