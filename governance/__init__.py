"""Who may, who did, who approved: roles, the one permission gate, the one audit writer."""
