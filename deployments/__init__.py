"""Registry, environments, hosts, releases, rollouts, routes: all that makes a model run."""
