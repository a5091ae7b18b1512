"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from deployments.api import (
    endpoints,
    environments,
    hosts,
    images,
    keys,
    models,
    operations,
    rollouts,
    versions,
)

urlpatterns = [
    path("models", models.Models.as_view(), name="api-models"),
    path("models/<slug:name>", models.OneModel.as_view(), name="api-model"),
    path("models/<slug:name>/versions", versions.Versions.as_view(), name="api-versions"),
    path(
        "models/<slug:name>/versions/<number:number>",
        versions.OneVersion.as_view(),
        name="api-version",
    ),
    path("models/<slug:name>/aliases", models.Aliases.as_view(), name="api-aliases"),
    path("models/<slug:name>/aliases/<slug:alias>", models.OneAlias.as_view(), name="api-alias"),
    path(
        "models/<slug:name>/aliases/<slug:alias>/moves",
        models.AliasMoves.as_view(),
        name="api-alias-moves",
    ),
    path("environments", environments.Environments.as_view(), name="api-environments"),
    path(
        "environments/<slug:name>",
        environments.OneEnvironment.as_view(),
        name="api-environment",
    ),
    path("hosts", hosts.Hosts.as_view(), name="api-hosts"),
    path("hosts/<pid:host_id>", hosts.OneHost.as_view(), name="api-host"),
    path(
        "hosts/<pid:host_id>/replace-replicas",
        hosts.ReplaceReplicas.as_view(),
        name="api-host-replace-replicas",
    ),
    path("gateways", environments.Gateways.as_view(), name="api-gateways"),
    path("gateways/<pid:gateway_id>", environments.OneGateway.as_view(), name="api-gateway"),
    path("endpoints", endpoints.Endpoints.as_view(), name="api-endpoints"),
    path("endpoints/<pid:endpoint_id>", endpoints.OneEndpoint.as_view(), name="api-endpoint"),
    path(
        "endpoints/<pid:endpoint_id>/rollback",
        endpoints.Rollback.as_view(),
        name="api-endpoint-rollback",
    ),
    path("endpoints/<pid:endpoint_id>/logs", endpoints.Logs.as_view(), name="api-endpoint-logs"),
    path(
        "endpoints/<pid:endpoint_id>/releases",
        endpoints.Releases.as_view(),
        name="api-endpoint-releases",
    ),
    path("endpoints/<pid:endpoint_id>/open", endpoints.Open.as_view(), name="api-endpoint-open"),
    path("endpoints/<pid:endpoint_id>/close", endpoints.Close.as_view(), name="api-endpoint-close"),
    path("keys", keys.Keys.as_view(), name="api-keys"),
    path("keys/<pid:key_id>", keys.OneKey.as_view(), name="api-key"),
    path("keys/<pid:key_id>/rotate", keys.Rotate.as_view(), name="api-key-rotate"),
    path("keys/<pid:key_id>/revoke", keys.Revoke.as_view(), name="api-key-revoke"),
    path("releases/<pid:release_id>", endpoints.OneRelease.as_view(), name="api-release"),
    path("images", images.Images.as_view(), name="api-images"),
    path("images/<pid:image_id>", images.OneImage.as_view(), name="api-image"),
    path("builds", images.Builds.as_view(), name="api-builds"),
    path("builds/<pid:build_id>", images.OneBuild.as_view(), name="api-build"),
    path("builds/<pid:build_id>/log", images.BuildLog.as_view(), name="api-build-log"),
    path("gc", images.Garbage.as_view(), name="api-gc"),
    path("rollouts", rollouts.Rollouts.as_view(), name="api-rollouts"),
    path("rollouts/<pid:rollout_id>", rollouts.OneRollout.as_view(), name="api-rollout"),
    path("rollouts/<pid:rollout_id>/events", rollouts.Events.as_view(), name="api-rollout-events"),
    path("rollouts/<pid:rollout_id>/pause", rollouts.Pause.as_view(), name="api-rollout-pause"),
    path("rollouts/<pid:rollout_id>/resume", rollouts.Resume.as_view(), name="api-rollout-resume"),
    path(
        "rollouts/<pid:rollout_id>/promote", rollouts.Promote.as_view(), name="api-rollout-promote"
    ),
    path("rollouts/<pid:rollout_id>/abort", rollouts.Abort.as_view(), name="api-rollout-abort"),
    path("operations", operations.Operations.as_view(), name="api-operations"),
    path("operations/<pid:operation_id>", operations.OneOperation.as_view(), name="api-operation"),
]
