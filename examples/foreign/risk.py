"""A participant in another language: it assesses the risk of each order, and knows Quadrille by its events alone.

Reads ORDER_CREATED (CloudEvents, binary mode) and states RISK_ASSESSED (structured mode). See README.md.
"""

import argparse
import json
import signal
import sqlite3
import threading
import uuid
from datetime import datetime, timezone

SOURCE = "https://risk.example/orders"  # Ours alone, and for ever: with the id it names each event.
NAMESPACE = uuid.UUID("6f0d3a51-7c2b-4f0e-9d43-0c5a8a7f2e11")
LIMIT_MINOR = 100_000
HEADERS = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def assess(headers, order, now):
    """The event that answers an ORDER_CREATED; the same cause gives the same id, whoever asks, and when."""
    cause = f"{headers['ce_source']} {headers['ce_id']}"
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid5(NAMESPACE, cause)),
        "source": SOURCE,
        "type": "RISK_ASSESSED",
        "time": now,
        "subject": order["order"],
        "datacontenttype": "application/json",
        "correlationid": headers["ce_correlationid"],  # The saga: it must come back as it came.
        "causationid": headers["ce_id"],
        "partitionkey": order["order"],
        "data": {
            "order": order["order"],
            "verdict": "review" if order["total"]["minor"] > LIMIT_MINOR else "fine",
        },
    }
    if "traceparent" in headers:
        event["traceparent"] = headers["traceparent"]
    return event


class Decided:
    """What was decided, by the cause's source and id: Kafka brings some events twice."""

    def __init__(self, path):
        self.database = sqlite3.connect(path)
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS decided (source TEXT, id TEXT, event TEXT, PRIMARY KEY (source, id))"
        )

    def once(self, headers, order):
        """Decides, or finds what was decided: an answer that may be lost is sent again as it was."""
        cause = (headers["ce_source"], headers["ce_id"])
        found = self.database.execute("SELECT event FROM decided WHERE source = ? AND id = ?", cause).fetchone()
        if found:
            return found[0]
        event = json.dumps(assess(headers, order, datetime.now(timezone.utc).isoformat()))
        with self.database:
            self.database.execute("INSERT INTO decided VALUES (?, ?, ?)", (*cause, event))
        return event


def make_topic(brokers, topic, partitions):
    from kafka.admin import KafkaAdminClient, NewTopic
    from kafka.errors import TopicAlreadyExistsError

    admin = KafkaAdminClient(bootstrap_servers=brokers)
    try:
        admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    except TopicAlreadyExistsError:
        pass
    finally:
        admin.close()


def run(arguments):
    from kafka import KafkaConsumer, KafkaProducer

    into = f"{arguments.namespace}.risk.events"
    make_topic(arguments.brokers, into, arguments.partitions)
    decided = Decided(arguments.database)
    consumer = KafkaConsumer(
        f"{arguments.namespace}.order.events",
        bootstrap_servers=arguments.brokers,
        group_id=f"{arguments.namespace}.risk",
        isolation_level="read_committed",  # What an aborted transaction left behind was never stated.
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = KafkaProducer(bootstrap_servers=arguments.brokers, acks="all")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    while not stop.is_set():
        polled = consumer.poll(timeout_ms=500)
        for record in (record for records in polled.values() for record in records):
            headers = {name: value.decode() for name, value in record.headers}
            if headers.get("ce_type") == "ORDER_CREATED":
                event = decided.once(headers, json.loads(record.value))
                # The order's key: one order's events keep their order. `get` waits until it is safe.
                producer.send(into, key=record.key, value=event.encode(), headers=HEADERS).get(timeout=30)
                print(event, flush=True)
        if polled:
            consumer.commit()  # After the answers: a crash in between repeats them, and that is harmless.
    consumer.close(autocommit=False)
    producer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Assesses the risk of each order.")
    parser.add_argument("--brokers", default="127.0.0.1:9092")
    parser.add_argument("--namespace", default="quadrille")
    parser.add_argument("--database", default="risk.db")
    parser.add_argument("--partitions", type=int, default=6)
    run(parser.parse_args())
