"""`manage.py collector`: watch replicas, pull what they counted, store and publish it."""

from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from monitoring.collector.program import Collector
from monitoring.collector.watch import Access, Timing
from monitoring.domain.shards import Shard
from monitoring.services.recording import Superseded


class Command(BaseCommand):
    # The checks load every page and every view, which this program never needs.
    requires_system_checks = ()
    help = "Watch replicas: probe those that start, pull every second what each has counted."
    action = "traffic.collect"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--shard", default="0/1", help="which of how many collectors this is, such as 0/2"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            shard = Shard.parse(options["shard"])
        except ValueError as problem:
            raise CommandError(f"--shard: {problem}") from problem
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_run(shard))
        except Superseded as problem:
            raise CommandError(problem.detail) from problem


async def _run(shard: Shard) -> None:
    config = settings.CONFIG
    collector = Collector(
        shard,
        Timing(config.probe_seconds, config.pull_seconds, config.pull_timeout_seconds),
        Access(
            token=settings.KEYS.telemetry_token,
            folder=settings.HOME / "replicas",
            authority=settings.AUTHORITY,
            certificate_hours=config.certificate_hours,
        ),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, collector.stop)
    await collector.run()
