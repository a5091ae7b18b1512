"""Registry, environments, hosts, releases, rollouts and routes: everything that makes a model run."""
