"""Pages, partials, charts and the websocket: reads through selectors, writes through services."""
