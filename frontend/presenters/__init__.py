"""From selectors' cards to the cards of pages: wording, order, icons. Nothing here queries rows."""
