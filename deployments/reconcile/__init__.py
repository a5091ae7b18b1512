"""The loop that makes the world follow the rows.

Start reading in `loop`: it takes the endpoint's lease and repeats, until nothing is due: `fleet`
makes the replicas match the needs, `seen` looks, `deployments.domain.decide` decides, `smoke`
carries out what it asks for, `commit` writes the decision and what follows from it. `patrol` is
the sweep that finds what nobody reported.
"""
