"""One process that starts Slipway's programs, keeps them running and ends them all.

    python -m controlplane.supervisor up | down | status

It imports no Django: it must be quick to start and able to say what is wrong when Django is not.
"""
