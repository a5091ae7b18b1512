"""The verbs and nouns of `slipway`, a module for each group."""
