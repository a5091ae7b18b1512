"""Pages and partials. Each declares its action, reads by selectors, writes by services."""
